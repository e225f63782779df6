"""Values in short: their mean and quantiles, and how many lie in which range."""

from dataclasses import dataclass
from typing import Literal

Side = Literal["users", "items"]


@dataclass(frozen=True)
class Distribution:
    """Mean and quantiles of some values, in their unit; quantiles are interpolated linearly, as numpy does.

    Attributes:
        n: How many values.
        deviation: Standard deviation over all of them, divided by n.
    """

    n: int
    mean: float
    deviation: float
    least: float
    p10: float
    p25: float
    median: float
    p75: float
    p90: float
    p99: float
    greatest: float


@dataclass(frozen=True)
class Bar:
    """How many values lie from low to high; where the next bar begins at high, high itself is in that one.

    A bar of a single value has it as both.
    """

    low: float
    high: float
    n: int
