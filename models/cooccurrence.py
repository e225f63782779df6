"""Links between items by the users that they share, in any order of events or in that of time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.ages import UNKNOWN, count_later_moments
from models.base import Interactions
from models.paths import Links, Sums, Weigh, keep_strongest, stack, sum_paths
from schema.arrays import Floats, Indices, order_by, places_within
from schema.items_by_user import ItemsByUser, pair_keys

Strengthen = Callable[[Indices, Indices, Floats], Floats]
"""Returns the strengths of links from the items they start at, those they lead to, and sums over shared users."""


class Direction(NamedTuple):
    """How much a user counts for a link from an item to one of an earlier, of a later or of the same moment.

    A later one counts gap_decay^(g - 1), where g is the number of moments from one to the other; an earlier one
    backward times as much; one of the same moment (1 + backward) / 2, for it has no order.
    """

    backward: float
    gap_decay: float


@dataclass(frozen=True, eq=False)
class Events:
    """Who had what, each pair once, by user and item.

    Attributes:
        items_of: Row u has the items of user u.
        timestamp: Unix seconds, one for each of ``items_of.items``; None where they are not known of all.
        n_items: Items of the dataset.
    """

    items_of: ItemsByUser
    timestamp: NDArray[np.int64] | None
    n_items: int

    @classmethod
    def of(cls, interactions: Interactions, *, with_times: bool) -> Self:
        """Return the events of interactions in any order; of a pair that is repeated the latest counts.

        Raises:
            ValueError: If an index is outside the users or items.
        """
        user_idx, item_idx, n_items = interactions.user_idx, interactions.item_idx, interactions.n_items
        if len(item_idx) and item_idx.max() >= n_items:
            raise ValueError(
                f"item index {item_idx.max()} is outside the {n_items} items; expected 0 to {n_items - 1}. Use the "
                "dataset that the indices come from."
            )
        times = interactions.timestamp if with_times else np.zeros(len(item_idx))
        keys = pair_keys(user_idx, item_idx)
        order = np.argsort(keys)
        if (np.diff(keys[order]) == 0).any():
            order = np.lexsort((times, keys))
            order = order[np.append(np.diff(keys[order]) > 0, True)]
        items_of = ItemsByUser.from_pairs(user_idx[order], item_idx[order], interactions.n_users)
        is_timed = with_times and np.isfinite(times).all()
        return cls(items_of, times[order].astype(np.int64) if is_timed else None, n_items)

    def newest(self, n: int) -> "Events":
        """Return the events with at most n of each user: the newest, and of one moment those of lowest item."""
        if self.n_items_of.max(initial=0) <= n:
            return self
        (_, items), user, timestamp = self.items_of, self.items_of.rows, self.timestamp
        order = np.lexsort((items, np.zeros(len(items)) if timestamp is None else -timestamp, user))
        kept = np.sort(order[places_within(self.n_items_of) < n])
        items_of = ItemsByUser.from_pairs(user[kept], items[kept], len(self.n_items_of))
        return Events(items_of, None if timestamp is None else timestamp[kept], self.n_items)

    def number_items(self, items: Indices) -> "Events":
        """Return the events with items numbered by their places among some, ascending, which must be all that occur."""
        places = np.searchsorted(items, self.items_of.items).astype(np.int32)
        return Events(self.items_of._replace(items=places), self.timestamp, len(items))

    @cached_property
    def n_items_of(self) -> NDArray[np.int64]:
        """Number of items of each user."""
        return self.items_of.counts

    @cached_property
    def n_users_of(self) -> NDArray[np.int64]:
        """Number of users of each item."""
        return np.bincount(self.items_of.items, minlength=self.n_items)

    def link(self, user_weight: Floats, strengthen: Strengthen, k: int, direction: Direction | None = None) -> Links:
        """Return the k strongest links of each item to others, strongest first; equal ones are ordered by item.

        The strength of a link is made of the sum of the weights of the users that have both items. Links that are not
        above 0 are left out.

        Args:
            user_weight: Weight of each user, at least 0.
            strengthen: What makes a strength of a sum.
            k: At least 1.
            direction: How the order of the two events counts; None for not at all. Needs timestamps.
        """

        def keep(sums: Sums) -> Links:
            item = sums.rows.start + sums.row
            strengths = strengthen(item, sums.item, sums.values).astype(np.float32)
            is_link = strengths > 0
            found = sums._replace(row=sums.row[is_link], item=sums.item[is_link])
            return keep_strongest(found, strengths[is_link], self.n_items, k)

        return stack(keep(sums) for sums in self.sum_pairs(user_weight, direction))

    def sum_pairs(self, user_weight: Floats, direction: Direction | None = None) -> Iterator[Sums]:
        """Yield the sums of the weights of the users that have both items, of each two items that differ, by rows.

        Args:
            user_weight: Weight of each user, at least 0.
            direction: How the order of the two events counts; None for not at all. Needs timestamps.
        """
        user = self.items_of.rows
        by_item = order_by(self.items_of.items, user)
        starts = np.concatenate([[0], np.cumsum(self.n_users_of)])
        first = Links(starts, user[by_item].astype(np.int32), user_weight[user[by_item]])
        second = Links(*self.items_of, np.ones(len(user)))
        weigh = None if direction is None else self._weigh_by_order(direction, first, by_item)
        itself = ItemsByUser(np.arange(self.n_items + 1), np.arange(self.n_items, dtype=np.int32))
        return sum_paths(first, second, itself, self.n_items, weigh)

    def _weigh_by_order(self, direction: Direction, first: Links, by_item: NDArray[np.int64]) -> Weigh:
        timestamp = self.timestamp if self.timestamp is not None else np.full(len(by_item), UNKNOWN)
        later = count_later_moments(self.items_of.rows, timestamp)
        furthest = int(later.max(initial=0))
        gaps = np.arange(-furthest, furthest + 1)
        counts = direction.gap_decay ** (np.abs(gaps) - 1.0) * np.where(gaps > 0, 1, direction.backward)
        counts[furthest] = (1 + direction.backward) / 2

        def weigh(start: Indices, onward: Indices) -> Floats:
            return np.asarray(first.weights[start] * counts[furthest + later[by_item[start]] - later[onward]])

        return weigh
