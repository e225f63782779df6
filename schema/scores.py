"""Scores of parts of the users, the items and the rows."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class SegmentScore:
    """One metric over the users of one segment.

    Attributes:
        group: What the segments part, such as "item popularity"; segment is one of them, such as "tail".
        metric: Lower-case name, such as "ndcg", at cut-off k.
        value: Mean over the n_users of the segment; low and high are its 95 % interval over users.
    """

    group: str
    segment: str
    metric: str
    k: int
    value: float
    low: float
    high: float
    n_users: int


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
