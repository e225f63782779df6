"""A blend of models: the sum of their scores, each in units of its own spread for the person asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, TypeAdapter, field_validator
from pydantic_settings import NoDecode

from models.als import split_list
from models.base import FittedModel, Interactions, ModelKind, Parameters, Ranked
from models.combination import Combination, Part
from models.ease import Ease, EaseOptions
from models.ials import Ials, IalsModel, IalsOptions
from models.item_graph import ItemGraph, ItemGraphOptions
from models.item_item import ItemItemModel
from models.part_scores import PartScores, covariance_of, rescore, score_by_factors, score_by_links
from models.space import MOST_NAMED, say_parameters
from models.top_k import BLOCK_SCORES, FLOAT32_ROUNDING, Rough, top_k_of
from models.unseen import check_histories, histories_of_seen
from schema.arrays import Floats, Indices
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from schema.options import FrozenModel

PartModel = ItemItemModel | IalsModel
LARGEST = float(np.finfo(np.float32).max)

KINDS: dict[str, tuple[ModelKind[Any], Any]] = {
    ItemGraph.name: (ItemGraph(), ItemGraphOptions()),
    Ials.name: (Ials(), IalsOptions()),
    Ease.name: (Ease(), EaseOptions()),
}


class Share(FrozenModel):
    """One part of a blend.

    Attributes:
        model: Name of its kind.
        parameters: Those of its candidate; by default the usual ones.
        weight: Of its scores, in units of their standard deviation.
    """

    model: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    weight: float = Field(gt=0, le=1e6)

    @field_validator("model")
    @classmethod
    def _is_known(cls, model: str) -> str:
        if model not in KINDS:
            raise ValueError(f"{model!r} is no part of a blend; expected one of {', '.join(KINDS)}")
        return model

    @property
    def kind(self) -> ModelKind[Any]:
        """Its kind of model."""
        return KINDS[self.model][0]

    @property
    def label(self) -> str:
        """Its kind and weight, and the parameters that are not the usual ones."""
        usual = usual_parameters(self.model)
        unusual = {name: value for name, value in self.parameters.items() if value != usual.get(name)}
        said = ", ".join(say_parameters(unusual, most=MOST_NAMED))
        return f"{self.model} {self.weight:g}" + (f" ({said})" if said else "")


SHARES = TypeAdapter(tuple[Share, ...])


def split_share(value: object) -> object:
    """Return 'ials=3' as a share with the usual parameters; anything else unchanged."""
    if not isinstance(value, str):
        return value
    model, _, weight = value.partition("=")
    return {"model": model, "parameters": usual_parameters(model), "weight": weight}


def usual_parameters(model: str) -> Parameters:
    """Return the parameters of a part that is given none; none for a model that is no part of a blend."""
    kind, options = KINDS.get(model, (None, None))
    return dict(next(iter(kind.candidates(options)), {})) if kind else {}


Shares = Annotated[tuple[Annotated[Share, BeforeValidator(split_share)], ...], NoDecode, BeforeValidator(split_list)]


class BlendOptions(FrozenModel):
    """Which blend is tried."""

    blend: Shares = Field(
        (),
        description="Also try a blend of models with these weights: item-graph=1,ials=3. Its parts have the usual "
        "parameters, whatever their own options say.",
    )


@dataclass(frozen=True, eq=False)
class BlendModel:
    """Models whose scores are added up: sum of weight * score / standard deviation of the scores of all items.

    The deviation is that of the person's scores by that part; where it is nearly 0, as for one of whom a part knows
    nothing, that adds nothing. A mean, the same for all items of a person, is not taken off: so reasons add up.

    Attributes:
        parts: Fitted models, of the same users and items.
        weights: One for each, above 0.

    Raises:
        ValueError: If there are no parts, or they differ in users or items.
    """

    parts: tuple[PartModel, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        shapes = {(part.n_users, part.n_items) for part in self.parts}
        if len(shapes) != 1 or len(self.weights) != len(self.parts):
            raise ValueError(
                f"parts have (users, items) {sorted(shapes)}, and there are {len(self.weights)} weights; expected one "
                "part or more, all of the same, and a weight for each. Take all from one fit."
            )

    @property
    def n_users(self) -> int:
        """Users that the parts were fitted for."""
        return self.parts[0].n_users

    @property
    def n_items(self) -> int:
        """Items that the parts rank."""
        return self.parts[0].n_items

    def rank(self, users: Indices, seen: ItemsByUser, k: int) -> Ranked:
        """Return the k unseen items of highest score of each user, as one who has what is seen."""
        histories = histories_of_seen(users, seen, k, self.n_items)
        return self.rank_histories(histories, histories.items, k)

    def rank_histories(self, histories: Histories, hidden: ItemsByUser, k: int) -> Ranked:
        """Return the k items of highest score for each history, and no item for one of which no part knows anything."""
        check_histories(histories, hidden, k, self.n_items)
        says_nothing = np.zeros(len(hidden.indptr) - 1, dtype=bool)

        def score(rows: slice, out: NDArray[np.float32]) -> Rough:
            scored = self._score(histories.take(np.arange(rows.start, rows.stop)))
            out[:] = sum(one.scores * one.scale[:, None].astype(np.float32) for one in scored)
            says_nothing[rows] = ~np.any([one.scale for one in scored], axis=0)
            n_roundings = (len(scored) + 2) * FLOAT32_ROUNDING
            sizes = [one.rough.errors + n_roundings * np.abs(one.scores).max(axis=1) for one in scored]
            errors = np.sum([one.scale * size for one, size in zip(scored, sizes, strict=True)], axis=0)
            return Rough(errors, lambda some, columns: rescore(scored, some, columns))

        items, scores = top_k_of(score, self.n_items, hidden, k, self._block_scores)
        items[says_nothing], scores[says_nothing] = -1, -np.inf
        return items, scores

    def score_parts(
        self, histories: Histories, hidden: ItemsByUser, k: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the k best items of each part, and the scores of all parts in units of their spread: `PartScorer`."""
        items = np.concatenate([part.rank_histories(histories, hidden, k)[0] for part in self.parts], axis=1)
        items.sort(axis=1)
        items[:, 1:][items[:, 1:] == items[:, :-1]] = -1
        scores = np.empty((len(self.parts), *items.shape), dtype=np.float32)
        n_at_once = max(1, self._block_scores // max(self.n_items, 1))
        for start in range(0, len(items), n_at_once):
            rows = slice(start, min(start + n_at_once, len(items)))
            scored = self._score(histories.take(np.arange(rows.start, rows.stop)))
            for part, one, weight in zip(scores, scored, self.weights, strict=True):
                part[rows] = np.take_along_axis(one.scores, items[rows], axis=1) * (one.scale / weight)[:, None]
        return items, scores

    def explain(self, history: Histories, items: Indices) -> NDArray[np.float32]:
        """Return what each item of a history adds to the scores of some items, over all parts."""
        scales = [one.scale[0] for one in self._score(history)]
        parts = (scale * part.explain(history, items) for scale, part in zip(scales, self.parts, strict=True))
        return np.asarray(sum(parts), dtype=np.float32)

    def similarities(self, item: int, others: Indices) -> NDArray[np.float32]:
        """Return how alike an item is to others: the mean of what the parts say, by their weights."""
        said = [part.similarities(item, others) for part in self.parts]
        return np.average(said, axis=0, weights=self.weights).astype(np.float32)

    def _score(self, histories: Histories) -> list[PartScores]:
        """Return the scores of the parts for some people, each row depending on nothing but the row."""
        found = []
        for part, weight, spread in zip(self.parts, self.weights, self._spreads, strict=True):
            if isinstance(part, IalsModel):
                scored = score_by_factors(part, part.fold_in(histories), spread)
            else:
                scored = score_by_links(part, histories)
            is_spread = scored.scale > weight / LARGEST
            scale = np.divide(weight, scored.scale, out=np.zeros_like(scored.scale), where=is_spread)
            found.append(scored._replace(scale=scale))
        return found

    @property
    def _block_scores(self) -> int:
        """Scores in a block, so that those of the parts, as many terms of their sum and the sum take the usual room."""
        return BLOCK_SCORES // (2 * len(self.parts) + 1)

    @cached_property
    def _spreads(self) -> tuple[Floats, ...]:
        """The covariance of the items' factors of each part that has such."""
        return tuple(covariance_of(part) if isinstance(part, IalsModel) else np.empty(0) for part in self.parts)

    def save(self, folder: Path) -> None:
        """Write each part into a folder of its own: 0, 1, …."""
        for number, part in enumerate(self.parts):
            part.save(folder / str(number))

    @classmethod
    def load(cls, folder: Path, shares: tuple[Share, ...] = ()) -> "BlendModel":
        """Return the model that was fitted with these shares and saved in a folder, memory-mapped."""
        parts: Any = (share.kind.load(folder / str(number), share.parameters) for number, share in enumerate(shares))
        return cls(tuple(parts), tuple(share.weight for share in shares))


class Blend(Combination[BlendOptions]):
    """Adds up the scores of models, each divided by their standard deviation over all items for the person.

    Its parameter ``shares`` has a `Share` for each.
    """

    name = "blend"
    options = BlendOptions
    fitted = BlendModel
    takes = frozenset(KINDS)
    starts = MappingProxyType({Ials.name: 3.0})
    knows_histories_only = True
    refits = 5

    def candidates(self, options: BlendOptions) -> Iterable[Parameters]:
        """Yield the blend that is asked for."""
        if options.blend:
            yield {"shares": SHARES.dump_python(options.blend, mode="json")}

    def describe(self, parameters: Parameters) -> Iterable[str]:
        """Yield the parts with their weights."""
        yield " + ".join(share.label for share in SHARES.validate_python(parameters["shares"]))

    def parts_of(self, parameters: Parameters) -> tuple[Part, ...]:
        """Return the shares as parts."""
        return tuple(
            Part(one.model, one.parameters, one.weight) for one in SHARES.validate_python(parameters["shares"])
        )

    def combine(self, parts: Sequence[Part]) -> Parameters:
        """Return the parameters that say these parts."""
        return {"shares": SHARES.dump_python(SHARES.validate_python([one._asdict() for one in parts]), mode="json")}

    def join(self, models: Sequence[FittedModel], parameters: Parameters) -> BlendModel:
        """Return the blend of fitted models."""
        parts: Any = tuple(models)
        return BlendModel(parts, tuple(one.weight for one in self.parts_of(parameters)))

    def fit(self, interactions: Interactions, parameters: Parameters) -> BlendModel:
        """Fit each part."""
        shares = SHARES.validate_python(parameters["shares"])
        return self.join([share.kind.fit(interactions, share.parameters) for share in shares], parameters)

    def renew(self, model: FittedModel, interactions: Interactions, parameters: Parameters) -> FittedModel:
        """Fit the cheap parts again, and keep the others."""
        if not isinstance(model, BlendModel):
            raise TypeError(f"the model is a {type(model).__name__}; expected a BlendModel, which Blend.fit returns.")
        parts = [
            share.kind.renew(part, interactions, share.parameters) if share.kind.is_cheap else part
            for share, part in zip(SHARES.validate_python(parameters["shares"]), model.parts, strict=True)
        ]
        return self.join(parts, parameters)

    def load(self, folder: Path, parameters: Parameters) -> BlendModel:
        """Return the model that was fitted with these parameters and saved in a folder, memory-mapped."""
        return BlendModel.load(folder, SHARES.validate_python(parameters["shares"]))
