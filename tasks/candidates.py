"""What competes: the baselines, always, and the points of the ALS grid."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, PositiveInt
from pydantic_settings import NoDecode

from models.bias import BiasOptions
from models.item_knn import ItemKnnOptions
from models.popularity import PopularityOptions
from schema.errors import InvalidInput

IMPLICIT = "als-implicit"
EXPLICIT = "als-explicit"
RANDOM = "random"
POPULARITY = "popularity"
RECENT_POPULARITY = "recent-popularity"
ITEM_KNN = "item-knn"
GLOBAL_MEAN = "global-mean"
BIAS = "bias"
ALS_MODELS = (IMPLICIT, EXPLICIT)
RATING_MODELS = (EXPLICIT, GLOBAL_MEAN, BIAS)
BASELINES = (RANDOM, POPULARITY, RECENT_POPULARITY, ITEM_KNN, GLOBAL_MEAN, BIAS)
# What they say of a user does not depend on the user, so they have something for one that nothing is known of.
IMPERSONAL_MODELS = (RANDOM, POPULARITY, RECENT_POPULARITY)
RANDOM_SEED = 42


def split_list(value: object) -> object:
    """Return '32,64' as its parts; anything else unchanged."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Ranks = Annotated[tuple[PositiveInt, ...], NoDecode, BeforeValidator(split_list), Field(min_length=1)]
Iterations = Annotated[tuple[PositiveInt, ...], NoDecode, BeforeValidator(split_list)]
Weights = Annotated[tuple[PositiveFloat, ...], NoDecode, BeforeValidator(split_list), Field(min_length=1)]
AlsKinds = Annotated[
    tuple[Literal["implicit", "explicit"], ...], NoDecode, BeforeValidator(split_list), Field(min_length=1)
]


class SearchOptions(BaseModel):
    """The grid of ALS models; several values are separated by commas."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    als_models: AlsKinds = Field(
        ("implicit", "explicit"),
        description="Kinds of ALS to try; explicit needs ratings.",
        json_schema_extra={"flag": "--models"},
    )
    als_rank: Ranks = Field((32,), description="Number of latent factors.", json_schema_extra={"flag": "--rank"})
    als_reg: Weights | None = Field(
        None,
        description="Regularisation; without it 1,5 for implicit and 0.1 for explicit ALS.",
        json_schema_extra={"flag": "--reg"},
    )
    als_alpha: Weights = Field(
        (10.0,),
        description="Confidence of an interaction in implicit ALS.",
        json_schema_extra={"flag": "--alpha"},
    )
    als_maxiter: PositiveInt = Field(10, description="Iterations of ALS.", json_schema_extra={"flag": "--maxiter"})
    curve_iterations: Iterations = Field(
        (),
        description="Also fit the best ALS model with so many iterations, such as 1,2,5, for a learning curve.",
    )
    als_blocks: PositiveInt = Field(
        4, description="Blocks into which ALS parts users and items; it decides the order of sums."
    )
    als_seed: int = Field(42, description="Seed of the first factors.")


class Candidate(BaseModel):
    """One model with its parameters; ``parameters`` are those of its kind, JSON values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    parameters: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The model and the parameters that tell it from others of its kind."""
        shown = [f"{name} {self.parameters[name]:g}" for name in ("rank", "reg", "alpha") if name in self.parameters]
        return ", ".join([self.model, *shown])

    @property
    def is_baseline(self) -> bool:
        """Whether it is there to be beaten."""
        return self.model in BASELINES

    @property
    def predicts_ratings(self) -> bool:
        """Whether its scores are ratings, so that RMSE means something."""
        return self.model in RATING_MODELS

    @property
    def ranks(self) -> bool:
        """Whether its scores order items, so that it can be chosen for ranking: a constant's order is that of ties."""
        return self.model != GLOBAL_MEAN

    @property
    def is_impersonal(self) -> bool:
        """Whether it has lists for users of whom nothing is known."""
        return self.model in IMPERSONAL_MODELS


# What a metric is tried with before it may decide anything; the oracle needs no fit.
YARDSTICKS = (
    Candidate(model=RANDOM, parameters={"seed": RANDOM_SEED}),
    Candidate(model=POPULARITY, parameters={}),
)


def candidates(
    options: SearchOptions,
    popularity: PopularityOptions,
    item_knn: ItemKnnOptions,
    bias: BiasOptions,
    *,
    has_ratings: bool,
    has_timestamps: bool,
) -> tuple[Candidate, ...]:
    """Return the baselines that the data allow, then the grid.

    Raises:
        InvalidInput: If the models asked for need ratings that the data do not have.
    """
    if "implicit" not in options.als_models and not has_ratings:
        raise InvalidInput(
            f"--models {','.join(options.als_models)} needs ratings, and the input has none. "
            "Use --models implicit, or ingest again with a rating column (--columns …,rating=…)."
        )
    baselines = [*YARDSTICKS, Candidate(model=ITEM_KNN, parameters=item_knn.model_dump())]
    if has_timestamps:
        baselines.append(Candidate(model=RECENT_POPULARITY, parameters=popularity.model_dump()))
    if has_ratings:
        baselines.append(Candidate(model=GLOBAL_MEAN, parameters={}))
        baselines.append(Candidate(model=BIAS, parameters=bias.model_dump()))
    return (*baselines, *_grid(options, has_ratings=has_ratings))


def _grid(options: SearchOptions, *, has_ratings: bool) -> Iterator[Candidate]:
    fixed = {"maxiter": options.als_maxiter, "n_blocks": options.als_blocks, "seed": options.als_seed}
    if "implicit" in options.als_models:
        for rank, reg, alpha in product(options.als_rank, options.als_reg or (1.0, 5.0), options.als_alpha):
            yield Candidate(model=IMPLICIT, parameters={"rank": rank, "reg": reg, "alpha": alpha, **fixed})
    if "explicit" in options.als_models and has_ratings:
        for rank, reg in product(options.als_rank, options.als_reg or (0.1,)):
            yield Candidate(model=EXPLICIT, parameters={"rank": rank, "reg": reg, **fixed})
