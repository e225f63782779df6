"""One figure of two deliveries of reviews, with the limit that it is held to."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["rows", "users", "items", "stars", "rows per user", "Unix seconds", "share"]
Measure = Literal["times as many", "PSI", "share", "days", "rise of the share"]


@dataclass(frozen=True)
class DriftFigure:
    """One figure of two deliveries.

    Attributes:
        name: What it is, as in ``drift.json``.
        unit: Unit of before and now.
        before: Its value in the earlier reviews; None where they have no such thing.
        now: Its value in these.
        measure: What change is.
        change: How far they are apart; None where one of them is missing, or there is nothing to divide by.
        limit: The least that change may be for row ratio and days, the most for the others; None: for information.
        setting: Name of the setting that the limit comes from; empty where there is none.
    """

    name: str
    unit: Unit
    before: float | None
    now: float | None
    measure: Measure
    change: float | None
    limit: float | None = None
    setting: str = ""

    @property
    def is_least(self) -> bool:
        """Whether the limit is the least that change may be, and not the most."""
        return self.measure in ("times as many", "days")

    @property
    def is_beyond(self) -> bool:
        """Whether it passes its limit; so does what was there before and is missing now, or the other way round."""
        if self.limit is None:
            return False
        if self.change is None:
            return (self.before is None) != (self.now is None)
        return self.change < self.limit if self.is_least else self.change > self.limit
