"""The kinds of model that there are, and the candidates that a search tries: one line for each kind."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, create_model
from pydantic.alias_generators import to_snake

from models.als import ExplicitAls, ImplicitAls
from models.base import FittedModel, ModelKind, Need, NoOptions, Options
from models.bias import Bias, GlobalMean
from models.blend import Blend
from models.chance import Chance
from models.ease import Ease
from models.ials import Ials
from models.item_graph import ItemGraph
from models.item_knn import ItemKnn
from models.ncf import Gmf, GmfExplicit, Mlp, MlpExplicit, NeuMf, NeuMfExplicit, require_torch
from models.popularity import Popularity, RecentPopularity
from models.space import Space
from schema.errors import InvalidInput
from schema.options import FrozenModel

Kind = ModelKind[Any]

AUTO = "auto"
"""Name of all kinds that a search tries without being asked for them."""

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Chance(),
        Popularity(),
        ItemKnn(),
        RecentPopularity(),
        GlobalMean(),
        Bias(),
        ItemGraph(),
        Ease(),
        ImplicitAls(),
        ExplicitAls(),
        Ials(),
        Gmf(),
        Mlp(),
        NeuMf(),
        GmfExplicit(),
        MlpExplicit(),
        NeuMfExplicit(),
        Blend(),
    )
}


class Candidate(FrozenModel):
    """A kind of model with its parameters, JSON values."""

    model: str
    parameters: Mapping[str, Any]

    @property
    def kind(self) -> Kind:
        """The kind of model; for lists that were made elsewhere, one that is nothing but a name."""
        return KINDS.get(self.model, NAME_ONLY)

    @property
    def label(self) -> str:
        """The model and the parameters that tell it from others of its kind."""
        return ", ".join([self.model, *self.kind.describe(self.parameters)])


class _NameOnly(ModelKind[NoOptions]):
    """Stands for a name that no kind of model has: that of lists made elsewhere, or of a model of another version."""

    options = NoOptions

    def fit(self, *_args: Any, **_kwargs: Any) -> FittedModel:
        """Refuse: there is nothing to fit."""
        raise InvalidInput(
            f"there is nothing to fit or to load by this name; expected one of {', '.join(KINDS)}. Use the version of "
            "the program that made the model, or train another."
        )

    load = fit


NAME_ONLY = _NameOnly()

if TYPE_CHECKING:

    class ModelOptions(BaseModel):
        """What the kinds of model obey: a field for each group of options."""


def register(kind: Kind) -> None:
    """Add a kind of model; its options are part of every `ModelOptions` that is imported from here on.

    Raises:
        ValueError: If a kind of that name is registered, or a field of its options has the name of another's.
    """
    if kind.name in KINDS:
        raise ValueError(f"a kind of model {kind.name!r} is registered already. Choose another name.")
    taken = {name for group in option_groups().values() if group is not kind.options for name in group.model_fields}
    if twice := taken & set(kind.options.model_fields):
        raise ValueError(f"{kind.options.__name__} has fields of another group: {sorted(twice)}. Choose other names.")
    KINDS[kind.name] = kind
    _compose_options()


def option_groups() -> dict[str, type[BaseModel]]:
    """Return the options of all kinds, baselines last, each once, by the names of their fields in `ModelOptions`."""
    kinds = sorted(KINDS.values(), key=lambda kind: kind.is_baseline)
    groups = dict.fromkeys(kind.options for kind in kinds if kind.options.model_fields)
    return {to_snake(group.__name__.removesuffix("Options")): group for group in groups}


def _compose_options() -> None:
    fields: dict[str, Any] = {name: (group, Field(default_factory=group)) for name, group in option_groups().items()}
    globals()["ModelOptions"] = create_model(
        "ModelOptions",
        __base__=FrozenModel,
        __doc__="What the kinds of model obey: a field for each group of options.",
        __module__=__name__,
        **fields,
    )


_compose_options()


def find_kinds(names: Iterable[str]) -> dict[str, list[Kind]]:
    """Return the kinds that each name stands for: one, those of a group, or of auto, those that need not be asked for.

    Raises:
        InvalidInput: If a name is that of no kind and no group, or of one that needs a package that is not installed.

    Example:
        >>> [kind.name for kind in find_kinds(["als"])["als"]]
        ['als-implicit', 'als-explicit']
    """
    found = {name: [kind for kind in KINDS.values() if name in (kind.name, *kind.groups)] for name in names}
    if AUTO in found:
        found[AUTO] = [kind for kind in KINDS.values() if kind.is_automatic]
    if unknown := [name for name, kinds in found.items() if not kinds]:
        known = dict.fromkeys([AUTO, *(name for kind in KINDS.values() for name in (*sorted(kind.groups), kind.name))])
        raise InvalidInput(f"no kind of model has the name {', '.join(unknown)}; expected some of {', '.join(known)}")
    for kind in (kind for kinds in found.values() for kind in kinds if "torch" in kind.needs):
        require_torch(kind.name)
    return found


def split_names(names: str) -> tuple[str, ...]:
    """Return the names in a text such as 'graph, als', each once; auto where there are none."""
    return tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip())) or (AUTO,)


def _check_names(names: str) -> str:
    find_kinds(split_names(names))
    return names


KindNames = Annotated[str, AfterValidator(_check_names)]
"""Names of kinds or groups, with commas between them."""


def candidates(
    options: "ModelOptions", *, has_ratings: bool, has_timestamps: bool, names: Iterable[str] = (AUTO,)
) -> tuple[Candidate, ...]:
    """Return what a search tries before it draws: the candidates of every kind that the data allow.

    Args:
        options: What the kinds obey.
        has_ratings: Whether the data have ratings.
        has_timestamps: Whether the data have timestamps.
        names: The kinds to try, beside the baselines and those of which the options ask for a candidate: see
            `find_kinds`.

    Raises:
        InvalidInput: If a name is that of no kind, or of those that have no candidate, or a package is not installed.
    """
    has = {"ratings": has_ratings, "timestamps": has_timestamps}
    lacking: frozenset[Need] = frozenset(name for name in ("ratings", "timestamps") if not has[name])
    named = find_kinds(names)
    asked = {kind.name for kinds in named.values() for kind in kinds}
    asked |= {kind.name for kind in KINDS.values() if kind.is_baseline or _is_asked_for(kind, options)}
    able = [kind for kind in KINDS.values() if kind.name in asked and not kind.needs & lacking]
    found = tuple(
        Candidate(model=kind.name, parameters=parameters)
        for kind in able
        for parameters in kind.candidates(options_of(kind, options))
    )
    tried = {one.model for one in found}
    if idle := [name for name, kinds in named.items() if not tried & {kind.name for kind in kinds}]:
        raise InvalidInput(
            f"--model asks for {', '.join(idle)}, of which there is no candidate: it needs ratings or timestamps that "
            "the input lacks, or an option of its own. Leave it out of --model, or change those."
        )
    return found


def _is_asked_for(kind: Kind, options: "ModelOptions") -> bool:
    """Tell whether a kind that has no candidate by default has one by its options."""
    return bool([*kind.candidates(options_of(kind, options))]) and not [*kind.candidates(kind.options())]


def impersonal_kinds(*, has_timestamps: bool) -> tuple[Kind, ...]:
    """Return the kinds with one list for users of whom nothing is known, fitted without ratings and engines, in order.

    Example:
        >>> [kind.name for kind in impersonal_kinds(has_timestamps=True)]
        ['popularity', 'recent-popularity']
    """
    at_hand: frozenset[Need] = frozenset({"timestamps"} if has_timestamps else ())
    kinds = (kind for kind in KINDS.values() if kind.is_impersonal and kind.is_same_for_all)
    return tuple(kind for kind in kinds if kind.needs <= at_hand)


def yardsticks() -> tuple[Candidate, ...]:
    """Return the candidates with a role, which a metric is tried with before it may choose a model."""
    return tuple(
        Candidate(model=kind.name, parameters=parameters)
        for kind in KINDS.values()
        if kind.role
        for parameters in kind.candidates(kind.options())
    )


def space_of(kind: Kind, options: "ModelOptions", *, has_timestamps: bool) -> Space:
    """Return what a search draws the parameters of a kind from, less what the options fix."""
    return kind.space(options_of(kind, options), has_timestamps=has_timestamps)


def learning_curve(candidate: Candidate, options: "ModelOptions") -> tuple[Candidate, ...]:
    """Return a candidate with other numbers of iterations, itself among them, in order; empty where none are asked for.

    Example:
        >>> from models.als import AlsOptions
        >>> options = ModelOptions(als=AlsOptions(curve_iterations=(1, 20)))
        >>> trained = candidates(options, has_ratings=False, has_timestamps=False, names=["als"])[-1]
        >>> [one.parameters["maxiter"] for one in learning_curve(trained, options)]
        [1, 16, 20]
    """
    kind = candidate.kind
    if kind.iterations is None:
        return ()
    own = candidate.parameters[kind.iterations]
    points = sorted({own, *kind.curve(options_of(kind, options))})
    if points == [own]:
        return ()
    return tuple(
        candidate.model_copy(update={"parameters": {**candidate.parameters, kind.iterations: n}}) for n in points
    )


def options_of(kind: ModelKind[Options], options: "ModelOptions") -> Options:
    """Return the group of options that a kind of model obeys."""
    name = next((name for name, group in option_groups().items() if group is kind.options), None)
    group: Options = getattr(options, name) if name else kind.options()
    return group
