"""Interactions and factors drawn at random, of the size and the unevenness of real ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluating.marginals import ROWS_PER_ITEM, ROWS_PER_USER, Counts, spread_rows
from models.factors import FactorModel
from schema.errors import InvalidInput

LEAST_ROWS = 3  # one each to train on, to validate on and to test on
POPULAR_ROUNDS = 20

Pairs = tuple[NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True)
class Size:
    """How large the input is; by default that of the 5-core of Amazon Electronics.

    Attributes:
        users, items, interactions: How many of each.
        rank: Length of a factor vector.

    Raises:
        InvalidInput: If so many interactions do not fit, three or more to a user, no user with over half of the items.
    """

    users: int = 192_403
    items: int = 63_001
    interactions: int = 1_689_188
    rank: int = 64

    def __post_init__(self) -> None:
        least, most = self.users * LEAST_ROWS, self.users * (self.items // 2)
        if not least <= self.interactions <= most:
            raise InvalidInput(
                f"{self.interactions} interactions of {self.users} users with {self.items} items; expected {least} to "
                f"{most}. Change --users, --items or --interactions."
            )

    def shrink(self, divisor: int) -> "Size":
        """Return the size with a divisor-th of the users and of their interactions, and the same catalogue."""
        users = max(self.users // divisor, 1)
        return Size(users, self.items, round(self.interactions * users / self.users), self.rank)


def draw_interactions(size: Size, seed: int) -> Pairs:
    """Return user and item indices of each interaction, those of a user side by side, oldest first.

    Users have exactly the rows that the quantiles give them. Items are dealt out by theirs; where a user would get
    one a second time, another is drawn by popularity, and evenly if that does not help.
    """
    rng = np.random.default_rng(seed)
    per_user = spread_rows(ROWS_PER_USER, size.users, size.interactions, LEAST_ROWS, size.items // 2)
    per_item = spread_rows(ROWS_PER_ITEM, size.items, size.interactions, 0, size.users)
    user_idx = np.repeat(np.arange(size.users, dtype=np.int32), rng.permutation(per_user))
    dealt = rng.permutation(np.repeat(rng.permutation(size.items).astype(np.int32), per_item))
    item_idx, n_rounds = dealt.copy(), 0
    while len(repeated := find_repeats(user_idx, item_idx, size.items)):
        source = dealt if n_rounds < POPULAR_ROUNDS else np.arange(size.items, dtype=np.int32)
        item_idx[repeated] = rng.choice(source, len(repeated))
        n_rounds += 1
    return user_idx, item_idx


def find_repeats(user_idx: NDArray[np.int32], item_idx: NDArray[np.int32], n_items: int) -> NDArray[np.int64]:
    """Return the rows whose pair an earlier row has already.

    Example:
        >>> find_repeats(np.array([0, 0, 1, 0], np.int32), np.array([4, 4, 4, 4], np.int32), n_items=5).tolist()
        [1, 3]
    """
    keys = user_idx.astype(np.int64) * n_items + item_idx
    order = np.argsort(keys, kind="stable")
    return np.sort(order[1:][keys[order[1:]] == keys[order[:-1]]])


def draw_factors(size: Size, item_counts: Counts, seed: int) -> FactorModel:
    """Return normal float32 factors whose first column rises with popularity, so that lists share their items.

    Args:
        size: Of what.
        item_counts: Interactions of each item, shape (items).
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    users, items = (rng.standard_normal((n, size.rank), dtype=np.float32) for n in (size.users, size.items))
    items /= np.float32(np.sqrt(size.rank))
    logarithms = np.log1p(item_counts)
    items[:, 0] = (logarithms - logarithms.mean()) / max(float(logarithms.std()), 1e-9)
    users[:, 0] = 1 + users[:, 0] / 4
    return FactorModel(users, items)
