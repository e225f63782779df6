"""95 % intervals by the bootstrap over users: percentiles over resampled users (Efron, 1979)."""

import numpy as np
from numpy.typing import NDArray

N_RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)


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

    Raises:
        ValueError: If there are no values.

    Example:
        >>> ratio_interval(np.array([2.0, 4.0]), np.array([1.0, 2.0]))
        (2.0, 2.0)
    """
    _check_users(len(numerator))
    generator = np.random.default_rng(seed)
    ratios = np.empty(N_RESAMPLES)
    for resample in range(N_RESAMPLES):
        users = generator.integers(len(numerator), size=len(numerator), dtype=np.uint32)
        draws = np.bincount(users, minlength=len(numerator)).astype(np.float64)
        ratios[resample] = np.einsum("u,u", draws, numerator) / np.einsum("u,u", draws, denominator)
    low, high = np.percentile(ratios, PERCENTILES)
    return float(low), float(high)


def _check_users(n_users: int) -> None:
    if n_users == 0:
        raise ValueError(
            "there are no users to resample; expected one or more. Hold out interactions of users who have "
            "others in train, or choose another split."
        )
