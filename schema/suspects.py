"""Users and items that chance does not explain, with how many of them it would."""

from dataclasses import dataclass
from typing import Literal

from schema.distributions import Side

Suspicion = Literal["burst", "identical ratings", "ratings unlike the rest"]


@dataclass(frozen=True)
class Suspect:
    """A user or an item to look at.

    Attributes:
        id: Of the user or the item.
        n_interactions: All that it has (one for each pair).
        n_suspicious: Those that make it suspicious.
        first, last: Timestamps of the first and the last of these; None where time does not matter.
        rating: Mean of their ratings; None where there are none.
        n_expected: How many such users, or items, chance alone would show among all that were tested.
    """

    id: str
    n_interactions: int
    n_suspicious: int
    first: int | None
    last: int | None
    rating: float | None
    n_expected: float


@dataclass(frozen=True)
class Suspects:
    """Users, or items, that are suspicious for one reason.

    Attributes:
        side: What was tested.
        reason: Why they are suspicious.
        n_tested: How many were tested.
        n_expected: How many of those tested chance alone would flag; at most 0.05, however many are tested.
        n_found: How many were flagged.
        worst: The 20 that chance explains least, the worst first.
    """

    side: Side
    reason: Suspicion
    n_tested: int
    n_expected: float
    n_found: int
    worst: tuple[Suspect, ...]
