"""Settings: how the groups of options that a flow takes are read from flags, the environment and ``.env``.

A group is a small frozen pydantic model. The names of its fields are unique in the project, so that outside they are
flat: the field ``min_interactions`` is the flag ``--min-interactions``, the variable ``MIN_INTERACTIONS`` and the line
in ``.env``. A flag wins over the environment, the environment over ``.env``, and that over the default.

A field states in its ``json_schema_extra`` what its name does not: ``flag``, its name on the command line, or False for
a secret, which has none (others may read command lines) and of which no message shows a value; ``metavar``, the name
of its value; ``variable: False`` that it comes from the command line only, never from the environment.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Any, TypeGuard, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from evaluation.options import PromotionOptions, SplitOptions
from flows.run_options import RunOptions
from models.registry import ModelOptions
from reviews.options import DownloadOptions, IngestOptions, LookUpOptions
from schema.errors import InvalidSettings
from schema.options import FrozenModel
from spark.options import GIB, MEMORY, DatasetOptions, SparkOptions, memory_bytes
from tasks.options import (
    DriftOptions,
    EvaluationOptions,
    ModelChoice,
    OnlineOptions,
    PlaceOptions,
    ProductsInput,
    RecommendOptions,
    ReviewsInput,
    SearchOptions,
    SelectionOptions,
    SubjectOptions,
    TrackingOptions,
    without_secrets,
)

Group = TypeVar("Group", bound=BaseModel)

API_PREFIX = "api_"  # of the settings of the API, which reads the same .env


def _enough_to_start(memory: str) -> str:
    if memory_bytes(memory) < GIB // 2:
        raise ValueError("expected 512m or more: Python and the libraries alone take 300 MB")
    return memory


WorkerMemory = Annotated[str, Field(pattern=MEMORY), AfterValidator(_enough_to_start)]
"""Memory of a Dask worker, as Java writes it; with less, one is killed before it has done anything, again and again."""


class DaskOptions(FrozenModel):
    """Dask: where row-parallel tasks run."""

    dask_scheduler_address: str | None = Field(
        None,
        description="Address of a running Dask scheduler; without it, the run starts workers of its own.",
    )
    dask_workers: int = Field(
        0,
        ge=0,
        description="Worker processes to start; 0 runs the tasks in threads of the run's own process, "
        "which starts at once.",
    )
    dask_worker_memory: WorkerMemory | None = Field(
        None,
        description="memory of each worker of the run's own, such as 2g, at 95 % of which it is killed; by "
        "default an equal share of what Spark's heap leaves of the machine",
    )

    def worker_bytes(self, machine_bytes: int, heap: str) -> int:
        """Return the memory of each worker.

        Args:
            machine_bytes: Of the machine.
            heap: Of Spark's driver, such as 6g.

        Example:
            >>> DaskOptions(dask_workers=2).worker_bytes(24 * 1024**3, heap="6g") / 1024**3
            9.0
        """
        if self.dask_worker_memory:
            return memory_bytes(self.dask_worker_memory)
        return max(machine_bytes - memory_bytes(heap), machine_bytes // 2) // (self.dask_workers or 1)


def _web_address(secret: SecretStr) -> SecretStr:
    try:
        address = urlsplit(secret.get_secret_value())
    except ValueError:
        address = urlsplit("")
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError("expected an http:// or https:// address, such as https://hooks.example.org/recommender")
    return secret


class NoticeOptions(FrozenModel):
    """Who gets a notice when a run fails."""

    # Left out of every dump and schema, because it may hold a token.
    notice_webhook_url: SkipJsonSchema[Annotated[SecretStr, AfterValidator(_web_address)] | None] = Field(
        None,
        exclude=True,
        description="Address that a JSON notice is posted to when a run fails or crashes; docs/notices.md.",
        json_schema_extra={"flag": False},
    )


class Environment(FrozenModel):
    """Where a run reads and writes, what it runs on and how it reports; never a parameter of a flow."""

    places: PlaceOptions = PlaceOptions()
    download: DownloadOptions = DownloadOptions()
    tracking: TrackingOptions = TrackingOptions()
    spark: SparkOptions = SparkOptions()
    dask: DaskOptions = DaskOptions()
    notice: NoticeOptions = NoticeOptions()
    run: RunOptions = RunOptions()


class Settings(Environment):
    """Every setting that may come from the environment: that of a run, and the groups that flows take."""

    reviews: ReviewsInput = ReviewsInput()
    products: ProductsInput = ProductsInput()
    look_up: LookUpOptions = LookUpOptions()
    model: ModelChoice = ModelChoice()
    subject: SubjectOptions = SubjectOptions()
    ingest: IngestOptions = IngestOptions()
    drift: DriftOptions = DriftOptions()
    dataset: DatasetOptions = DatasetOptions()
    split: SplitOptions = SplitOptions()
    models: ModelOptions = ModelOptions()
    search: SearchOptions = SearchOptions()
    selection: SelectionOptions = SelectionOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    promotion: PromotionOptions = PromotionOptions()
    online: OnlineOptions = OnlineOptions()
    recommend: RecommendOptions = RecommendOptions()


DEFAULT = Settings()


def read(kind: type[Group], given: Mapping[str, Any] | None = None, *, is_strict: bool = True) -> Group:
    """Return a group, or a group of groups, with the values that the user gave.

    Args:
        kind: Of the group.
        given: Values by flat name, such as those of flags; they win over the environment and ``.env``.
        is_strict: Whether a name in ``.env`` that is no variable is refused.

    Raises:
        InvalidSettings: If a value does not fit, or a name in ``.env`` is unknown.
    """
    values = nest(kind, {**read_variables(is_strict=is_strict), **(given or {})})
    with explaining(kind):
        return kind.model_validate(values)


def read_variables(*, is_strict: bool = True) -> dict[str, str]:
    """Return the text of every setting that the environment or ``.env`` has, by flat name.

    Raises:
        InvalidSettings: If it is strict and a name in ``.env`` is unknown.
    """
    with explaining(Settings):
        found = _variables()()
    unknown = sorted(name.upper() for name in found.model_extra or () if not name.lower().startswith(API_PREFIX))
    if unknown and is_strict:
        advice = "unknown setting; 'python flows/train.py --help' lists those that there are"
        raise InvalidSettings("\n".join(f"{name}: {advice}" for name in unknown))
    return {name: value for name, value in found if value is not None and name in variables()}


@cache
def _variables() -> type[BaseSettings]:
    config = SettingsConfigDict(
        extra="allow", env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, hide_input_in_errors=True
    )
    base = type("_Variables", (BaseSettings,), {"model_config": config})
    fields: dict[str, Any] = dict.fromkeys(variables(), (str | None, None))
    return create_model("Variables", __base__=base, **fields)


def nest(kind: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat values in the form of a group of groups, without the groups that have none.

    Example:
        >>> nest(Settings, {"als_rank": [8], "top_n": 5})
        {'models': {'als': {'als_rank': [8]}}, 'recommend': {'top_n': 5}}
    """
    own = {name: values[name] for name in own_fields(kind) if name in values}
    groups = {name: field.annotation for name, field in kind.model_fields.items() if is_group(field.annotation)}
    return own | {name: found for name, group in groups.items() if (found := nest(group, values))}


