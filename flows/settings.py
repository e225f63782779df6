"""The settings of every flow: one frozen model, read by entry points from flags, the environment and ``.env``."""

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, create_model, field_serializer
from pydantic_settings import SettingsConfigDict

from evaluation.options import SplitOptions
from flows.options import DaskOptions, NoticeOptions, RunOptions
from flows.variables import VariableSettings
from models.registry import ModelOptions, option_groups
from reviews.download import is_url
from reviews.ingest import IngestOptions
from reviews.options import DownloadOptions
from reviews.transfer import shown
from spark.options import DatasetOptions, SparkOptions
from tasks.options import (
    DriftOptions,
    EvaluationOptions,
    ModelChoice,
    PlaceOptions,
    ProductsInput,
    PromotionOptions,
    RecommendOptions,
    ReviewsInput,
    SelectionOptions,
    SubjectOptions,
    TrackingOptions,
)
from tasks.tracking import hide_user

ADDRESSES = ("input_reviews", "raw_reviews_url", "mlflow_tracking_uri", "dask_scheduler_address")

Part = TypeVar("Part", bound=BaseModel)

if TYPE_CHECKING:

    class ModelSettings(BaseModel):
        """The options of all kinds of model, flat."""
else:
    ModelSettings = create_model("ModelSettings", __base__=tuple(option_groups().values()))


class Settings(
    VariableSettings,
    RunOptions,
    PlaceOptions,
    ReviewsInput,
    ProductsInput,
    ModelChoice,
    DownloadOptions,
    IngestOptions,
    DriftOptions,
    DatasetOptions,
    SplitOptions,
    ModelSettings,
    SelectionOptions,
    EvaluationOptions,
    SubjectOptions,
    PromotionOptions,
    RecommendOptions,
    TrackingOptions,
    SparkOptions,
    DaskOptions,
    NoticeOptions,
):
    """Every setting of the project, flat: the variable of a field is its name in capitals.

    Raises:
        pydantic.ValidationError: If a value does not fit, or a name in ``.env`` is unknown.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        hide_input_in_errors=True,  # a worker logs them, and the input holds every secret
    )

    @field_serializer(
        "input_reviews", "raw_reviews_url", "mlflow_tracking_uri", "dask_scheduler_address", when_used="json"
    )
    def _without_secrets(self, address: str | None) -> str | None:
        """Leave out of what Prefect keeps of a run's parameters the user names, passwords and tokens in addresses."""
        return address if address is None else shown(address) if is_url(address) else hide_user(address)

    def part(self, kind: type[Part]) -> Part:
        """Return the options of one kind, to be passed on."""
        return kind(**{name: getattr(self, name) for name in kind.model_fields})

    @property
    def models(self) -> ModelOptions:
        """The options of all kinds of model."""
        return ModelOptions(**{name: self.part(group) for name, group in option_groups().items()})

    @property
    def subject_name(self) -> str:
        """What an evaluation is of."""
        if self.protocol == "original":
            return f"the original's sweeps on {self.input_name}"
        return self.recommendations_file.name if self.recommendations_file else self.model_name

    @property
    def model_name(self) -> str:
        """The model that is used."""
        return self.model_id or "the champion"

    @property
    def input_name(self) -> str:
        """Name of the file that is read, without its folder."""
        named = self.input_reviews or str(self.raw_reviews_path)
        return (shown(named) if is_url(named) else named).rsplit("/", 1)[-1]
