"""Items per user, as the two arrays of a compressed sparse row matrix."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from schema.arrays import Indices, places_within


class ItemsByUser(NamedTuple):
    """The items of each user: those of user u are items[indptr[u]:indptr[u + 1]], in ascending order.

    Attributes:
        indptr: int64 of shape (n_users + 1), from 0, never falling.
        items: int32 of shape (n_pairs).
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]

    @classmethod
    def from_pairs(cls, user_idx: Indices, item_idx: Indices, n_users: int) -> Self:
        """Return the items per user of pairs in any order.

        Raises:
            ValueError: If a user index is outside 0 to n_users - 1, or an item index is negative.

        Example:
            >>> table = ItemsByUser.from_pairs(np.array([2, 0, 2]), np.array([7, 5, 3]), n_users=3)
            >>> table.indptr.tolist(), table.items.tolist()
            ([0, 1, 1, 3], [5, 3, 7])
        """
        _check_pairs(user_idx, item_idx, n_users)
        keys = np.sort(pair_keys(user_idx, item_idx))
        indptr = np.zeros(n_users + 1, dtype=np.int64)
        np.cumsum(np.bincount(user_idx, minlength=n_users), out=indptr[1:])
        return cls(indptr, (keys & 0xFFFFFFFF).astype(np.int32))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of items of each user."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> NDArray[np.int64]:
        """User of each item."""
        return np.repeat(np.arange(len(self.indptr) - 1), self.counts)

    @property
    def keys(self) -> NDArray[np.int64]:
        """One ascending number for each pair, user << 32 | item, to look pairs up by."""
        return pair_keys(self.rows, self.items)

    def take(self, users: Indices) -> Self:
        """Return the rows of these users, in the order given, numbered from 0.

        Example:
            >>> table = ItemsByUser.from_pairs(np.array([0, 1, 1]), np.array([5, 3, 7]), n_users=2)
            >>> table.take(np.array([1])).items.tolist()
            [3, 7]
        """
        indptr = np.concatenate([[0], np.cumsum(self.indptr[users + 1] - self.indptr[users])])
        return type(self)(indptr, self.items[self.places(users)])

    def places(self, users: Indices) -> NDArray[np.int64]:
        """Return the places of the items of these users in ``items``, one user's after another's."""
        counts = self.indptr[users + 1] - self.indptr[users]
        return np.repeat(self.indptr[users], counts) + places_within(counts)


def pair_keys(user_idx: Indices, item_idx: Indices) -> NDArray[np.int64]:
    """Return user << 32 | item; unique for each pair and ordered by user, then item."""
    return (user_idx.astype(np.int64) << 32) | item_idx.astype(np.int64)


def _check_pairs(user_idx: Indices, item_idx: Indices, n_users: int) -> None:
    if len(user_idx) != len(item_idx):
        raise ValueError(
            f"{len(user_idx)} user indices and {len(item_idx)} item indices; expected as many of one as of "
            "the other. Take both columns from one table."
        )
    if len(user_idx) and (user_idx.min() < 0 or user_idx.max() >= n_users or item_idx.min() < 0):
        raise ValueError(
            f"user indices run from {user_idx.min()} to {user_idx.max()} and item indices from "
            f"{item_idx.min()}; expected users 0 to {n_users - 1} and items from 0. Use the dataset that the "
            "indices come from."
        )
