"""Alternating least squares, on interactions or on ratings: fitted by Spark, kept as factors."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from pydantic_settings import NoDecode

from models.als_local import MOST_INTERACTIONS, LocalFactorisation, factorise_locally
from models.base import Interactions, ModelKind, Parameters
from models.confidence import Confidence, weigh
from models.factors import FactorModel, FoldIn
from models.space import Range, Space
from schema.arrays import Floats, Indices
from schema.histories import Histories
from schema.options import FrozenModel

SPARK_FOLDER = "als_model"
USUAL_ALPHA, USUAL_MAXITER = (10.0,), 16
ENGINE, LOCAL = "engine", "local"


def split_list(value: object) -> object:
    """Return '32,64' as its parts; anything else unchanged."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_AT_LEAST_ONE = Field(
    min_length=1
)  # next to the tuple: after the validator it would count letters in the form's schema
Ranks = Annotated[tuple[PositiveInt, ...], _AT_LEAST_ONE, NoDecode, BeforeValidator(split_list)]
Iterations = Annotated[tuple[PositiveInt, ...], NoDecode, BeforeValidator(split_list)]
Weights = Annotated[tuple[PositiveFloat, ...], _AT_LEAST_ONE, NoDecode, BeforeValidator(split_list)]


class AlsOptions(FrozenModel):
    """The grid of ALS models; several values are separated by commas."""

    als_rank: Ranks | None = Field(
        None,
        description="Number of latent factors; without it 64 for implicit and 32 for explicit ALS, and what a search "
        "draws. For ranking up to 256.",
        json_schema_extra={"flag": "--rank"},
    )
    als_reg: Weights | None = Field(
        None,
        description="Regularisation, times the number of interactions of each user and item; without it 4 for "
        "implicit and 0.1 for explicit ALS, and what a search draws. For ranking 1 to 30, more for higher alpha.",
        json_schema_extra={"flag": "--reg"},
    )
    als_alpha: Weights | None = Field(
        None,
        description="Confidence of an interaction in implicit ALS; without it 10, and what a search draws. For ranking "
        "10 to 40.",
        json_schema_extra={"flag": "--alpha"},
    )
    als_confidence: Confidence = Field(
        "interactions",
        description="What multiplies alpha in implicit ALS: 1 for all interactions (each user and item count once, "
        "however often they met), ratings by the user's mean, or recency: half for each half-life before the newest.",
        json_schema_extra={"flag": "--confidence"},
    )
    als_half_life_days: PositiveFloat = Field(
        365.0, description="Age in days at which the confidence of an interaction is half, for --confidence recency."
    )
    als_maxiter: PositiveInt | None = Field(
        None,
        description="Iterations of ALS; without it 16.",
        json_schema_extra={"flag": "--maxiter"},
    )
    curve_iterations: Iterations = Field(
        (), description="Also fit the best ALS model with so many iterations, such as 1,2,5, for a learning curve."
    )
    als_blocks: PositiveInt | None = Field(
        None,
        description="Blocks into which ALS parts users and items, which decides the order of sums; without it one for "
        "each 250,000 interactions, at most 4.",
    )
    als_seed: int = Field(42, description="Seed of the first factors.")
    als_engine: Literal["auto", "spark", "local"] = Field(
        "auto",
        description="What ALS is fitted by: Spark, this machine alone (some times as fast, with the same loss), or by "
        "auto this machine while candidates are compared on validation and Spark for what is tested and published.",
    )

    @property
    def fixed(self) -> Parameters:
        """The parameters that all points of the grid share."""
        blocks = {"n_blocks": self.als_blocks} if self.als_blocks else {}
        engine = {ENGINE: self.als_engine} if self.als_engine != "auto" else {}
        return {"maxiter": self.als_maxiter or USUAL_MAXITER, **blocks, "seed": self.als_seed, **engine}

    @property
    def weighted(self) -> Parameters:
        """The parameters that say how much an interaction counts for implicit ALS; none where all count alike."""
        if self.als_confidence == "interactions":
            return {}
        half_life = {"half_life_days": self.als_half_life_days} if self.als_confidence == "recency" else {}
        return {"confidence": self.als_confidence, **half_life}


