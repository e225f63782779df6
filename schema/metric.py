"""The key of a metric and the numbers measured by it, over all and over parts, the same from the array to the page."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

from pydantic import JsonValue

RANKING_METRICS = ("ndcg", "recall", "hit_rate", "precision", "mrr", "map")
"""Metrics of how good ranked lists are, in the order in which readers get them; each may choose a model."""
HELD_OUT_ONLY = "held_out_only_"
"""Prefix of metrics for which each user's held-out rows alone are ranked, not the full catalogue."""


class Metric(NamedTuple):
    """A metric at a cut-off, such as NDCG@10; written ``ndcg_10``.

    Attributes:
        name: Lower-case name, such as "ndcg" or "rmse".
        k: Cut-off, None for a metric without one.

    Example:
        >>> str(Metric("hit_rate", 10)), Metric.parse("rmse")
        ('hit_rate_10', Metric(name='rmse', k=None))
    """

    name: str
    k: int | None = None

    @property
    def is_held_out_only(self) -> bool:
        """Whether only each user's held-out rows are ranked."""
        return self.name.startswith(HELD_OUT_ONLY)

    @property
    def plain(self) -> "Metric":
        """The same metric without the prefix that says what is ranked.

        Example:
            >>> str(Metric("held_out_only_ndcg", 10).plain)
            'ndcg_10'
        """
        return Metric(self.name.removeprefix(HELD_OUT_ONLY), self.k)

    def __str__(self) -> str:
        return self.name if self.k is None else f"{self.name}_{self.k}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the metric that ``str`` wrote.

        Example:
            >>> Metric.parse("held_out_only_ndcg_10")
            Metric(name='held_out_only_ndcg', k=10)
        """
        name, _, k = text.rpartition("_")
        return cls(name, int(k)) if k.isdecimal() and name else cls(text)


@dataclass(frozen=True)
class MetricRow:
    """One metric of one model on one part of a split.

    Attributes:
        model: Name of the model, such as "als" or "popularity".
        parameters: What the model was fitted with.
        split: "validation" or "test".
        metric: Lower-case name, such as "ndcg" or "rmse".
        k: Cut-off, None for metrics without one.
        value: The metric over all users counted.
        low: Lower end of its 95 % interval over users.
        high: Upper end of its 95 % interval over users.
        n_users: Users counted.
    """

    model: str
    parameters: Mapping[str, JsonValue]
    split: str
    metric: str
    k: int | None
    value: float
    low: float
    high: float
    n_users: int

    @property
    def key(self) -> Metric:
        """The metric and its cut-off."""
        return Metric(self.metric, self.k)


@dataclass(frozen=True)
class SegmentScore:
    """One metric over the users of one segment.

    Attributes:
        group: What the segments part, such as "item popularity"; segment is one of them, such as "tail".
        metric: The metric.
        value: Mean over the n_users of the segment; low and high are its 95 % interval over users.
    """

    group: str
    segment: str
    metric: Metric
    value: float
    low: float
    high: float
    n_users: int

    def as_row(self) -> dict[str, Any]:
        """Return the score as JSON values, the name of the metric and its cut-off apart."""
        return {**asdict(self), "metric": self.metric.name, "k": self.metric.k}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the score of a row.

        Example:
            >>> score = SegmentScore("user age", "new", Metric("ndcg", 10), 0.2, 0.1, 0.3, n_users=7)
            >>> SegmentScore.from_row(score.as_row()) == score
            True
        """
        named = {name: value for name, value in row.items() if name not in ("metric", "k")}
        return cls(**named, metric=Metric(row["metric"], row["k"]))


@dataclass(frozen=True)
class CalibrationBin:
    """Rows whose predicted rating lies in [low, high]: how many, and the means of predicted and actual."""

    low: float
    high: float
    n_rows: int
    mean_predicted: float
    mean_actual: float


class HistogramBin(NamedTuple):
    """Users whose score lies in [low, high), or [low, high] in the last bin; a bin from 0 to 0 holds those with 0."""

    low: float
    high: float
    n_users: int
