"""95 % intervals by the bootstrap over users: percentiles over resampled users (Efron, 1979)."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)
MOST_UNITS = 4000


def mean_interval(values: NDArray[np.float64], seed: int = 42) -> tuple[float, float]:
    """Return the interval of the mean of one value per user.

    Metrics take few distinct values, so how often each is drawn is one multinomial draw per resample: the
    same distribution as drawing users one by one, at a fraction of the time.

    Raises:
        ValueError: If there are no values.

    Example:
        >>> low, high = mean_interval(np.array([0.0, 1.0] * 50))
        >>> (round(low, 1), round(high, 1))
        (0.4, 0.6)
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) > max(len(values) // 20, 1000):
        return ratio_interval(values, np.ones_like(values), seed)
    _check_users(len(values))
    draws = np.random.default_rng(seed).multinomial(len(values), counts / len(values), size=N_RESAMPLES)
    low, high = np.percentile((draws * distinct).sum(axis=1) / len(values), PERCENTILES)
    return float(low), float(high)


def ratio_interval(
    numerator: NDArray[np.float64], denominator: NDArray[np.float64], seed: int = 42
) -> tuple[float, float]:
    """Return the interval of sum(numerator) / sum(denominator), one value of each per user.

    Where there are more than 4,000 users, random groups of them are resampled instead: the spread of a sum over
    groups that were drawn at random is that over users, known to 1 / sqrt(2 * 4,000), about 1 %, which is less than
    what 1,000 resamples leave open.

    Raises:
        ValueError: If there are no values.

    Example:
        >>> ratio_interval(np.array([2.0, 4.0]), np.array([1.0, 2.0]))
        (2.0, 2.0)
    """
    _check_users(len(numerator))
    units = np.column_stack(_gather(seed, numerator, denominator))
    totals = np.einsum("ru,uc->rc", _draw_units(len(units), seed), units)
    low, high = np.percentile(totals[:, 0] / totals[:, 1], PERCENTILES)
    return float(low), float(high)


def _gather(seed: int, *columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return the columns summed over at most 4,000 groups of users drawn at random, of nearly equal size."""
    n_users = len(columns[0])
    if n_users <= MOST_UNITS:
        return columns
    group = np.random.default_rng(seed).permutation(n_users) % MOST_UNITS
    return tuple(np.bincount(group, column, minlength=MOST_UNITS).astype(np.float64) for column in columns)


@lru_cache(maxsize=2)
def _draw_units(n_units: int, seed: int) -> NDArray[np.float64]:
    """Return how often each resample drew each unit: shape (1,000, n_units), the same for every metric."""
    shares = np.full(n_units, 1 / n_units)
    return np.random.default_rng(seed).multinomial(n_units, shares, size=N_RESAMPLES).astype(np.float64)


def _check_users(n_users: int) -> None:
    if n_users == 0:
        raise ValueError(
            "there are no users to resample; expected one or more. Hold out interactions of users who have "
            "others in train, or choose another split."
        )
