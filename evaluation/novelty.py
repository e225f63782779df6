"""How little known the items of each user's list are, by how often they stand in train."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.exposure import check_lists


def self_information(
    items: NDArray[np.integer], ks: Sequence[int], item_counts: NDArray[np.integer], n_train_users: int
) -> dict[int, NDArray[np.float64]]:
    """Return the mean surprise of each list: -log2 of the share of users who have the item, in bits.

    Vargas and Castells, RecSys 2011. An item that nobody has in train counts as one that a single user has, so that its
    surprise is finite. An empty list surprises nobody: 0.0, the least there is.

    Args:
        items: Shape (n, k_max), best first, -1 for places left empty; a shorter list is the mean of what it holds.
        ks: Cut-offs, from 1 to k_max.
        item_counts: Shape (n_items), the users in train of each item.
        n_train_users: Users in train; no item has more.

    Returns:
        Cut-off -> float64 of shape (n), from 0 to log2(n_train_users).

    Raises:
        ValueError: If a cut-off, a list or a count is not as described.

    Example:
        >>> {k: v.tolist() for k, v in self_information(np.array([[0, 1]]), [1, 2], np.array([8, 2]), 8).items()}
        {1: [0.0], 2: [1.0]}
    """
    _check_counts(item_counts, n_train_users)
    return _mean_over_lists(items, ks, np.log2(n_train_users / np.maximum(item_counts, 1)))


def mean_popularity(
    items: NDArray[np.integer], ks: Sequence[int], item_counts: NDArray[np.integer]
) -> dict[int, NDArray[np.float64]]:
    """Return the mean number of training interactions of the items of each list.

    Average recommendation popularity (Yin et al., VLDB 2012); arguments as in self_information. An empty list
    holds no popular item: 0.0. Read it beside the metrics of accuracy, where such a list is worth nothing either.

    Returns:
        Cut-off -> float64 of shape (n), in interactions.

    Raises:
        ValueError: If a cut-off or a list is not as described.

    Example:
        >>> {k: v.tolist() for k, v in mean_popularity(np.array([[0, 1]]), [1, 2], np.array([8, 2])).items()}
        {1: [8.0], 2: [5.0]}
    """
    return _mean_over_lists(items, ks, item_counts.astype(np.float64))


def _mean_over_lists(
    items: NDArray[np.integer], ks: Sequence[int], per_item: NDArray[np.float64]
) -> dict[int, NDArray[np.float64]]:
    """Return the mean of per_item over each list at each cut-off, 0.0 for an empty list."""
    check_lists(items, ks, len(per_item))
    is_filled = items >= 0
    values = np.append(per_item, 0.0)[np.where(is_filled, items, len(per_item))]
    return {k: values[:, :k].sum(axis=1) / np.maximum(is_filled[:, :k].sum(axis=1), 1) for k in ks}


def _check_counts(item_counts: NDArray[np.integer], n_train_users: int) -> None:
    most = int(item_counts.max(initial=1))
    if most > n_train_users or item_counts.min(initial=0) < 0:
        raise ValueError(
            f"item counts run from {item_counts.min(initial=0)} to {most} with {n_train_users} users in train; "
            "expected 0 to the number of users. Count each pair of user and item once, in the same train part."
        )
