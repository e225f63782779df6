"""Rows that neural models learn from: held back, shuffled, and joined by drawn items that a user does not have."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.base import Interactions
from schema.arrays import Indices, sorted_unique
from schema.items_by_user import pair_keys

CHUNK_ROWS = 256
BLOCK_ROWS = 1 << 18
NEGATIVE_TRIES = 20
MOST_HELD_BACK = 2048


@dataclass(frozen=True)
class Rows:
    """Rows to learn from, and those held back to tell when to stop, both without order in time.

    Attributes:
        users: User of each row.
        items: Item of each row.
        targets: Rating of each row; 1 where an interaction is all that is known.
    """

    users: Indices
    items: Indices
    targets: NDArray[np.float32]

    def take(self, rows: Indices) -> Self:
        """Return some rows, in the order given."""
        return type(self)(self.users[rows], self.items[rows], self.targets[rows])

    @classmethod
    def of(cls, interactions: Interactions, *, explicit: bool) -> Self:
        """Return the rows in the order of user and item: those that are rated, or each pair once.

        Raises:
            ValueError: If there is none.
        """
        users, items = interactions.user_idx, interactions.item_idx
        if explicit:
            rating = np.asarray(interactions.rating, dtype=np.float32)
            rows = np.lexsort((items, users))
            rows = rows[np.isfinite(rating[rows])]
            found = cls(users[rows], items[rows], rating[rows])
        else:
            keys = sorted_unique(pair_keys(users, items))
            found = cls(keys >> 32, keys & 0xFFFFFFFF, np.ones(len(keys), dtype=np.float32))
        if not len(found.users):
            raise ValueError(f"{len(users)} interactions leave no row to learn from. Give a larger share to train.")
        return found

    def hold_back(self, share: float, seed: int) -> tuple[Self, Self]:
        """Return the rows without, and then those with, a share of them, at most one of a user that has several."""
        rng = np.random.default_rng(seed)
        shuffled = rng.permutation(len(self.users))
        _, first, counts = np.unique(self.users[shuffled], return_index=True, return_counts=True)
        one_each = rng.permutation(shuffled[first[counts > 1]])
        n_held = min(MOST_HELD_BACK, max(1, round(share * len(self.users))))
        held = np.sort(one_each[:n_held])
        return self.take(np.delete(np.arange(len(self.users)), held)), self.take(held)


def shuffled_blocks(n_rows: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield the rows 0 to n_rows - 1, each once, in shuffled blocks of chunks that are drawn at random.

    So a batch mixes rows of the whole, while no more than a block is in memory at once, beside the columns.
    """
    chunks = rng.permutation(-(-n_rows // CHUNK_ROWS))
    size = BLOCK_ROWS // CHUNK_ROWS
    for start in range(0, len(chunks), size):
        rows = (chunks[start : start + size, None] * CHUNK_ROWS + np.arange(CHUNK_ROWS)).ravel()
        yield rng.permutation(rows[rows < n_rows])


def sample_unknown(
    users: Indices, known_keys: NDArray[np.int64], n_items: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return an item for each user that it does not have, drawn uniformly; any item where that is not found in time."""
    items = rng.integers(n_items, size=len(users))
    open_rows = np.arange(len(users))
    for _ in range(NEGATIVE_TRIES):
        wanted = pair_keys(users[open_rows], items[open_rows])
        places = np.minimum(np.searchsorted(known_keys, wanted), len(known_keys) - 1)
        open_rows = open_rows[known_keys[places] == wanted]
        if not len(open_rows):
            break
        items[open_rows] = rng.integers(n_items, size=len(open_rows))
    return items
