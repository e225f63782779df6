"""The metrics of one user's list by their definitions, in plain Python; and lists as the arrays that are measured."""

import math
from collections.abc import Collection, Sequence

import numpy as np
from hypothesis import strategies as st

from schema.items_by_user import ItemsByUser


def measure(ranked: list[int], relevant: set[int], k: int) -> dict[str, float]:
    """Return each ranking metric of the top k of a list without repeats."""
    hits = [rank for rank, item in enumerate(ranked[:k], start=1) if item in relevant]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    return {
        "ndcg": sum(1 / math.log2(rank + 1) for rank in hits) / ideal,
        "recall": len(hits) / len(relevant),
        "precision": len(hits) / k,
        "hit_rate": float(bool(hits)),
        "mrr": 1 / hits[0] if hits else 0.0,
        "map": sum(n_hits / rank for n_hits, rank in enumerate(hits, start=1)) / len(relevant),
    }


def users_of(
    n_items: int, longest: int, most_users: int, least_relevant: int = 1
) -> st.SearchStrategy[list[tuple[list[int], set[int]]]]:
    """Return a strategy for some users: of each a list without repeats, and the items that are relevant."""
    items = st.integers(0, n_items - 1)
    user = st.tuples(st.lists(items, max_size=longest, unique=True), st.sets(items, min_size=least_relevant))
    return st.lists(user, min_size=1, max_size=most_users)


def as_matrix(lists: Sequence[Sequence[int]], width: int = 6) -> np.ndarray:
    """Return lists as rows that are filled up with -1."""
    return np.array([[*items, *[-1] * (width - len(items))] for items in lists], dtype=np.int32).reshape(-1, width)


def as_table(relevant: Sequence[Collection[int]]) -> ItemsByUser:
    """Return the items of each user."""
    pairs = np.array([(user, item) for user, items in enumerate(relevant) for item in items], dtype=int).reshape(-1, 2)
    return ItemsByUser.from_pairs(pairs[:, 0], pairs[:, 1], len(relevant))
