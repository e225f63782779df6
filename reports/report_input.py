"""Records of all that a report shows, filled from manifests, counts and metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from reports.data_summary import Distributions
from reports.reading import FileSummary
from schema.dataset import DatasetCounts, ReviewCounts
from schema.metric import CalibrationBin, HistogramBin, Metric, MetricRow, SegmentScore
from schema.verdicts import Comparison, Finding, Guard, Lead

PRIMARY = Metric("ndcg", 10)
"""The metric by which models are ordered and compared."""
HEADLINES = (PRIMARY, Metric("recall", 10), Metric("hit_rate", 10), Metric("coverage", 10), Metric("rmse"))
"""The metrics of short tables."""


@dataclass(frozen=True)
class ScoredModel:
    """A candidate or baseline with its parameters and the metrics measured for it on one split.

    Its role is "chance" for a random scorer, "popular" for the same popular items for everyone.
    """

    label: str
    parameters: Mapping[str, object]
    metrics: Sequence[MetricRow]
    is_baseline: bool = False
    is_chosen: bool = False
    role: str | None = None

    def find(self, metric: Metric) -> MetricRow | None:
        """Return the measurement of a metric, or None if it was not taken."""
        return next((row for row in self.metrics if row.key == metric), None)


@dataclass(frozen=True)
class Source:
    """The raw file: its name, digest and size in bytes."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class SplitPart:
    """One part of the split: `train`, `validation` or `test`."""

    name: str
    n_rows: int
    n_users: int
    n_items: int


@dataclass(frozen=True)
class SplitSummary:
    """Description of the split in words, with the counts of each part.

    `n_cold_users` and `n_cold_items` count those of the test part that training never saw; the core is a sentence on
    the rows that the k-core is of.
    """

    description: str
    parts: Sequence[SplitPart]
    n_cold_users: int = 0
    n_cold_items: int = 0
    core: str = ""


@dataclass(frozen=True)
class HistoryEntry:
    """One item of a user's past, with the rating and day where the input has them."""

    item: str
    rating: float | None = None
    day: date | None = None


@dataclass(frozen=True)
class RecommendedItem:
    """One recommendation; `is_hit` says that the user's held-out items contain it."""

    rank: int
    item: str
    score: float
    is_hit: bool = False


@dataclass(frozen=True)
class ExampleUser:
    """A user's history (latest first), held-out items and recommendations."""

    user_id: str
    history: Sequence[HistoryEntry]
    held_out: Sequence[str]
    recommendations: Sequence[RecommendedItem]


@dataclass(frozen=True)
class WindowScores:
    """One window of a rolling evaluation: its label, and the models measured in it."""

    label: str
    models: Sequence[ScoredModel]


@dataclass(frozen=True)
class SearchedKind:
    """A kind of model that a search drew candidates of.

    Attributes:
        name: Its name.
        n_tried: Candidates, the fixed ones among them.
        n_dropped: Those of them that were dropped: clearly worse on a sample of the users, by a single fit not the best
            of a rolling split, or no better than a part.
        best: The metric of the best one on validation, of all where all were dropped.
        effects: Parameter -> how much of the differences between the candidates it explains by itself, from 0 to 1.
    """

    name: str
    n_tried: int
    n_dropped: int
    best: MetricRow
    effects: Mapping[str, float]


@dataclass(frozen=True)
class DataSummary:
    """Summary of the data, from the raw file to the split.

    Attributes:
        is_sample_data: Whether the input is the project's generated sample; shown as a banner.
        min_interactions: The k of the k-core.
        file: How the raw file was read, and what of it was put aside.
        notes: What the input lacks or repeats, in plain words.
    """

    is_sample_data: bool
    source: Source
    reviews: ReviewCounts
    dataset: DatasetCounts
    min_interactions: int
    file: FileSummary
    split: SplitSummary
    distributions: Distributions
    notes: Sequence[str] = ()

    @property
    def input_name(self) -> str:
        """What the input is called in a title."""
        return "sample data" if self.is_sample_data else self.source.name


@dataclass(frozen=True)
class BesideChampion:
    """What users would notice if a model took the place of the champion.

    Attributes:
        model_id: The champion.
        label: Its kind and parameters.
        change: How lists and the NDCG@10 of users change.
        by_change: Users by how much their NDCG@10 would change, from the largest fall.
    """

    model_id: str
    label: str
    change: Finding
    by_change: Sequence[HistogramBin]


@dataclass(frozen=True)
class Evidence:
    """Evidence on the tested models beside their metrics.

    Attributes:
        comparisons: The chosen model against every baseline on test, paired by user.
        findings: What was checked, and what came of it.
        segments: Label of a tested model -> its scores by groups of items and users.
        ndcg_histogram: Users of the chosen model by NDCG@10, from 0.
        calibration: Predicted against actual ratings, from the lowest bin.
        calibration_label: The model that predicted those ratings.
        beside: The chosen model beside the champion, where that is another one.
    """

    comparisons: Sequence[Comparison] = ()
    findings: Sequence[Finding] = ()
    segments: Mapping[str, Sequence[SegmentScore]] = field(default_factory=dict)
    ndcg_histogram: Sequence[HistogramBin] = ()
    calibration: Sequence[CalibrationBin] = ()
    calibration_label: str = ""
    beside: BesideChampion | None = None


@dataclass(frozen=True)
class ReportInput:
    """Everything the report shows.

    Attributes:
        ids: What is behind the report, from the raw file on -> its id; `Model` is the chosen or evaluated model.
        test: The chosen model and the baselines, measured on test.
        candidates: All models compared on validation, baselines among them, exactly one chosen; none where nothing was
            chosen but one model evaluated.
        searched: What was drawn beside the fixed candidates, by kind, the best first.
        guard: Whether the metric that chooses can tell a good model from a bad one.
        lead: Whether the choice could be luck of the validation split.
        additions: Part of the chosen model -> the chosen model against what is left without the part, on test.
        curve: (iteration, NDCG@10 on validation) of the chosen candidate, in order.
        windows: Rolling windows, oldest first.
        original: Models by the original project's protocol, a random one among them, with honest metrics beside.
        sampled_users: Users drawn for the evaluation on test; None if all were evaluated.
        validation_users: Users drawn for that on validation; None if all were.
    """

    title: str
    ids: Mapping[str, str]
    data: DataSummary
    test: Sequence[ScoredModel]
    candidates: Sequence[ScoredModel] = ()
    searched: Sequence[SearchedKind] = ()
    evidence: Evidence = Evidence()
    guard: Guard | None = None
    lead: Lead | None = None
    additions: Mapping[str, Comparison] = field(default_factory=dict)
    curve: Sequence[tuple[int, MetricRow]] = ()
    windows: Sequence[WindowScores] = ()
    original: Sequence[ScoredModel] = ()
    examples: Sequence[ExampleUser] = ()
    sampled_users: int | None = None
    validation_users: int | None = None

    def __post_init__(self) -> None:
        for split, models in (("validation", self.candidates), ("test", self.test)):
            chosen = [model.label for model in models if model.is_chosen]
            if len(chosen) != 1 and (models or split == "test"):
                raise ValueError(
                    f"the {split} table marks {len(chosen)} models as chosen ({chosen}), expected exactly 1. "
                    "Set is_chosen on the model that the search picked, and on no other."
                )

    @property
    def chosen_on_test(self) -> ScoredModel:
        """The chosen model with its test metrics."""
        return next(model for model in self.test if model.is_chosen)
