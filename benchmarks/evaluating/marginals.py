"""How many interactions users and items have: the quantiles of real data, stretched to the size that is wanted."""

import numpy as np
from numpy.typing import NDArray

# Quantiles of the 10-core of Amazon Electronics: 347,393 interactions of 20,247 users with 11,589 items.
PERCENTS = (0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 97, 98, 99, 99.5, 99.9, 99.99, 100)
ROWS_PER_USER = (10, 10, 10, 11, 12, 13, 14, 16, 18, 20, 23, 27, 31, 38, 48, 57, 76, 101, 165, 245, 317)
ROWS_PER_ITEM = (10, 11, 12, 13, 15, 18, 21, 26, 30, 35, 42, 57, 67, 85, 117, 144, 198, 294, 555, 1167, 1376)

Counts = NDArray[np.int64]


def spread_rows(quantiles: tuple[int, ...], n: int, total: int, least: int, most: int) -> Counts:
    """Return how many rows each of n users, or items, has: ascending, shaped like the quantiles, of one sum.

    Args:
        quantiles: Rows at each of PERCENTS.
        n: How many share the rows, at least 1.
        total: Rows to share out, from n * least to n * most.
        least: Rows that each has at least.
        most: Rows that each has at most.

    Returns:
        Shape (n), from least to most, with the sum `total`. What is cut off at `most` goes to those with fewest.

    Raises:
        ValueError: If the total does not lie between n * least and n * most.

    Example:
        >>> spread_rows(ROWS_PER_USER, n=5, total=40, least=3, most=50).tolist()
        [5, 6, 7, 8, 14]
    """
    if not n * least <= total <= n * most:
        raise ValueError(
            f"{total} rows for {n} with {least} to {most} each; expected {n * least} to {n * most}. Ask for others."
        )
    shape = np.interp((np.arange(n) + 0.5) / n * 100, PERCENTS, quantiles)
    above = np.maximum(shape * (total / shape.sum()) - least, 1e-9)
    ends = np.round(np.cumsum(above) * ((total - n * least) / above.sum())).astype(np.int64)
    counts = np.minimum(least + np.diff(ends, prepend=0), most)
    while missing := total - int(counts.sum()):
        counts[np.flatnonzero(counts < most)[:missing]] += 1
    return np.sort(counts)
