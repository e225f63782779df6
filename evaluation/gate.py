"""May a challenger take the champion's place? Each condition is judged by itself and says why, with its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.checks import Finding
from evaluation.comparison import Comparison, compare_paired, format_figure
from evaluation.guard import GuardVerdict
from evaluation.intervals import ratio_interval
from reports.display import format_count, format_share, metric_label
from schema.metric import Metric

NOT_WORSE = "not worse than the champion"
METRIC_IS_FIT = "the metric tells models apart"
BEATS_POPULARITY = "not worse than popularity"
NO_LEAK = "no leak"
LEAST_USERS = 30


@dataclass(frozen=True)
class NonInferiority:
    """A challenger held against the champion on the same users.

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
class Condition:
    """One thing that has to hold.

    Attributes:
        name: What has to hold.
        is_met: Whether it does.
        sentence: Why, understood without the code, with the numbers.
    """

    name: str
    is_met: bool
    sentence: str


@dataclass(frozen=True)
class Decision:
    """What the gate says: promoted if every condition is met."""

    is_promoted: bool
    conditions: tuple[Condition, ...]
    sentence: str


def judge_non_inferiority(
    challenger: str,
    champion: str,
    metric: Metric,
    values: NDArray[np.float64],
    champion_values: NDArray[np.float64],
    margin_share: float,
) -> NonInferiority:
    """Hold a challenger against the champion, user by user; of the metric, higher is better.

    A non-inferiority test (Piaggio et al., JAMA 308, 2012; FDA, Non-Inferiority Clinical Trials, 2016). What must be
    kept is a share of what the champion has, which is itself known from these users only. So the test is of
    d = challenger - (1 - margin_share) * champion, user by user (a retention of effect, as Rothmann et al.,
    Statistics in Medicine 22, 2003): the challenger is shown to be no worse if the lower end of the 95 % interval of
    mean(d), by the bootstrap over users (Efron, 1979), is above 0. One that truly keeps no more than that passes once
    in 40 times. Few users make a wide interval, which refuses; below 30 the bootstrap's own is too narrow, so nothing
    is shown.

    Args:
        challenger: Its name.
        champion: Its name.
        metric: The metric.
        values: The challenger's values, shape (n).
        champion_values: The champion's values of the same users in the same order, shape (n).
        margin_share: From 0 (it must be shown to be better) to less than 1.

    Raises:
        ValueError: If the values are not of the same users, are not finite, or the share is not one; or if the
            champion's mean is negative, of which no share can be kept.

    Example:
        >>> old, new = np.array([0.5] * 100), np.array([0.5] * 98 + [0.0] * 2)
        >>> result = judge_non_inferiority("new", "old", Metric("ndcg", 10), new, old, margin_share=0.1)
        >>> result.comparison.difference, result.margin, result.is_shown
        (-0.01, 0.05, True)
    """
    if not 0 <= margin_share < 1:
        raise ValueError(f"margin_share is {margin_share}; expected 0 or more, below 1, such as 0.05.")
    comparison = compare_paired(challenger, champion, metric, values, champion_values)
    means = float(values.mean()), float(champion_values.mean())
    if means[1] < 0:
        raise ValueError(f"the champion's mean is {means[1]}; expected a metric of 0 or more, such as NDCG.")
    interval = comparison.low, comparison.high
    if margin_share:
        interval = ratio_interval(values - (1 - margin_share) * champion_values, np.ones_like(values))
    return NonInferiority(comparison, *means, margin_share, *interval)


def say_non_inferiority(result: NonInferiority) -> Condition:
    """Return the comparison with the champion as a condition."""
    it, label = result.comparison, metric_label(result.comparison.metric)
    values = f"{format_figure(result.value)}, that of {it.against} {format_figure(result.champion_value)}"
    kept = ""
    if result.margin_share:
        allowed = f"{format_share(result.margin_share)} of the latter, {format_figure(result.margin)}, may be lost"
        over = _signed(it.difference + result.margin)
        kept = f"; {allowed}, and {it.model} is {over} from what must be kept, {_say_interval(result.low, result.high)}"
    sentence = f"{label} of {it.model} is {values}: {_say_difference(it)}{kept}: {_say_verdict(result)}."
    return Condition(NOT_WORSE, result.is_shown, sentence)


def _say_verdict(result: NonInferiority) -> str:
    if result.comparison.n_users < LEAST_USERS:
        return f"fewer than {LEAST_USERS} users show nothing"
    if result.is_shown:
        return "no more is lost, in all of the interval" if result.margin else "it is better in all of the interval"
    if result.high < 0:
        return "more is lost, in all of the interval" if result.margin else "it is worse in all of the interval"
    return "so many users do not show that no more is lost" if result.margin else "it is not shown to be better"


def judge_guard(verdict: GuardVerdict, *, may_warn: bool) -> Condition:
    """Return what the guard says of the metric on this split as a condition.

    Args:
        verdict: What it says.
        may_warn: Whether a metric that is not fit is let through.
    """
    ignored = "" if verdict.is_fit or not may_warn else " Let through by --guard warn: the decision is arbitrary."
    return Condition(METRIC_IS_FIT, verdict.is_fit or may_warn, verdict.sentence + ignored)


def judge_against_popularity(comparison: Comparison) -> Condition:
    """Return whether the mean is at least that of popularity; a baseline gets no benefit of the doubt.

    Args:
        comparison: The challenger against popularity.
    """
    label, is_met = metric_label(comparison.metric), comparison.difference >= 0
    verb = "is not below" if is_met else "is below"
    sentence = f"{label} of {comparison.model} {verb} that of {comparison.against}: {_say_difference(comparison)}."
    return Condition(BEATS_POPULARITY, is_met, sentence)


def judge_leaks(findings: Sequence[Finding]) -> Condition:
    """Return whether none of the searches for leaks found one.

    Example:
        >>> judge_leaks([Finding("leaks", False, "None."), Finding("too good", True, "Too good.")])
        Condition(name='no leak', is_met=False, sentence='Too good.')
    """
    warnings = [finding for finding in findings if finding.is_warning]
    return Condition(NO_LEAK, not warnings, " ".join(finding.sentence for finding in warnings or findings))


def decide(challenger: str, champion: str | None, conditions: Sequence[Condition]) -> Decision:
    """Return the decision: promoted if every condition is met.

    Args:
        challenger: Its name.
        champion: Its name; None if there is none.
        conditions: What has to hold, in the order in which it is told.

    Raises:
        ValueError: If there are no conditions.

    Example:
        >>> decide("als", None, [Condition("no leak", False, "One pair is.")]).sentence
        'als is refused. One pair is.'
    """
    if not conditions:
        raise ValueError("there are no conditions; expected one or more. What nobody judged is not promoted.")
    failed = [condition for condition in conditions if not condition.is_met]
    if failed:
        reasons = " ".join(condition.sentence for condition in failed)
        return Decision(False, tuple(conditions), f"{challenger} is refused. {reasons}")
    place = f"may take the place of {champion}" if champion else "may be the first champion"
    return Decision(True, tuple(conditions), f"{challenger} {place}. {conditions[0].sentence}")


def _say_difference(it: Comparison) -> str:
    return f"{_signed(it.difference)}, {_say_interval(it.low, it.high)}, over {format_count(it.n_users)} users"


def _say_interval(low: float, high: float) -> str:
    return f"95 % interval {_signed(low)} to {_signed(high)}"


def _signed(value: float) -> str:
    return f"+{format_figure(value)}" if value > 0 else format_figure(value)
