"""Alternating least squares, on interactions or on ratings: fitted by Spark, kept as factors."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from pydantic_settings import NoDecode

from models.base import Histories, Interactions, ModelKind, Parameters, Ranked
from models.factors import SCORE_BLOCK_ROWS, FactorModel
from models.space import Range, Space
from models.unseen import check_histories
from schema.arrays import Floats, Indices
from schema.errors import InvalidInput
from schema.items_by_user import ItemsByUser
from schema.options import FrozenModel

SPARK_FOLDER = "als_model"
WIDE_SHARE = 4
USUAL_RANK, USUAL_ALPHA = (32,), (10.0,)


def split_list(value: object) -> object:
    """Return '32,64' as its parts; anything else unchanged."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_AT_LEAST_ONE = Field(
    min_length=1
)  # next to the tuple: after the validator it would count letters in the form's schema
Ranks = Annotated[tuple[PositiveInt, ...], _AT_LEAST_ONE, NoDecode, BeforeValidator(split_list)]
Iterations = Annotated[tuple[PositiveInt, ...], NoDecode, BeforeValidator(split_list)]
Weights = Annotated[tuple[PositiveFloat, ...], _AT_LEAST_ONE, NoDecode, BeforeValidator(split_list)]
AlsKinds = Annotated[tuple[Literal["implicit", "explicit"], ...], _AT_LEAST_ONE, NoDecode, BeforeValidator(split_list)]


class AlsOptions(FrozenModel):
    """The grid of ALS models; several values are separated by commas."""

    als_models: AlsKinds = Field(
        ("implicit", "explicit"),
        description="Kinds of ALS to try; explicit needs ratings.",
        json_schema_extra={"flag": "--models"},
    )
    als_rank: Ranks | None = Field(
        None,
        description="Number of latent factors; without it 32, and what a search draws.",
        json_schema_extra={"flag": "--rank"},
    )
    als_reg: Weights | None = Field(
        None,
        description="Regularisation; without it 1,5 for implicit and 0.1 for explicit ALS, and what a search draws.",
        json_schema_extra={"flag": "--reg"},
    )
    als_alpha: Weights | None = Field(
        None,
        description="Confidence of an interaction in implicit ALS; without it 10, and what a search draws.",
        json_schema_extra={"flag": "--alpha"},
    )
    als_maxiter: PositiveInt = Field(10, description="Iterations of ALS.", json_schema_extra={"flag": "--maxiter"})
    curve_iterations: Iterations = Field(
        (), description="Also fit the best ALS model with so many iterations, such as 1,2,5, for a learning curve."
    )
    als_blocks: PositiveInt = Field(
        4, description="Blocks into which ALS parts users and items; it decides the order of sums."
    )
    als_seed: int = Field(42, description="Seed of the first factors.")

    @property
    def fixed(self) -> Parameters:
        """The parameters that all points of the grid share."""
        return {"maxiter": self.als_maxiter, "n_blocks": self.als_blocks, "seed": self.als_seed}


