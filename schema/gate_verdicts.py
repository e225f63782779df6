"""The gate's judgement on a challenger: figures only; ``reports.gate_verdicts`` puts them into sentences."""

from dataclasses import dataclass
from typing import NamedTuple

from schema.verdicts import Comparison, Finding, Guard

LEVEL = 0.025
"""How often a challenger that keeps no more than it must may pass: on the first try on a split."""
LEAST_HITS = 10
"""With fewer no interval holds, so that nothing is shown."""

CHALLENGER, CHAMPION, BEST, POPULARITY = "the challenger", "the champion", "the best so far", "popularity"

NOT_WORSE = "not worse than the champion"
KEEPS_BEST = "not far below the best so far"
STANDS_AS_BEFORE = "as far above popularity as before"
METRIC_IS_FIT = "the metric tells models apart"
BEATS_POPULARITY = "not worse than popularity"
NO_LEAK = "no leak"
NOT_WORSE_ONLINE = "not worse online"


@dataclass(frozen=True)
class NonInferiority:
    """A challenger compared with a model whose worth it must keep, on the same users.

    Attributes:
        comparison: The difference, challenger - the other, with its paired 95 % interval.
        value: The challenger's mean.
        against_value: The other's mean.
        margin_share: Share of the other's mean that may be lost.
        low: Lower limit, at the level, of what the challenger is above what must be kept, that is of
            challenger - (1 - margin_share) * the other.
        high: Upper limit of the same.
        level: How often a challenger that keeps no more than it must may pass, from 0 to 0.5.
        n_hits: Users that each have a typical hit and together the sum of the better one's values.
        is_same: Whether both are one fit, so that there is nothing to lose.
    """

    comparison: Comparison
    value: float
    against_value: float
    margin_share: float
    low: float
    high: float
    level: float
    n_hits: float
    is_same: bool = False

    @property
    def margin(self) -> float:
        """What may be lost, in units of the metric."""
        return self.margin_share * self.against_value

    @property
    def has_enough_hits(self) -> bool:
        """Whether there are enough for an interval."""
        return self.n_hits >= LEAST_HITS

    @property
    def is_shown(self) -> bool:
        """Whether both are one fit, or the hits are enough and the challenger is above what must be kept for sure."""
        return self.margin_share > 0 if self.is_same else self.has_enough_hits and self.low > 0

    @property
    def smallest_loss(self) -> float | None:
        """The smallest loss that could have been seen, as a share of the other's mean; None where that has no hit."""
        above = self.comparison.difference + self.margin
        return (above - self.low) / self.against_value if self.against_value > 0 else None


class Standing(NamedTuple):
    """A model's mean as a multiple of popularity's on the same users, and the standard error of its logarithm."""

    ratio: float
    error: float


@dataclass(frozen=True)
class Verdict:
    """The gate's verdict on a challenger: promoted if every condition is met.

    Attributes:
        champion: The challenger against the champion; None if there is none.
        best: The challenger against the best parameters so far; None if they are the champion's.
        popularity: The challenger against popularity.
        guard: Whether the metric may decide on this split.
        may_warn: Whether a metric that is not fit is let through.
        leaks: What the searches for leaks found.
        n_tries: How many challengers were tried on this split, this one counted.
        online: What an A/B test found, where one is asked for.
        standing: How the best parameters so far stand to popularity, beside their own day; None if that is not known.
        is_best: Whether the challenger's parameters are the best so far from now on if it is promoted.
    """

    champion: NonInferiority | None
    best: NonInferiority | None
    popularity: NonInferiority
    guard: Guard
    may_warn: bool
    leaks: tuple[Finding, ...]
    n_tries: int = 1
    online: Finding | None = None
    standing: Finding | None = None
    is_best: bool = False

    @property
    def conditions(self) -> dict[str, bool]:
        """Each condition, in the order in which it is told, and whether it is met.

        A baseline gets no benefit of the doubt: beside what is shown, the mean must be at least that of popularity. A
        fit of the champion's parameters loses nothing, however far these are below the best.
        """
        is_refit = self.champion is not None and self.champion.is_same
        first = {NOT_WORSE: self.champion.is_shown} if self.champion else {}
        first |= {NOT_WORSE_ONLINE: not self.online.is_warning} if self.online else {}
        first |= {KEEPS_BEST: is_refit or self.best.is_shown} if self.best else {}
        first |= {STANDS_AS_BEFORE: not self.standing.is_warning} if self.standing else {}
        return first | {
            BEATS_POPULARITY: self.popularity.comparison.difference >= 0 and self.popularity.is_shown,
            METRIC_IS_FIT: self.guard.is_fit or self.may_warn,
            NO_LEAK: not any(finding.is_warning for finding in self.leaks),
        }

    @property
    def is_promoted(self) -> bool:
        """Whether every condition is met."""
        return all(self.conditions.values())
