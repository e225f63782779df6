"""Values in short: mean, quantiles, bars and counts of each value."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from schema.arrays import Indices
from schema.distributions import Bar, Distribution

QUANTILES = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1)
MOST_VALUES = 20


def distribute(values: NDArray[np.number]) -> Distribution:
    """Return mean, standard deviation and quantiles of one value or more.

    Example:
        >>> distribute(np.array([1, 2, 3, 6])).median
        2.5
    """
    quantiles = map(float, np.quantile(values, QUANTILES))
    return Distribution(
        len(values), float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)), *quantiles
    )


def count_values(values: Indices) -> tuple[tuple[int, int], ...]:
    """Return (value, how often it stands there), ascending.

    Example:
        >>> count_values(np.array([3, 1, 3]))
        ((1, 1), (3, 2))
    """
    found = np.unique(values, return_counts=True)
    return tuple(zip(*(column.tolist() for column in found), strict=True))


def bar_ratings(ratings: NDArray[np.float32]) -> tuple[Bar, ...]:
    """Return a bar for each rating, or 20 of one width where there are more; those that are NaN are left out.

    Example:
        >>> bar_ratings(np.array([5, 1, 5], np.float32))
        (Bar(low=1.0, high=1.0, n=1), Bar(low=5.0, high=5.0, n=2))
    """
    values, counts = np.unique(ratings[~np.isnan(ratings)], return_counts=True)
    if len(values) <= MOST_VALUES:
        return tuple(Bar(float(value), float(value), int(n)) for value, n in zip(values, counts, strict=True))
    n_of_bar, edges = np.histogram(values, bins=MOST_VALUES, weights=counts)
    ends = pairwise(edges.tolist())
    return tuple(Bar(low, high, int(n)) for (low, high), n in zip(ends, n_of_bar, strict=True))


def bar_whole(values: Indices, starts: Sequence[int]) -> tuple[Bar, ...]:
    """Return a bar from each start to just below the next one; the last has all that is greater.

    Example:
        >>> bar_whole(np.array([0, 9, 5]), [0, 1, 7])
        (Bar(low=0, high=0, n=1), Bar(low=1, high=6, n=1), Bar(low=7, high=9, n=1))
    """
    counts = np.bincount(np.searchsorted(starts, values, side="right") - 1, minlength=len(starts)).tolist()
    ends = [*(start - 1 for start in starts[1:]), max(int(values.max(initial=0)), starts[-1])]
    return tuple(Bar(*bar) for bar in zip(starts, ends, counts, strict=True))
