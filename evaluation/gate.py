"""Whether a challenger may take the champion's place: each condition is judged by itself."""

import numpy as np

from evaluation.significance import compare_paired, ratio_interval
from schema.arrays import Floats
from schema.metric import Metric
from schema.verdicts import Finding, Guard, NonInferiority, Verdict

CHALLENGER, CHAMPION, POPULARITY = "the challenger", "the champion", "popularity"


def judge_challenger(
    metric: Metric,
    values: Floats,
    champion_values: Floats | None,
    popularity_values: Floats,
    guard: Guard,
    leaks: tuple[Finding, ...],
    margin_share: float,
    *,
    may_warn: bool,
) -> Verdict:
    """Return the verdict of the gate.

    The metric that decides is one of which higher is better; all values are of the same users in the same order, shape
    (n), those of a champion None if there is none. The margin is the share of the champion's mean that may be lost; a
    metric that is not fit is let through if the caller may warn.

    Raises:
        ValueError: As `judge_non_inferiority` does.
    """
    champion = None
    if champion_values is not None:
        champion = judge_non_inferiority(metric, values, champion_values, margin_share)
    popularity = compare_paired(CHALLENGER, POPULARITY, metric, values, popularity_values)
    return Verdict(champion, popularity, guard, may_warn, leaks)


def judge_non_inferiority(
    metric: Metric, values: Floats, champion_values: Floats, margin_share: float
) -> NonInferiority:
    """Compare a challenger with the champion, user by user.

    A non-inferiority test (Piaggio et al., JAMA 308, 2012; FDA, Non-Inferiority Clinical Trials, 2016). What must be
    kept is a share of what the champion has, which is itself known from these users only. So the test is of
    d = challenger - (1 - margin_share) * champion, user by user (a retention of effect, as Rothmann et al.,
    Statistics in Medicine 22, 2003): the challenger is shown to be no worse if the lower end of the 95 % interval of
    mean(d), by the bootstrap over users (Efron, 1979), is above 0. One that truly keeps no more than that passes once
    in 40 times. Few users make a wide interval, which refuses; below 30 the bootstrap's own is too narrow, so nothing
    is shown.

    Args:
        metric: The metric; higher is better, and none is below 0.
        values: The challenger's values, shape (n).
        champion_values: The champion's values of the same users in the same order, shape (n).
        margin_share: From 0 (it must be shown to be better) to less than 1.

    Raises:
        ValueError: If the values are not of the same users, or are not finite.

    Example:
        >>> old, new = np.array([0.5] * 100), np.array([0.5] * 98 + [0.0] * 2)
        >>> result = judge_non_inferiority(Metric("ndcg", 10), new, old, margin_share=0.1)
        >>> result.comparison.difference, result.margin, result.is_shown
        (-0.01, 0.05, True)
    """
    comparison = compare_paired(CHALLENGER, CHAMPION, metric, values, champion_values)
    means = float(values.mean()), float(champion_values.mean())
    interval = comparison.low, comparison.high
    if margin_share:
        interval = ratio_interval(values - (1 - margin_share) * champion_values, np.ones_like(values))
    return NonInferiority(comparison, *means, margin_share, *interval)
