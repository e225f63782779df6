"""Whether a challenger may take the champion's place: each condition is judged by itself."""

from collections.abc import Collection, Mapping

import numpy as np
from scipy.special import ndtri

from evaluation.significance import compare_paired
from schema.arrays import Floats
from schema.gate_verdicts import BEST, CHALLENGER, CHAMPION, LEVEL, POPULARITY, NonInferiority, Standing, Verdict
from schema.metric import Metric, MetricRow
from schema.verdicts import Finding, Guard

BEST_MARGIN = 0.1
"""Share of what the best parameters so far get that may be lost, over all promotions together."""
BEST_RISK = 0.2
"""Share of the usual level for that: a year of weekly trainings tries 52 times, each time on data of its own."""
MOST_FALLEN = 0.3
"""Share of their lead over popularity by which the best parameters may have fallen since their own day."""


def judge_challenger(
    metric: Metric,
    values: Floats,
    others: Mapping[str, Floats],
    guard: Guard,
    leaks: tuple[Finding, ...],
    margin_share: float,
    *,
    may_warn: bool,
    same: Collection[str] = (),
    n_tries: int = 1,
) -> Verdict:
    """Return the verdict of the gate.

    Args:
        metric: The metric that decides; higher is better, and no mean is below 0.
        values: The challenger's values, shape (n).
        others: Values of the same users in the same order of POPULARITY, of the CHAMPION where there is one, and of
            the BEST parameters so far where they are others than the champion's.
        guard: Whether the metric may decide on this split.
        leaks: What the searches for leaks found.
        margin_share: Share of the champion's mean that may be lost; of the best so far 10 %, or this if it is more, at
            a fifth of the level.
        may_warn: Whether a metric that is not fit is let through.
        same: Those of the others that are the challenger's own fit.
        n_tries: How many challengers were tried on this split, this one counted.

    Raises:
        ValueError: As `judge_non_inferiority` does.
    """
    level = level_of(n_tries)
    asked = {
        CHAMPION: (margin_share, level),
        BEST: (max(margin_share, BEST_MARGIN), level * BEST_RISK),
        POPULARITY: (margin_share, level),
    }
    found = {
        name: judge_non_inferiority(metric, values, others[name], share, name, risk, is_same=name in same)
        for name, (share, risk) in asked.items()
        if name in others
    }
    best = next((name for name in (BEST, CHAMPION) if name in others), None)
    is_best = best is None or best in same or judge_non_inferiority(metric, values, others[best], 0.0, best).is_shown
    return Verdict(
        found.get(CHAMPION), found.get(BEST), found[POPULARITY], guard, may_warn, leaks, n_tries, is_best=is_best
    )


def level_of(n_tries: int) -> float:
    """Return how often a challenger that keeps no more than it must may pass, on its try on a split.

    2.5 % on the first try and, of all later ones together, as often: that is, 2.5 % / (n (n - 1)) on the n-th.

    Example:
        >>> [level_of(n) for n in (1, 2, 3)], round(sum(map(level_of, range(1, 1000))), 4)
        ([0.025, 0.0125, 0.004166666666666667], 0.05)
    """
    return LEVEL / max(n_tries * (n_tries - 1), 1)


