"""The options of tasks: inputs, places, tracking, selection, evaluation, promotion and recommendation."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from pydantic import Field, NonNegativeInt, PositiveInt, field_serializer

from evaluation.options import DriftLimits
from models.registry import AUTO, KindNames, split_names
from schema.errors import InvalidSettings
from schema.metric import RANKING_METRICS, Metric
from schema.options import FrozenModel
from storage.files import try_place
from storage.opening import open_store
from storage.protocol import Store
from storage.s3_options import S3Options

SQLITE = "sqlite:///"
SQLITE_HEADER = b"SQLite format 3\0"


def without_secrets(source: str) -> str:
    """Return a web address without user name, password and query; anything else, such as a path, unchanged.

    Example:
        >>> without_secrets("https://ada:word@host/a.gz?sign=1"), without_secrets("data/a.gz?")
        ('https://host/a.gz', 'data/a.gz?')
    """
    if not source.lower().startswith(("http://", "https://")):
        return source
    parts = urlsplit(source)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class StoreOptions(FrozenModel):
    """Where artifacts are."""

    store_uri: str = Field(
        "data/store",
        description="Root of the artifact store: a folder, s3://bucket/prefix, or memory://name in tests.",
        json_schema_extra={"flag": "--store", "metavar": "URI"},
    )
    s3: S3Options = S3Options()

    def open_store(self) -> Store:
        """Return the store under ``store_uri``."""
        return open_store(self.store_uri, self.s3)


class PlaceOptions(StoreOptions):
    """Where artifacts and scratch files go."""

    work_dir: Path = Field(
        Path("data/work"),
        description="Folder for scratch files; each run removes its own and those of runs that were killed, "
        "all but checkpoints, from which a fit that was cut off goes on within a week.",
    )

    def try_writing(self, store: Store | None = None) -> None:
        """Try that scratch files can be written, and artifacts to a store, by default the one under ``store_uri``.

        Raises:
            InvalidSettings: If a folder cannot be written to.
            InvalidInput: If a server refuses.
            OutOfSpace: If a disk is full.
        """
        try_place(self.work_dir, "--work-dir (or WORK_DIR)")
        (store or self.open_store()).try_writing()

    @property
    def cache_dir(self) -> Path:
        """Folder of local copies of a remote store's objects."""
        return self.work_dir / "cache"


class ReviewsInput(FrozenModel):
    """Reviews to read."""

    input_reviews: str | None = Field(
        None,
        description="Reviews or ratings: a path or a URL; JSON, CSV and the like, or Parquet, packed or not. "
        "Without it, RAW_REVIEWS_URL is downloaded to RAW_REVIEWS_PATH.",
        json_schema_extra={"flag": "--input"},
    )
    input_events: Literal["off", "on"] = Field(
        "off",
        description="Whether the events that servers shipped to the store are read beside the reviews: ratings, and "
        "purchases where the reviews have no ratings. With on, each new batch makes new ids.",
        json_schema_extra={"flag": "--events"},
    )

    @field_serializer("input_reviews", when_used="json")
    def _without_secrets(self, source: str | None) -> str | None:
        """Leave user name, password and query of an address out of what Prefect keeps of a run's parameters."""
        return source and without_secrets(source)


class ProductsInput(FrozenModel):
    """Products to name in the report and in what is served."""

    input_products: Path | None = Field(
        None,
        description="Product metadata, as Amazon's meta_*.json.gz or a table with titles, brands and categories, for "
        "models, the report and what is served; without it, what is served has those that it had before.",
        json_schema_extra={"flag": "--products"},
    )


class DriftOptions(DriftLimits):
    """How reviews are compared with those of the run before."""

    drift: Literal["warn", "refuse", "off"] = Field(
        "warn",
        description="What happens when reviews differ from those of the run before by more than the limits: warn and "
        "go on, refuse and stop before anything is trained, or off: no comparison.",
    )


SELECTION_METRICS = (
    *(f"{name}_10" for name in RANKING_METRICS),
    "held_out_only_precision_10",
    "held_out_only_ndcg_10",
)
if TYPE_CHECKING:
    SelectionMetric = str
else:
    SelectionMetric = Literal[SELECTION_METRICS]


class SelectionOptions(FrozenModel):
    """How the model is chosen."""

    select_by: SelectionMetric = Field(
        "ndcg_10",
        description="Metric on validation that chooses the model; the guard refuses one that cannot tell a random "
        f"scorer, a weak oracle and an oracle apart on this split. One of {', '.join(SELECTION_METRICS)}.",
    )
    guard: Literal["refuse", "warn"] = Field(
        "refuse", description="What happens when the metric is not fit to choose: stop, or go on and say so."
    )

    @property
    def metric(self) -> Metric:
        """The metric that chooses."""
        return Metric.parse(self.select_by)


