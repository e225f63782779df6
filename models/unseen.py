"""The first places of each row that are not taken, and the checks of a request for lists."""

import numpy as np
from numpy.typing import NDArray

from schema.arrays import Indices, sorted_unique
from schema.histories import Histories
from schema.items_by_user import ItemsByUser

DENSE_SHARE = 8


def find_free_places(row: Indices, place: Indices, n_rows: int, n_places: int, k: int) -> NDArray[np.int64]:
    """Return the first k places of each row that are not taken, -1 where none is left.

    With the taken places of a row ascending as p_0 < p_1 < ..., the free place number r is r plus the number of j with
    p_j - j <= r. These differences never fall, so that one binary search over all rows finds the number. Rows of which
    a large part is taken are looked through instead.

    Args:
        row: Row of each taken place, from 0 to n_rows - 1.
        place: The taken places, from 0 to n_places - 1, in any order; one that is repeated counts once.
        n_rows: Rows.
        n_places: Places of each row.
        k: Places to find for each row.

    Returns:
        Shape (n_rows, k).

    Example:
        >>> find_free_places(np.array([0, 0]), np.array([3, 0]), n_rows=2, n_places=5, k=4).tolist()
        [[1, 2, 4, -1], [0, 1, 2, 3]]
    """
    if DENSE_SHARE * len(place) > n_rows * n_places:
        return _look_through(row, place, n_rows, n_places, k)
    keys = sorted_unique(row.astype(np.int64) * n_places + place)
    rows = keys // max(n_places, 1)
    starts = np.searchsorted(rows, np.arange(n_rows + 1))
    differences = keys + rows - (np.arange(len(keys)) - starts[rows])  # p_j - j of the row, plus row * (n_places + 1)
    numbers = np.arange(k)
    wanted = np.arange(n_rows)[:, None] * (n_places + 1) + np.minimum(numbers, n_places)
    places = numbers + np.searchsorted(differences, wanted, side="right") - starts[:-1, None]
    return np.where(places < n_places, places, -1)


def _look_through(row: Indices, place: Indices, n_rows: int, n_places: int, k: int) -> NDArray[np.int64]:
    found = np.full((n_rows, k), -1)
    is_free = np.ones((n_rows, n_places), dtype=bool)
    is_free[row, place] = False
    for places, free in zip(found, is_free, strict=True):
        first = np.flatnonzero(free)[:k]
        places[: len(first)] = first
    return found


def check_histories(histories: Histories, hidden: ItemsByUser, k: int, n_items: int) -> None:
    """Refuse a request for lists of histories that cannot be answered.

    Raises:
        ValueError: If k < 1, the shapes do not fit one another, or an item is not one of the model's.
    """
    n_people = len(histories.items.indptr) - 1
    _check_k(k)
    _check_items("history", histories.items, n_people, n_items)
    _check_items("hidden", hidden, n_people, n_items)


def check_request(users: Indices, seen: ItemsByUser, k: int, n_items: int) -> None:
    """Refuse a request for lists that cannot be answered.

    Raises:
        ValueError: If k < 1, the shapes do not fit one another, or a seen item is not one of the model's.
    """
    _check_k(k)
    _check_items("seen", seen, len(users), n_items)


def histories_of_seen(users: Indices, seen: ItemsByUser, k: int, n_items: int) -> Histories:
    """Return what users have seen as their histories, in any order, an item that is repeated once: `check_request`."""
    check_request(users, seen, k, n_items)
    row, item = np.divmod(sorted_unique(seen.keys), 1 << 32)
    return Histories.of(ItemsByUser.from_pairs(row, item, len(users)))


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k is {k}; expected at least 1. Ask for one recommendation or more.")


def _check_items(name: str, table: ItemsByUser, n_users: int, n_items: int) -> None:
    indptr, items = table
    if len(indptr) != n_users + 1 or indptr[-1] != len(items):
        raise ValueError(
            f"{name} has {len(indptr)} boundaries for {n_users} users, and ends at {indptr[-1:]} for {len(items)} "
            f"{name} items; expected one more than users, and the number of items. Take the rows of the same users."
        )
    if len(items) and (items.min() < 0 or items.max() >= n_items):
        raise ValueError(
            f"{name} items run from {items.min()} to {items.max()}; expected 0 to {n_items - 1}. "
            "Use the dataset that the model was fitted to."
        )