def judge_non_inferiority(
    metric: Metric,
    values: Floats,
    against_values: Floats,
    margin_share: float,
    against: str = CHAMPION,
    level: float = LEVEL,
    *,
    is_same: bool = False,
) -> NonInferiority:
    """Compare a challenger with a model whose worth it must keep, user by user.

    A non-inferiority test (Piaggio et al., JAMA 308, 2012; FDA, Non-Inferiority Clinical Trials, 2016). What must be
    kept is a share of what the other has, which is itself known from these users only. So the test is of
    d = challenger - (1 - margin_share) * other, user by user (a retention of effect, as Rothmann et al., Statistics in
    Medicine 22, 2003): the challenger is shown to be no worse if the lower limit of mean(d) is above 0. With z of the
    level, the limit is that of the normal distribution after z^2 / 2 users are added for whom the other has a typical
    hit and the challenger none. Such users make intervals of few hits hold (Agresti and Coull, American Statistician
    52, 1998; for pairs Bonett and Price, JEBS 37, 2012); without them a challenger that by luck lost none passes.

    So what counts is hits: of equal models without a difference, 92 must be there before a margin of 5 % is shown. They
    are counted by `count_hits` of the model that has more, whether values are 0 and 1, graded, or those of `linearise`.

    Args:
        metric: The metric; higher is better.
        values: The challenger's values, shape (n).
        against_values: The other's values of the same users in the same order, shape (n).
        margin_share: From 0 (it must be shown to be better) to less than 1.
        against: Name of the other.
        level: How often one that keeps no more than it must may pass.
        is_same: Whether both are one fit.

    Raises:
        ValueError: If the values are not of the same users, or are not finite.

    Example:
        >>> old, new = np.array([0.5] * 400), np.array([0.5] * 392 + [0.0] * 8)
        >>> result = judge_non_inferiority(Metric("ndcg", 10), new, old, margin_share=0.1)
        >>> result.comparison.difference, result.margin, result.n_hits, result.is_shown
        (-0.01, 0.05, 400.0, True)
    """
    comparison = compare_paired(CHALLENGER, against, metric, values, against_values)
    means = float(values.mean()), float(against_values.mean())
    hits = max(count_hits(values), count_hits(against_values))
    low, high = limits(values, against_values, margin_share, level)
    return NonInferiority(comparison, *means, margin_share, low, high, level, hits, is_same)


def limits(values: Floats, against_values: Floats, margin_share: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the limits, each at the level, of what a challenger is above what must be kept.

    Example:
        >>> old, new = np.repeat([1.0, 0.0], [200, 300]), np.repeat([1.0, 0.0], [199, 301])
        >>> [round(float(one), 4) for one in limits(new, old, margin_share=0.05)]
        [0.0075, 0.0224]
    """
    kept, z = values - (1 - margin_share) * against_values, float(-ndtri(level))
    n_users, total, squares = len(kept), float(kept.sum()), float(kept @ kept)
    n_added, lost = z * z / 2, -(1 - margin_share) * _typical_hit(against_values)
    low = _limit(n_users + n_added, total + n_added * lost, squares + n_added * lost * lost, -z)
    return low, _limit(n_users, total, squares, z)


def count_hits(values: Floats) -> float:
    """Return how many equal values have the sum of these and the sum of their squares (Kish, Survey Sampling, 1965).

    Example:
        >>> count_hits(np.array([0.0, 0.5, 0.5, 0.0])), count_hits(np.zeros(3))
        (2.0, 0.0)
    """
    squares = float(values @ values)
    return float(values.sum()) ** 2 / squares if squares else 0.0


def standing_of(model: MetricRow, popularity: MetricRow) -> Standing | None:
    """Return how a model stands to popularity on the same users; None where one of the two has no hit.

    The error is that of two independent means, which is too large where they are correlated.
    """
    if min(model.value, popularity.value) <= 0:
        return None
    errors = [(one.high - one.low) / (2 * 1.96 * one.value) for one in (model, popularity)]
    return Standing(model.value / popularity.value, float(np.linalg.norm(errors)))


def judge_standing(then: Standing, now: Standing, margin_share: float = 0.0) -> Finding:
    """Compare how the same parameters stand to popularity today and on their own day.

    A defect of the code or the data may halve all that is fitted, challenger and champion alike: both are then as good
    as each other, and neither as good as they were. It is a warning where the ratio to popularity has fallen by more
    than 30 %, or the margin if that is wider, and by more than chance (one-sided, at 2.5 %).
    """
    most = max(MOST_FALLEN, margin_share)
    by_chance = float(-ndtri(LEVEL)) * float(np.hypot(then.error, now.error))
    fallen = np.log(now.ratio / then.ratio)
    figures = {"then": then.ratio, "now": now.ratio, "most_fallen": most}
    return Finding("standing", bool(fallen < min(np.log1p(-most), -by_chance)), figures)


def _typical_hit(values: Floats) -> float:
    total = float(values.sum())
    return float(values @ values) / total if total > 0 else 0.0


def _limit(n: float, total: float, squares: float, z: float) -> float:
    mean = total / n
    return float(mean + z * np.sqrt(max(squares / n - mean * mean, 0.0) / n))
