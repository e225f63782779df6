"""The largest values of each row of a wide matrix, without sorting or partitioning whole rows."""

import math

import numpy as np
from numpy.typing import NDArray


def group_layout(n_columns: int, k: int) -> tuple[int, int]:
    """Return (n_members, n_groups) with n_members * n_groups >= n_columns and n_groups >= k, for k <= n_columns.

    About 2 sqrt(k * n_columns) groups make both searches of find_largest short: one over all groups, one over
    the members of k groups.
    """
    wanted = 2 * math.isqrt(k * n_columns)
    n_groups = min(n_columns, -(-wanted // 16) * 16)
    return -(-n_columns // n_groups), n_groups


def find_largest(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Return the columns of k largest values of each row, in no order; which of equal values is left open.

    A row is laid out as members by groups: column j is member j // n_groups of group j % n_groups, so the
    maxima of all groups take one pass over contiguous memory. The k largest values lie in the k groups with
    the largest maxima: only these are searched.

    Args:
        scores: Shape (n, n_members, n_groups), as group_layout says; no NaN.
        k: From 1 to n_groups.

    Returns:
        Columns, shape (n, k).

    Example:
        >>> sorted(find_largest(np.array([[[1, 5, 2], [7, 0, 3]]], np.float32), k=2)[0].tolist())
        [1, 3]
    """
    n_rows, n_members, n_groups = scores.shape
    groups = _partition(scores.max(axis=1), k)
    members = np.arange(n_members) * n_groups
    candidates = (members[:, None] + groups[:, None, :]).reshape(n_rows, -1)
    values = np.take_along_axis(scores.reshape(n_rows, -1), candidates, axis=1)
    return np.take_along_axis(candidates, _partition(values, k), axis=1)


def _partition(values: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    return np.argpartition(values, values.shape[1] - k, axis=1)[:, -k:]
