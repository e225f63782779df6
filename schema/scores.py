"""Scores of parts of the users, the items and the rows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

from schema.metric import Metric


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