@dataclass(frozen=True, eq=False)
class AlsModel(FactorModel, FoldIn):
    """Factors of ALS, with the parameters that give people it was not fitted to their factors (fold-in).

    A step of ALS solves, over the n items j that a person has, with factors y_j, for the person's factors x:

    - implicit: (Y'Y + alpha sum w_j y_j y_j' + reg n I) x = sum (1 + alpha w_j) y_j, where Y are the factors of all
      items, and w_j are the weights of `models.confidence.weigh`;
    - explicit: (sum y_j y_j' + reg n I) x = sum rating_j y_j, where j and n are of rated items alone.

    Attributes:
        implicit: Whether it was fitted to which items a user has, not to ratings.
        reg: Regularisation, above 0.
        alpha: Confidence of an interaction, implicit only.
        confidence: What the weights are of, implicit only.
        half_life_days: Of weights of recency, above 0.

    Raises:
        ValueError: If the factors are not those of a `FactorModel`, or a parameter cannot be used.
    """

    implicit: bool
    reg: float
    alpha: float = 1.0
    confidence: Confidence = "interactions"
    half_life_days: float = 365.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.confidence not in get_args(Confidence) or not 0 < self.half_life_days < math.inf:
            raise ValueError(
                f"confidence is {self.confidence!r}, with a half-life of {self.half_life_days} days; expected one of "
                f"{get_args(Confidence)}, and days above 0. Take those it was fitted with."
            )
        if not (0 < self.reg < math.inf and 0 <= self.alpha < math.inf):
            raise ValueError(
                f"reg is {self.reg} and alpha {self.alpha}; expected numbers above 0. Take those it was fitted with."
            )

    def fold_in(self, histories: Histories) -> NDArray[np.float32]:
        """Return the factors of people, shape (n_people, rank), as the last step of a fit would have found them.

        Those of a history that says nothing, empty or without ratings for a model of ratings, are zeros.
        """
        vectors = np.zeros((len(histories.items.indptr) - 1, self.item_factors.shape[1]), dtype=np.float32)
        values = self._values_of(histories)
        for vector, (start, stop) in zip(vectors, pairwise(histories.items.indptr.tolist()), strict=True):
            matrix, parts = self._equations(histories.items.items[start:stop], values[start:stop])
            if parts.any():
                vector[:] = np.linalg.solve(matrix, parts.sum(axis=1))
        return vectors

    def explain(self, history: Histories, items: Indices) -> NDArray[np.float32]:
        """Return what each item of a history adds to the scores of some items: Hu, Koren and Volinsky, section 5."""
        matrix, parts = self._equations(history.items.items, self._values_of(history))
        if not parts.any():
            return np.zeros((len(items), parts.shape[1]), dtype=np.float32)
        return (self.vectors_of(items) @ np.linalg.solve(matrix, parts)).astype(np.float32)

    def _values_of(self, histories: Histories) -> Floats:
        """Return what each item of histories stands for: its weight, or its rating."""
        if self.implicit:
            return weigh(histories, self.confidence, self.half_life_days)
        return histories.rating.astype(np.float64)

    def _equations(self, items: Indices, values: Floats) -> tuple[Floats, Floats]:
        """Return a person's matrix, and what each item adds to the right side, shape (rank, n_items)."""
        vectors = self.vectors_of(items)
        if self.implicit:
            n_used, weights = len(items), 1 + self.alpha * values
            matrix = self.gram + self.alpha * (vectors.T * values @ vectors)
        else:
            is_rated = np.isfinite(values)
            n_used, weights = int(is_rated.sum()), np.where(is_rated, values, 0)
            vectors[~is_rated] = 0
            matrix = vectors.T @ vectors
        matrix.flat[:: len(matrix) + 1] += self.reg * n_used
        return matrix, vectors.T * weights


