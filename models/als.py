"""Alternating least squares, on interactions or on ratings: fitted by Spark, kept as factors."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from pydantic_settings import NoDecode

from models.base import Interactions, ModelKind, Parameters
from models.factors import FactorModel
from schema.errors import InvalidInput
from schema.options import FrozenModel

SPARK_FOLDER = "als_model"


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
    als_rank: Ranks = Field((32,), description="Number of latent factors.", json_schema_extra={"flag": "--rank"})
    als_reg: Weights | None = Field(
        None,
        description="Regularisation; without it 1,5 for implicit and 0.1 for explicit ALS.",
        json_schema_extra={"flag": "--reg"},
    )
    als_alpha: Weights = Field(
        (10.0,), description="Confidence of an interaction in implicit ALS.", json_schema_extra={"flag": "--alpha"}
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


class _Als(ModelKind[AlsOptions]):
    options = AlsOptions
    fitted = FactorModel
    iterations = "maxiter"
    shown = ("rank", "reg", "alpha")
    is_implicit: ClassVar[bool]
    usual_reg: ClassVar[tuple[float, ...]]

    def candidates(self, options: AlsOptions) -> Iterable[Parameters]:
        """Yield the points of the grid; alpha is no parameter of explicit ALS."""
        if self.name.removeprefix("als-") in options.als_models:
            alphas = [{"alpha": alpha} for alpha in options.als_alpha] if self.is_implicit else [{}]
            for rank, reg, alpha in product(options.als_rank, options.als_reg or self.usual_reg, alphas):
                yield {"rank": rank, "reg": reg, **alpha, **options.fixed}

    def curve(self, options: AlsOptions) -> Sequence[int]:
        """Return the numbers of iterations that a learning curve is asked to show."""
        return options.curve_iterations

    def fit(self, interactions: Interactions, parameters: Parameters) -> FactorModel:
        """Have Spark factorise the interactions."""
        assert interactions.factorise is not None, f"{self.name} is fitted by Spark"  # noqa: S101 - for the type checker
        given = {"alpha": 1.0, **parameters, "implicit": self.is_implicit}
        return FactorModel(*interactions.factorise(given, SPARK_FOLDER))


class ImplicitAls(_Als):
    """Factors learnt from which items a user has: Hu, Koren and Volinsky (ICDM 2008)."""

    name = "als-implicit"
    needs = frozenset({"spark"})
    is_implicit = True
    usual_reg = (1.0, 5.0)


class ExplicitAls(_Als):
    """Factors learnt from ratings: Zhou et al. (AAIM 2008). Alpha is no parameter of it."""

    name = "als-explicit"
    needs = frozenset({"ratings", "spark"})
    predicts_ratings = True
    is_implicit = False
    usual_reg = (0.1,)

    def leave_out(self, options: AlsOptions) -> None:
        """Refuse data without ratings where no other model of the grid is asked for."""
        if "implicit" not in options.als_models:
            raise InvalidInput(
                f"--models {','.join(options.als_models)} needs ratings, and the input has none. "
                "Use --models implicit, or ingest again with a rating column (--columns …,rating=…)."
            )
