"""What is known of people: the items of each, with ratings and times."""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from schema.arrays import Indices, order_by
from schema.items_by_user import ItemsByUser


class Histories(NamedTuple):
    """What is known of people, whoever they are: the items of each, with ratings and times where there are any.

    Attributes:
        items: Row i has the items of person i, each once, ascending.
        rating: float32, one for each of ``items.items``, NaN where there is none.
        timestamp: int64 Unix seconds, one for each of ``items.items``, -1 where there is none.
    """

    items: ItemsByUser
    rating: NDArray[np.float32]
    timestamp: NDArray[np.int64]

    @classmethod
    def of(cls, items: ItemsByUser) -> Self:
        """Return histories of which only the items are known."""
        n = len(items.items)
        return cls(items, np.full(n, np.nan, dtype=np.float32), np.full(n, -1, dtype=np.int64))

    @classmethod
    def from_columns(
        cls, user_idx: Indices, item_idx: Indices, rating: NDArray[Any], timestamp: NDArray[Any], n_users: int
    ) -> Self:
        """Return the histories of users from interactions in any order, each pair once.

        Example:
            >>> user_idx, item_idx, rating = np.array([1, 0, 1]), np.array([7, 5, 3]), np.array([4, 2, 5])
            >>> known = Histories.from_columns(user_idx, item_idx, rating, np.array([30, 10, 20]), n_users=2)
            >>> known.items.items.tolist(), known.rating.tolist(), known.take(np.array([1])).timestamp.tolist()
            ([5, 3, 7], [2.0, 5.0, 4.0], [20, 30])
        """
        order = order_by(user_idx, item_idx)
        items = ItemsByUser.from_pairs(user_idx, item_idx, n_users)
        return cls(items, rating[order].astype(np.float32), timestamp[order].astype(np.int64))

    def take(self, users: Indices) -> Self:
        """Return the histories of these users, in the order given, numbered from 0."""
        places = self.items.places(users)
        return type(self)(self.items.take(users), self.rating[places], self.timestamp[places])
