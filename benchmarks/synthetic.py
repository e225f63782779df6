"""Interactions and factors drawn at random, of the size and the unevenness of real ones."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from schema.errors import InvalidInput

if TYPE_CHECKING:
    from models.factors import FactorModel

# Quantiles of the 10-core of Amazon Electronics: 347,393 interactions of 20,247 users with 11,589 items.
PERCENTS = (0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 97, 98, 99, 99.5, 99.9, 99.99, 100)
ROWS_PER_USER = (10, 10, 10, 11, 12, 13, 14, 16, 18, 20, 23, 27, 31, 38, 48, 57, 76, 101, 165, 245, 317)
ROWS_PER_ITEM = (10, 11, 12, 13, 15, 18, 21, 26, 30, 35, 42, 57, 67, 85, 117, 144, 198, 294, 555, 1167, 1376)

LEAST_ROWS = 3  # one each to train on, to validate on and to test on
POPULAR_ROUNDS = 20

Counts = NDArray[np.int64]
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

    @classmethod
    def of_rows(cls, interactions: int) -> "Size":
        """Return a size of so many interactions, with as many to each user and to each item as there are by default.

        Example:
            >>> Size.of_rows(170_000)
            Size(users=19363, items=6340, interactions=170000, rank=64)
        """
        share = interactions / cls.interactions
        return cls(round(cls.users * share), round(cls.items * share), interactions)

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

    Example:
        >>> spread_rows(ROWS_PER_USER, n=5, total=40, least=3, most=50).tolist()
        [5, 6, 7, 8, 14]
    """
    shape = np.interp((np.arange(n) + 0.5) / n * 100, PERCENTS, quantiles)
    above = np.maximum(shape * (total / shape.sum()) - least, 1e-9)
    ends = np.round(np.cumsum(above) * ((total - n * least) / above.sum())).astype(np.int64)
    counts = np.minimum(least + np.diff(ends, prepend=0), most)
    while missing := total - int(counts.sum()):
        counts[np.flatnonzero(counts < most)[:missing]] += 1
    return np.sort(counts)


def draw_factors(size: Size, item_counts: Counts, seed: int) -> "FactorModel":
    """Return normal float32 factors whose first column rises with popularity, so that lists share their items.

    The popularity of an item is its number of interactions: `item_counts` has the shape (items).
    """
    from models.factors import FactorModel

    rng = np.random.default_rng(seed)
    users, items = (rng.standard_normal((n, size.rank), dtype=np.float32) for n in (size.users, size.items))
    items /= np.float32(np.sqrt(size.rank))
    logarithms = np.log1p(item_counts)
    items[:, 0] = (logarithms - logarithms.mean()) / max(float(logarithms.std()), 1e-9)
    users[:, 0] = 1 + users[:, 0] / 4
    return FactorModel(users, items)
