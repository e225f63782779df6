"""Judgements on models, metrics and promotions: figures only; ``reports.verdicts`` puts them into sentences."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from schema.metric import Metric

ALPHA = 0.05
STANDARD_ERRORS_TO_SHOW = 2.8
"""1.96 + 0.84: so many standard errors must a difference have to be shown at 95 % in 4 of 5 splits (Cohen, 1988)."""
_INTERVAL_STANDARD_ERRORS = 2 * 1.96
LEAST_USERS = 30
"""With fewer users the bootstrap's own interval is too narrow, so that nothing is shown."""

Outcome = Literal["better", "worse", "no difference shown"]
Flaw = Literal[
    "oracle gets nothing", "chance gets too much", "oracle not above a weak one", "weak oracle not above chance"
]
RANDOM, POPULAR, WEAK_ORACLE, ORACLE = "random", "popularity", "weak oracle", "oracle"

NOT_WORSE = "not worse than the champion"
METRIC_IS_FIT = "the metric tells models apart"
BEATS_POPULARITY = "not worse than popularity"
NO_LEAK = "no leak"
NOT_WORSE_ONLINE = "not worse online"
ONLINE_TEST = "A/B test"


@dataclass(frozen=True)
class Comparison:
    """A model compared with another on the same users.

    Attributes:
        model: Name of the model.
        against: Name of the other model.
        metric: The metric that both are measured by; higher is better.
        difference: Mean over users of model - against.
        low: Lower end of its 95 % interval, `evaluation.significance.difference_interval`.
        high: Upper end of that interval.
        p_value: Of the two-sided paired t-test that the mean difference is 0.
        p_adjusted: The same, corrected for the comparisons that were made together (Holm).
        n_users: Users counted.
    """

    model: str
    against: str
    metric: Metric
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    n_users: int

    @property
    def outcome(self) -> Outcome:
        """Better or worse where p_adjusted < ALPHA and the interval excludes 0; else no difference is shown."""
        if self.p_adjusted >= ALPHA or self.low <= 0 <= self.high:
            return "no difference shown"
        return "better" if self.difference > 0 else "worse"

    @property
    def smallest(self) -> float:
        """The smallest difference that so many users show in 4 of 5 splits: 2.8 standard errors of this one."""
        return STANDARD_ERRORS_TO_SHOW * (self.high - self.low) / _INTERVAL_STANDARD_ERRORS


@dataclass(frozen=True)
class Yardstick:
    """The mean over users, with its 95 % interval, of a scorer of known worth."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class MetricTrial:
    """A metric tried on a split.

    Attributes:
        metric: The metric.
        yardsticks: RANDOM, POPULAR, WEAK_ORACLE and ORACLE, in this order.
        comparisons: The oracle against the weak one, and the weak one against chance.
        popularity: Popularity against chance; it decides nothing.
        flaw: Why the metric may not choose a model on this split; None if it may.
    """

    metric: Metric
    yardsticks: tuple[Yardstick, ...]
    comparisons: tuple[Comparison, Comparison]
    popularity: Comparison
    flaw: Flaw | None

    def value(self, name: str) -> float:
        """Return the mean of a yardstick."""
        return next(one.value for one in self.yardsticks if one.name == name)

    @property
    def is_popularity_like_chance(self) -> bool:
        """Whether popularity, which knows a little of nearly any data, is not shown to be better than chance."""
        return self.popularity.outcome != "better"

    @property
    def is_fit(self) -> bool:
        """Whether the metric may choose a model on this split."""
        return self.flaw is None


@dataclass(frozen=True)
class Guard:
    """The trial of the metric that is to choose the model, and those of the others."""

    wanted: MetricTrial
    others: tuple[MetricTrial, ...]

    @property
    def is_fit(self) -> bool:
        """Whether the wanted metric may choose a model on this split."""
        return self.wanted.is_fit


@dataclass(frozen=True)
class Lead:
    """The lead of the best of several models, which counts if it is shown to be better than each of the others.

    Attributes:
        winner: Name of the model with the best mean.
        runner_up: Name of the second best; None where there is one model only.
        lead: The difference of their means, at least 0.
        rival: Name of the model that the winner is least surely better than.
        p_value: Of the two-sided paired t-test against the rival, the largest of all; 1 without one.
        smallest: The smallest difference from the rival that so many users show in 4 of 5 splits.
        n_models: Models tried.
        n_users: Users counted.
    """

    winner: str
    runner_up: str | None
    lead: float
    rival: str | None
    p_value: float
    smallest: float
    n_models: int
    n_users: int

    @property
    def is_within_noise(self) -> bool:
        """Whether the winner is not shown to be better than each of the others."""
        return self.runner_up is not None and self.p_value >= ALPHA


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: Name of the check, by which ``reports.verdicts`` finds its sentence.
        is_warning: Whether it may make figures misleading.
        figures: What was counted or measured, JSON values by name.
    """

    name: str
    is_warning: bool
    figures: Mapping[str, str | int | float | None]


@dataclass(frozen=True)
class NonInferiority:
    """A challenger compared with the champion on the same users.

    Attributes:
        comparison: The difference, challenger - champion, with its paired 95 % interval.
        value: The challenger's mean.
        champion_value: The champion's mean.
        margin_share: Share of the champion's mean that may be lost.
        low: Lower end of the paired 95 % interval of what the challenger is above what must be kept, that is of
            challenger - (1 - margin_share) * champion.
        high: Upper end of that interval.
    """

    comparison: Comparison
    value: float
    champion_value: float
    margin_share: float
    low: float
    high: float

    @property
    def margin(self) -> float:
        """What may be lost, in units of the metric."""
        return self.margin_share * self.champion_value

    @property
    def is_shown(self) -> bool:
        """Whether there are enough users, and the challenger is above what must be kept in all of the interval."""
        return self.comparison.n_users >= LEAST_USERS and self.low > 0


@dataclass(frozen=True)
class Verdict:
    """The gate's verdict on a challenger: promoted if every condition is met.

    Attributes:
        champion: The challenger against the champion; None if there is none.
        popularity: The challenger against popularity.
        guard: Whether the metric may decide on this split.
        may_warn: Whether a metric that is not fit is let through.
        leaks: What the searches for leaks found.
        online: What an A/B test found, where one is asked for.
    """

    champion: NonInferiority | None
    popularity: Comparison
    guard: Guard
    may_warn: bool
    leaks: tuple[Finding, ...]
    online: Finding | None = None

    @property
    def conditions(self) -> dict[str, bool]:
        """Each condition, in the order in which it is told, and whether it is met.

        A baseline gets no benefit of the doubt: the mean must be at least that of popularity.
        """
        first = {NOT_WORSE: self.champion.is_shown} if self.champion else {}
        first |= {NOT_WORSE_ONLINE: not self.online.is_warning} if self.online else {}
        return first | {
            BEATS_POPULARITY: self.popularity.difference >= 0,
            METRIC_IS_FIT: self.guard.is_fit or self.may_warn,
            NO_LEAK: not any(finding.is_warning for finding in self.leaks),
        }

    @property
    def is_promoted(self) -> bool:
        """Whether every condition is met."""
        return all(self.conditions.values())


def figures_of(record: Comparison | Guard | Lead) -> dict[str, Any]:
    """Return the fields of a record as JSON values, each metric by its text.

    Example:
        >>> figures_of(Comparison("als", "random", Metric("ndcg", 10), 0.1, 0.0, 0.2, 0.01, 0.01, 9))["metric"]
        'ndcg_10'
    """
    return asdict(record, dict_factory=lambda pairs: {k: str(v) if isinstance(v, Metric) else v for k, v in pairs})