@dataclass(frozen=True, eq=False)
class AlsModel(FactorModel):
    """Factors of ALS, with the parameters that give people it was not fitted to their factors (fold-in).

    A step of ALS solves, over the n items j that a person has, with factors y_j, for the person's factors x:

    - implicit: (Y'Y + alpha sum y_j y_j' + reg n I) x = (1 + alpha) sum y_j, where Y are the factors of all items;
    - explicit: (sum y_j y_j' + reg n I) x = sum rating_j y_j, where j and n are of rated items alone.

    Attributes:
        implicit: Whether it was fitted to which items a user has, not to ratings.
        reg: Regularisation, above 0.
        alpha: Confidence of an interaction, implicit only.

    Raises:
        ValueError: If the factors are not those of a `FactorModel`, or reg or alpha are no numbers that can be used.
    """

    implicit: bool
    reg: float
    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 < self.reg < math.inf and 0 <= self.alpha < math.inf):
            raise ValueError(
                f"reg is {self.reg} and alpha {self.alpha}; expected numbers above 0. Take those it was fitted with."
            )

    def fold_in(self, histories: Histories) -> NDArray[np.float32]:
        """Return the factors of people, shape (n_people, rank), as the last step of a fit would have found them.

        Those of a history that says nothing, empty or without ratings for a model of ratings, are zeros.
        """
        vectors = np.zeros((len(histories.items.indptr) - 1, self.item_factors.shape[1]), dtype=np.float32)
        for vector, (start, stop) in zip(vectors, pairwise(histories.items.indptr.tolist()), strict=True):
            matrix, parts = self._equations(histories.items.items[start:stop], histories.rating[start:stop])
            if parts.any():
                vector[:] = np.linalg.solve(matrix, parts.sum(axis=1))
        return vectors

    def rank_histories(self, histories: Histories, hidden: ItemsByUser, k: int) -> Ranked:
        """Return the k items of highest score for each history, and no item for a history that says nothing."""
        check_histories(histories, hidden, k, self.n_items)
        vectors = self.fold_in(histories)
        items, scores = self.rank_vectors(vectors, hidden, k)
        says_nothing = ~vectors.any(axis=1)
        items[says_nothing], scores[says_nothing] = -1, -np.inf
        return items, scores

    def explain(self, history: Histories, items: Indices) -> NDArray[np.float32]:
        """Return what each item of a history adds to the scores of some items: Hu, Koren and Volinsky, section 5."""
        matrix, parts = self._equations(history.items.items, history.rating)
        if not parts.any():
            return np.zeros((len(items), parts.shape[1]), dtype=np.float32)
        return (self._vectors_of(items) @ np.linalg.solve(matrix, parts)).astype(np.float32)

    def similarities(self, item: int, others: Indices) -> NDArray[np.float32]:
        """Return the cosine of the factors of an item and of each of some others, 0 where either are zeros."""
        factors, lengths = np.asarray(self.item_factors), self._item_lengths[others] * self._item_lengths[item]
        is_wide = WIDE_SHARE * len(others) > self.n_items
        products: NDArray[np.float32]
        products = (factors @ factors[item])[others] if is_wide else factors[others] @ factors[item]
        np.divide(products, lengths, out=products, where=lengths > 0)
        return products

    def _equations(self, items: Indices, rating: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Return a person's matrix, and what each item adds to the right side, shape (rank, n_items)."""
        vectors = self._vectors_of(items)
        if self.implicit:
            n_used, weights = len(items), np.full(len(items), 1 + self.alpha)
            matrix = self._gram + self.alpha * (vectors.T @ vectors)
        else:
            is_rated = np.isfinite(rating)
            n_used, weights = int(is_rated.sum()), np.where(is_rated, rating, 0)
            vectors[~is_rated] = 0
            matrix = vectors.T @ vectors
        matrix.flat[:: len(matrix) + 1] += self.reg * n_used
        return matrix, vectors.T * weights

    @cached_property
    def _gram(self) -> Floats:
        """The sum of the outer products of all items' factors."""
        starts = range(0, self.n_items, SCORE_BLOCK_ROWS)
        blocks = (self._vectors_of(slice(start, start + SCORE_BLOCK_ROWS)) for start in starts)
        rank = self.item_factors.shape[1]
        return sum((block.T @ block for block in blocks), np.zeros((rank, rank)))

    def _vectors_of(self, items: Indices | slice) -> Floats:
        return np.asarray(self.item_factors)[items].astype(np.float64)


class _Als(ModelKind[AlsOptions]):
    options = AlsOptions
    fitted = AlsModel
    iterations = "maxiter"
    shown = ("rank", "reg", "alpha")
    is_implicit: ClassVar[bool]
    usual_reg: ClassVar[tuple[float, ...]]

    def candidates(self, options: AlsOptions) -> Iterable[Parameters]:
        """Yield the points of the grid; alpha is no parameter of explicit ALS."""
        if self.name.removeprefix("als-") in options.als_models:
            alphas = [{"alpha": alpha} for alpha in options.als_alpha or USUAL_ALPHA] if self.is_implicit else [{}]
            grid = options.als_rank or USUAL_RANK, options.als_reg or self.usual_reg, alphas
            for rank, reg, alpha in product(*grid):
                yield {"rank": rank, "reg": reg, **alpha, **options.fixed}

    def space(self, options: AlsOptions) -> Space:
        """Return what a search draws: the parameters that the options leave open."""
        return {name: one for name, one in self.ranges.items() if getattr(options, f"als_{name}") is None}

    def curve(self, options: AlsOptions) -> Sequence[int]:
        """Return the numbers of iterations that a learning curve is asked to show."""
        return options.curve_iterations

    def fit(self, interactions: Interactions, parameters: Parameters) -> AlsModel:
        """Have Spark factorise the interactions."""
        assert interactions.factorise is not None, f"{self.name} is fitted by Spark"  # noqa: S101 - for the type checker
        given = {"alpha": 1.0, **parameters, "implicit": self.is_implicit}
        return AlsModel(*interactions.factorise(given, SPARK_FOLDER), **self._weights(parameters))

    def load(self, folder: Path, parameters: Parameters) -> AlsModel:
        """Return the model that was fitted with these parameters and saved in a folder, memory-mapped."""
        return AlsModel.load(folder, **self._weights(parameters))

    def _weights(self, parameters: Parameters) -> dict[str, Any]:
        given = {"reg": math.nan, "alpha": 1.0, **parameters}
        return {"implicit": self.is_implicit, "reg": float(given["reg"]), "alpha": float(given["alpha"])}


class ImplicitAls(_Als):
    """Factors learnt from which items a user has: Hu, Koren and Volinsky (ICDM 2008)."""

    name = "als-implicit"
    needs = frozenset({"spark"})
    is_implicit = True
    usual_reg = (1.0, 5.0)
    ranges = MappingProxyType(
        {
            "rank": Range(16, 256, is_log=True, is_integer=True),
            "reg": Range(1, 30, is_log=True),
            "alpha": Range(10, 40, is_log=True),
        }
    )


class ExplicitAls(_Als):
    """Factors learnt from ratings: Zhou et al. (AAIM 2008). Alpha is no parameter of it."""

    name = "als-explicit"
    needs = frozenset({"ratings", "spark"})
    predicts_ratings = True
    is_implicit = False
    usual_reg = (0.1,)
    ranges = MappingProxyType(
        {"rank": Range(4, 64, is_log=True, is_integer=True), "reg": Range(0.03, 0.5, is_log=True)}
    )

    def leave_out(self, options: AlsOptions) -> None:
        """Refuse data without ratings where no other model of the grid is asked for."""
        if "implicit" not in options.als_models:
            raise InvalidInput(
                f"--models {','.join(options.als_models)} needs ratings, and the input has none. "
                "Use --models implicit, or ingest again with a rating column (--columns …,rating=…)."
            )
