"""How far two histograms are apart, and the histograms of reviews that are held beside each other."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

EMPTY_SHARE = 1e-4
ACTIVITY_EDGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
MOST_RATING_VALUES = 20
RATING_BINS = 10


def population_stability_index(before: ArrayLike, now: ArrayLike) -> float:
    """Return how far two histograms over the same bins are apart.

    With p and q the shares of a bin before and now, it is the sum over bins of (q - p) * ln((q + e) / (p + e)), where
    e = 0.0001 keeps a bin finite that is empty on one side: it counts as a ten-thousandth, and a bin that is empty
    on both sides adds nothing. For filled bins this is the usual sum of (q - p) * ln(q / p) but for the fourth
    decimal. A histogram without any count has the share 0 in every bin. The index and its conventional limits are
    those of N. Siddiqi, Credit Risk Scorecards (Wiley, 2006).

    Args:
        before: Counts, shape (n_bins,), none negative.
        now: Counts of the same bins.

    Returns:
        Dimensionless, 0 or more; 0 exactly where all shares are equal, and the same with the arguments exchanged.

    Raises:
        ValueError: If the shapes differ, or a count is negative.

    Example:
        >>> round(population_stability_index([50, 50], [80, 20]), 2)
        0.42
        >>> population_stability_index([1, 2, 0], [10, 20, 0])
        0.0
    """
    p, q = _shares(before), _shares(now)
    if p.shape != q.shape:
        raise ValueError(f"histograms have {p.shape} and {q.shape} bins; expected the same bins in both.")
    return float(np.abs((q - p) * (np.log(q + EMPTY_SHARE) - np.log(p + EMPTY_SHARE))).sum())


def bin_ratings(before: Mapping[float, int], now: Mapping[float, int]) -> tuple[list[int], list[int]]:
    """Return the rows of each rating, or of ten ranges of equal width where there are more than twenty ratings.

    Example:
        >>> bin_ratings({1.0: 5}, {1.0: 2, 5.0: 3})
        ([5, 0], [2, 3])
    """
    values = sorted({*before, *now})
    rows = [[found.get(value, 0) for value in values] for found in (before, now)]
    if len(values) > MOST_RATING_VALUES:
        edges = np.linspace(values[0], values[-1], RATING_BINS + 1)
        rows = [[int(n) for n in np.histogram(values, bins=edges, weights=counts)[0]] for counts in rows]
    return rows[0], rows[1]


def bin_activity(rows_per_user: ArrayLike) -> list[int]:
    """Return how many users have 1, 2-4, 5-9, 10-19, … and 1000 or more rows.

    Example:
        >>> bin_activity([1, 1, 2, 4, 5, 2000])
        [2, 2, 1, 0, 0, 0, 0, 0, 0, 1]
    """
    counts, _ = np.histogram(np.asarray(rows_per_user, dtype=np.float64), bins=[*ACTIVITY_EDGES, np.inf])
    return [int(count) for count in counts]


def _shares(counts: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(counts, dtype=np.float64)
    if (values < 0).any():
        raise ValueError(f"a histogram has the count {values.min():g}; expected 0 or more in every bin.")
    total = values.sum()
    return values / total if total else values
