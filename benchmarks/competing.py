"""Which settings, and which candidates of which kinds of model, the quality benchmark measures."""

from collections.abc import Mapping, Sequence

from benchmarks.interaction_files import Numbered
from flows.settings import Settings, explaining, flat_fields, nest
from models.registry import AUTO, Candidate, ModelOptions, candidates, find_kinds
from schema.errors import InvalidInput
from tasks.options import SearchOptions


def read_settings(given: Mapping[str, str], models: Sequence[str] | None, *, is_searched: bool) -> Settings:
    """Return the usual settings of a training but for those given, by name: options of models, and of a search.

    Args:
        given: Values by flat name.
        models: Names of what a search tries; by default auto.
        is_searched: Whether there is a search.

    Raises:
        InvalidInput: If a setting is unknown.
        InvalidSettings: If one does not fit.
    """
    of_search = flat_fields(SearchOptions).keys() - {"search_kinds"} if is_searched else set()
    known = flat_fields(ModelOptions).keys() | of_search
    if unknown := sorted(given.keys() - known):
        raise InvalidInput(f"--set names {unknown}; expected some of {sorted(known)}.")
    kinds = {"search_kinds": ",".join(models)} if is_searched and models else {}
    with explaining(Settings):
        return Settings.model_validate(nest(Settings, {**given, **kinds}))


def choose_candidates(
    data: Numbered, options: ModelOptions, models: Sequence[str] | None, *, is_searched: bool
) -> list[list[Candidate]]:
    """Return the candidates of each kind that ranks: of those named, else of baselines and auto.

    Of the latter, those that Spark fits are left out unless a search tries them.

    Raises:
        InvalidInput: If a model that is named has no candidate.
    """
    names, has = models or [AUTO], {f"has_{name}s": data.has(name) for name in ("rating", "timestamp")}
    named = {name: {kind.name for kind in kinds} for name, kinds in find_kinds(names).items()}
    asked = set[str]().union(*named.values())
    found: dict[str, list[Candidate]] = {}
    for one in candidates(options, **has, names=names):
        is_usual = is_searched or "spark" not in one.kind.needs
        is_asked = not one.kind.is_baseline or one.model in asked if models else is_usual
        if one.kind.ranks and is_asked:
            found.setdefault(one.model, []).append(one)
    if idle := [name for name in models or () if not named[name] & found.keys()]:
        raise InvalidInput(f"--models names {', '.join(idle)}, of which nothing ranks; expected kinds that do.")
    return list(found.values())