def flat_fields(kind: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a group and of the groups in it, by name."""
    return {name: field for group in groups_in(kind) for name, field in own_fields(group).items()}


def flat_values(group: BaseModel) -> dict[str, Any]:
    """Return the values of a group and of the groups in it, JSON values, by name."""
    values: dict[str, Any] = {}
    for name, value in group.model_dump(mode="json").items():
        values |= flat_values(getattr(group, name)) if isinstance(getattr(group, name), BaseModel) else {name: value}
    return values


def groups_in(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a group, then the groups in it."""
    yield kind
    for field in kind.model_fields.values():
        if is_group(field.annotation):
            yield from groups_in(field.annotation)


def own_fields(kind: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a group that are no groups themselves."""
    return {name: field for name, field in kind.model_fields.items() if not is_group(field.annotation)}


def is_group(annotation: Any) -> TypeGuard[type[BaseModel]]:
    """Tell whether a type is that of a group of options."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def flag_of(name: str, field: FieldInfo) -> str:
    """Return the flag of a setting: its own where it names one, else its name with dashes."""
    return str(extra_of(field).get("flag") or "--" + name.replace("_", "-"))


def is_secret(field: FieldInfo) -> bool:
    """Tell whether a setting comes from the environment only, and is never shown."""
    return extra_of(field).get("flag") is False


@cache
def variables() -> frozenset[str]:
    """Return the settings that may also come from the environment: those of `Settings` that do not say otherwise."""
    fields = flat_fields(Settings).items()
    return frozenset(name for name, field in fields if extra_of(field).get("variable", True))


def extra_of(field: FieldInfo) -> dict[str, Any]:
    """Return what a field states about its flag."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def input_name(reviews: ReviewsInput) -> str:
    """Return the name of the file that a run reads, without its folder and without what an address hides."""
    named = reviews.input_reviews or str(read(Environment).download.raw_reviews_path)
    return without_secrets(named).rsplit("/", 1)[-1]


@contextmanager
def explaining(kind: type[BaseModel]) -> Iterator[None]:
    """Raise what does not fit as `InvalidSettings`, without the cause, which holds values that may be secret."""
    try:
        yield
    except ValidationError as error:
        raise InvalidSettings("\n".join(_explain(problem, kind) for problem in error.errors())) from None


def _explain(problem: ErrorDetails, kind: type[BaseModel]) -> str:
    """Return what does not fit in one line: the flag, what was expected and what was found."""
    message = problem["msg"].removeprefix("Value error, ")
    fields = flat_fields(kind)
    name = next((str(part) for part in reversed(problem["loc"]) if part in fields), "")
    if not name:
        return message
    field = fields[name]
    if is_secret(field):
        return f"{name.upper()}: {message}"
    variable = f" (or {name.upper()})" if name in variables() else ""
    return f"{flag_of(name, field)}{variable}: {message}; found {problem['input']!r}"
