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


def figures_of(record: Comparison | Guard | Lead) -> dict[str, Any]:
    """Return the fields of a record as JSON values, each metric by its text.

    Example:
        >>> figures_of(Comparison("als", "random", Metric("ndcg", 10), 0.1, 0.0, 0.2, 0.01, 0.01, 9))["metric"]
        'ndcg_10'
    """
    return asdict(record, dict_factory=lambda pairs: {k: str(v) if isinstance(v, Metric) else v for k, v in pairs})