class _Als(ModelKind[AlsOptions]):
    options = AlsOptions
    fitted = AlsModel
    groups = frozenset({"als"})
    cost = 10
    iterations = "maxiter"
    shown = ("rank", "reg", "alpha", "confidence", ENGINE)
    is_implicit: ClassVar[bool]
    usual_rank: ClassVar[tuple[int, ...]]
    usual_reg: ClassVar[tuple[float, ...]]

    def candidates(self, options: AlsOptions) -> Iterable[Parameters]:
        """Yield the points of the grid; alpha and confidence are no parameters of explicit ALS."""
        alphas = [{"alpha": alpha, **options.weighted} for alpha in options.als_alpha or USUAL_ALPHA]
        grid = (
            options.als_rank or self.usual_rank,
            options.als_reg or self.usual_reg,
            alphas if self.is_implicit else [{}],
        )
        for rank, reg, alpha in product(*grid):
            yield {"rank": rank, "reg": reg, **alpha, **options.fixed}

    def space(self, options: AlsOptions, *, has_timestamps: bool) -> Space:  # noqa: ARG002 - it uses none
        """Return what a search draws: the parameters that the options leave open."""
        return {name: one for name, one in self.ranges.items() if getattr(options, f"als_{name}") is None}

    def curve(self, options: AlsOptions) -> Sequence[int]:
        """Return the numbers of iterations that a learning curve is asked to show."""
        return options.curve_iterations

    def on_trial(self, parameters: Parameters, n_interactions: int) -> Parameters:
        """Return the parameters with the engine of this machine, unless another was asked for or there are too many."""
        return parameters if n_interactions > MOST_INTERACTIONS else {ENGINE: LOCAL, **parameters}

    def fit(self, interactions: Interactions, parameters: Parameters) -> AlsModel:
        """Have the interactions factorised by Spark, or by this machine; what this machine cannot, Spark refuses."""
        given = {"alpha": 1.0, **parameters, "implicit": self.is_implicit}
        factors = None
        if given.pop(ENGINE, None) == LOCAL:
            known = LocalFactorisation.model_fields.keys() & given.keys()
            factors = factorise_locally(interactions, LocalFactorisation(**{name: given[name] for name in known}))
        if factors is None:
            assert interactions.spark is not None, f"{self.name} is fitted by Spark"  # noqa: S101 - for the type checker
            factors = interactions.spark.factorise(given, SPARK_FOLDER)
        return AlsModel(*factors, **self._weights(parameters))

    def load(self, folder: Path, parameters: Parameters) -> AlsModel:
        """Return the model that was fitted with these parameters and saved in a folder, memory-mapped."""
        return AlsModel.load(folder, **self._weights(parameters))

    def _weights(self, parameters: Parameters) -> dict[str, Any]:
        given = {"reg": math.nan, "alpha": 1.0, **parameters}
        weights: dict[str, Any] = {name: given[name] for name in ("confidence", "half_life_days") if name in given}
        return {"implicit": self.is_implicit, "reg": float(given["reg"]), "alpha": float(given["alpha"]), **weights}


class ImplicitAls(_Als):
    """Factors learnt from which items a user has: Hu, Koren and Volinsky (ICDM 2008)."""

    name = "als-implicit"
    needs = frozenset({"spark"})
    is_implicit = True
    usual_rank = (64,)
    usual_reg = (4.0,)
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
    is_automatic = False
    predicts_ratings = True
    is_implicit = False
    usual_rank = (32,)
    usual_reg = (0.1,)
    ranges = MappingProxyType(
        {"rank": Range(4, 64, is_log=True, is_integer=True), "reg": Range(0.03, 0.5, is_log=True)}
    )
