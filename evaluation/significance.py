"""Uncertainty of figures over users: 95 % intervals, and paired comparisons corrected for multiple testing.

What each promises, and how far it is kept, is counted by ``python -m benchmarks.statistics``.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from schema.arrays import Floats, Indices
from schema.metric import Metric
from schema.verdicts import Comparison

ROUNDING = 1e-12
"""Two values whose distance is within this share of the larger are the same value, summed in another order."""


class Mean(NamedTuple):
    """A mean with its 95 % interval over users, and the users that it is over."""

    value: float
    low: float
    high: float
    n_users: int


def mean_over_users(values: Floats, owner: Indices | None = None) -> Mean:
    """Return the mean of values, one of each user, or where owners are given several: those of one user stay together.

    Args:
        values: Shape (n): shares from 0 to 1, or others, such as novelty in bits; their interval is Student's.
        owner: User of each value; the interval is then that of a ratio, sum of values / number of values, over users.

    Example:
        >>> mean_over_users(np.array([1.0, 0.0, 0.0, 0.0]), owner=np.array([3, 7, 7, 7])).value
        0.25
    """
    by_user = values if owner is None else linearise(values, owner)
    is_share = values.min(initial=0) >= 0 and values.max(initial=0) <= 1
    interval = share_interval(by_user) if is_share else difference_interval(by_user, 0.0)
    return Mean(float(values.mean()), *interval, len(by_user))


def linearise(values: Floats, owner: Indices) -> Floats:
    """Return one number of each user, in ascending order, whose mean and standard error are those of all values' mean.

    With x and n a user's sum and number of values, R the mean of all values and m that of n: R + (x - R n) / m. This is
    the linearisation of a ratio (Cochran, Sampling Techniques, 1977, chapter 6): their mean is R, and its standard
    error over users is that of R when users are drawn, so that whatever takes one value of each user may take them.
    They may lie outside the range of the values; the numbers of a difference are the differences of the numbers.

    Args:
        values: Shape (n).
        owner: User of each value.

    Example:
        >>> linearise(np.array([1.0, 0.0, 0.0, 0.0]), owner=np.array([3, 7, 7, 7])).tolist()
        [0.625, -0.125]
    """
    sums, counts = _sum_by_owner(values, owner)
    mean = float(values.mean())
    return np.asarray(mean + (sums - mean * counts) / counts.mean())


def means_by_owner(linearised: Floats, counts: Indices) -> Floats:
    """Return the mean of each user's values, from what `linearise` made of them and how many they are.

    Example:
        >>> means_by_owner(np.array([0.625, -0.125]), np.array([1, 3])).tolist()
        [1.0, 0.0]
    """
    mean = linearised.mean()
    return np.asarray(np.round(mean + (linearised - mean) * counts.mean() / counts, 12))


def linearise_part(linearised: Floats, counts: Indices, kept: Indices) -> Floats:
    """Return what `linearise` would make of the values of some of the users alone.

    Example:
        >>> linearise_part(np.array([0.625, -0.125]), np.array([1, 3]), np.array([1])).tolist()
        [0.0]
    """
    means, counts = means_by_owner(linearised, counts)[kept], counts[kept]
    return linearise(np.repeat(means, counts), np.repeat(np.arange(len(counts)), counts))


def _sum_by_owner(values: Floats, owner: Indices) -> tuple[Floats, Floats]:
    _, row, counts = np.unique(owner, return_inverse=True, return_counts=True)
    return np.bincount(row, values).astype(np.float64), counts.astype(np.float64)


def share_interval(values: Floats) -> tuple[float, float]:
    """Return the interval of a mean from 0 to 1, from one value of each user.

    The score interval (Wilson, JASA 22, 1927) of m hits in n trials, where n is the number of trials that would give
    the mean the standard error it has: it holds where few users have a hit and the bootstrap's does not, because the
    users drawn again are nearly all without one. Where users do not vary, they count as trials themselves.

    Args:
        values: Shape (n_users): a metric from 0 to 1, or what `linearise` made of several values of each.

    Raises:
        ValueError: If there are no values.

    Example:
        >>> [round(end, 4) for end in share_interval(np.array([0.0] * 49 + [1.0]))], share_interval(np.zeros(50))[0]
        ([0.0034, 0.1097], 0.0)
    """
    n_users = len(values)
    _check_users(n_users)
    mean = float(np.clip(values.mean(), 0, 1))
    variance = mean * (1 - mean)
    error = float(values.var(ddof=1)) / n_users if n_users > 1 else 0.0
    n_trials = variance / error if variance and error else float(n_users)
    z = reach_of(n_users)
    spread = z * np.sqrt(variance / n_trials + z**2 / (4 * n_trials**2))
    middle, whole = mean + z**2 / (2 * n_trials), 1 + z**2 / n_trials
    return max(float(middle - spread) / whole, 0.0), min(float(middle + spread) / whole, 1.0)


def reach_of(n_users: float) -> float:
    """Return how many standard errors a figure is from either end of its interval.

    Student's t: 1.96 of many users.
    """
    return float(stdtrit(max(n_users - 1, 1), 0.975))


def difference_interval(differences: Floats, largest: float) -> tuple[float, float]:
    """Return the interval of the mean of a paired difference, one of each user.

    By Student's t, with the variance of two users more: for one of them either model has half of a hit that the other
    has not (Agresti and Min, Statistics in Medicine 24, 2005). So models that differ for few users, or for none, are
    not taken to be known exactly.

    Args:
        differences: Shape (n_users).
        largest: Largest value that a user has, the size of a hit; 1 if nobody has one.

    Raises:
        ValueError: If there are no differences.

    Example:
        >>> [round(end, 4) for end in difference_interval(np.zeros(100), largest=1.0)]
        [-0.0198, 0.0198]
    """
    n_users = len(differences)
    _check_users(n_users)
    mean = float(differences.mean())
    reach = reach_of(n_users) * float(np.sqrt(((differences - mean) ** 2).sum() + largest**2)) / n_users
    return mean - reach, mean + reach


def compare_paired(model: str, against: str, metric: Metric, values: Floats, other_values: Floats) -> Comparison:
    """Compare two models by one value of each user; p_adjusted is p_value until `adjust` is called.

    Values are of the same users in the same order, shape (n); higher is better.

    Raises:
        ValueError: If the values are not of the same users, there are none, or some are not finite.

    Example:
        >>> hits, other_hits = np.array([1.0, 1, 1, 0, 1, 1]), np.array([0.0, 0, 0, 0, 0, 1])
        >>> result = compare_paired("als", "popularity", Metric("hit_rate", 10), hits, other_hits)
        >>> round(result.difference, 4), round(result.p_value, 4), result.outcome
        (0.6667, 0.025, 'better')
    """
    _check_values(model, values, against, other_values)
    is_same = np.isclose(values, other_values, rtol=ROUNDING, atol=0)
    differences = np.where(is_same, 0.0, values - other_values)
    low, high = difference_interval(differences, float(max(values.max(), other_values.max())) or 1.0)
    p_value = _paired_t_test(differences)
    mean = float(differences.mean())
    return Comparison(model, against, metric, mean, low, high, p_value, p_value, n_users=len(differences))


def holm(p_values: ArrayLike) -> Floats:
    """Return p-values corrected for testing all of them at once, in the order given (Holm, 1979).

    The i-th smallest of m is multiplied by m - i + 1, is never below the one before it, and is at most 1.

    Raises:
        ValueError: If a p-value is outside 0 to 1 or is not a number.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values are {p.tolist()}; expected numbers from 0 to 1. Leave out tests that failed.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def adjust(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons in the same order, with p_adjusted corrected for being tested together (Holm)."""
    adjusted = holm([comparison.p_value for comparison in comparisons])
    return [replace(comparison, p_adjusted=float(p)) for comparison, p in zip(comparisons, adjusted, strict=True)]


def _check_users(n_users: int) -> None:
    if n_users == 0:
        raise ValueError(
            "there are no users; expected one or more. Hold out interactions of users who have "
            "others in train, or choose another split."
        )


def _paired_t_test(differences: Floats) -> float:
    """Return the two-sided p; 1 for one user, and 1 or 0 where all users differ by the same (0 or not)."""
    if len(differences) == 1:
        return 1.0
    if differences.min() == differences.max():
        return float(differences[0] == 0)
    t = differences.mean() / (differences.std(ddof=1) / np.sqrt(len(differences)))
    return float(2 * stdtr(len(differences) - 1, -abs(t)))


def _check_values(model: str, values: Floats, against: str, other: Floats) -> None:
    if values.ndim != 1 or values.shape != other.shape or not len(values):
        raise ValueError(
            f"values of {model!r} have the shape {values.shape} and those of {against!r} {other.shape}; expected "
            "one value of each for the same users, one user or more. Evaluate both models on the same users."
        )
    n_bad = int((~np.isfinite(values)).sum() + (~np.isfinite(other)).sum())
    if n_bad:
        raise ValueError(
            f"{n_bad} values of {model!r} and {against!r} are not finite; expected a number for each user. "
            "Leave out users for whom the metric has no value, for both models."
        )