class SearchOptions(FrozenModel):
    """What a search tries beyond the fixed candidates, and for how long."""

    search_kinds: KindNames = Field(
        AUTO,
        description="Kinds of model to try beside the baselines, by their names or those of groups, such as graph,als; "
        "auto: all that the data allow and that need not be asked for by name.",
        json_schema_extra={"flag": "--model"},
    )
    budget_minutes: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Minutes for which the search draws further candidates, begun when the fixed ones are scored; 0: "
        "none. Left out: by the number of interactions, within 5 minutes: of the quickest kind one for each 10,000, or "
        "5 million / interactions if that is less; of other kinds as many fewer as they take longer.",
    )
    search_tries: NonNegativeInt | None = Field(
        None, description="So many further candidates, however long they take, instead of the minutes."
    )
    search_seed: NonNegativeInt = Field(42, description="Seed of the candidates that are drawn.")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of kinds, or of groups of such, that are asked for."""
        return split_names(self.search_kinds)


class EvaluationOptions(FrozenModel):
    """Which users are evaluated."""

    evaluate_users: PositiveInt | None = Field(
        None,
        description="Evaluate a seeded sample of so many users. Without it, all on test, and on validation as many as "
        "have about 50,000 lists. Marked wherever shown; fewer lists cover less of the catalogue.",
    )
    evaluate_block_users: PositiveInt = Field(
        8192, description="Users ranked in one piece on a Dask worker; memory grows with it, results do not change."
    )


class SubjectOptions(FrozenModel):
    """What is evaluated."""

    recommendations_file: Path | None = Field(
        None,
        description="Recommendations made elsewhere, in any form that reviews may have: users, items, and rank or "
        "score unless the rows are in order.",
        json_schema_extra={"flag": "--recommendations", "metavar": "FILE", "variable": False},
    )
    as_is: bool = Field(
        default=False,
        description="Evaluate the published model as it stands, not fitted again: it may remember the test part.",
        json_schema_extra={"variable": False},
    )
    protocol: Literal["full-catalogue", "original"] = Field(
        "full-catalogue",
        description="full-catalogue: all items are ranked; original: the two sweeps of the original project, with its "
        "held-out-only figures beside honest ones.",
        json_schema_extra={"variable": False},
    )
    is_online: bool = Field(
        default=False,
        description="Report what people did with served recommendations, by model and scenario, and each A/B test; "
        "nothing is fitted.",
        json_schema_extra={"flag": "--online", "variable": False},
    )
    rolling_windows: NonNegativeInt = Field(
        0,
        description="Also evaluate at so many successive points in time, each a test part of --test-share of the rows.",
        json_schema_extra={"flag": "--windows"},
    )


class OnlineOptions(FrozenModel):
    """What people did with served recommendations."""

    online_days: PositiveInt = Field(
        28, description="Days, up to the newest impression, of which impressions count in --online and in A/B tests."
    )


class RecommendOptions(FrozenModel):
    """Recommendations."""

    top_n: PositiveInt = Field(10, description="Recommendations per user.")
    recommend_block_users: PositiveInt = Field(
        16_384, description="Users per task and per part file; the parts, and so their bytes, depend on it."
    )


class ModelChoice(FrozenModel):
    """Which published model is used."""

    model_id: str | None = Field(
        None,
        description="Id of a published model; without it, the champion, or for a promotion the newest.",
        json_schema_extra={"flag": "--model", "variable": False},
    )


class TrackingOptions(FrozenModel):
    """Where runs are tracked."""

    mlflow_tracking_uri: str = Field(
        "sqlite:///mlflow.db", description="MLflow tracking server, or an SQLite file in the working folder."
    )
    mlflow_experiment: str = Field("ALS_Recommender", description="Name of the MLflow experiment.")
    mlflow_artifact_dir: Path = Field(
        Path("data/mlflow-artifacts"),
        description="Folder of run artifacts when runs are tracked in SQLite; a server keeps its own.",
    )

    @property
    def database(self) -> Path | None:
        """The SQLite file that runs are tracked in; None where a server or another database has them."""
        name = self.mlflow_tracking_uri.removeprefix(SQLITE).partition("?")[0]
        return Path(name) if name and self.mlflow_tracking_uri.startswith(SQLITE) else None

    def try_writing(self) -> None:
        """Try that runs can be tracked in SQLite, where they are.

        Raises:
            InvalidSettings: If the database or the folder cannot be written to, or the file is no database.
            OutOfSpace: If a disk is full.
        """
        if self.database is None:
            return
        setting = "--mlflow-tracking-uri (or MLFLOW_TRACKING_URI)"
        try_place(self.database, setting, is_file=True)
        try_place(self.mlflow_artifact_dir, "--mlflow-artifact-dir (or MLFLOW_ARTIFACT_DIR)")
        if self.database.exists():
            with self.database.open("rb") as file:
                found = file.read(len(SQLITE_HEADER))
            if found not in (b"", SQLITE_HEADER):
                raise InvalidSettings(
                    f"{setting}: {self.database} begins with {found!r}, which no SQLite database does. Name another "
                    "file; one that is not there is made."
                )
