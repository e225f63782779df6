"""The k-cores of reviews: what is left of them where every user and every item has k interactions."""

from dataclasses import replace

import numpy as np

from reviews.indexed import IndexedReviews
from schema.exploration import Core

MOST_K = 20


def size_cores(reviews: IndexedReviews, most_k: int = MOST_K) -> tuple[Core, ...]:
    """Return the size of the k-core of the interactions for k = 1 to the most; each is found in the one before.

    The k-core is the largest part in which each user and each item has k or more (Seidman, Social Networks, 1983).

    Example:
        >>> import pyarrow as pa
        >>> from reviews.indexed import index_reviews
        >>> reviews = index_reviews(pa.table({"user_id": [*"aabbc"], "item_id": [*"xyxyx"]}))
        >>> size_cores(reviews, 3)[1:]
        (Core(k=2, n_users=2, n_items=2, n_interactions=4), Core(k=3, n_users=0, n_items=0, n_interactions=0))
    """
    core, sizes = reviews.interactions, []
    for k in range(1, most_k + 1):
        core = _peel(core, k)
        n_users, n_items = (int(np.count_nonzero(np.bincount(idx))) for idx in (core.user_idx, core.item_idx))
        sizes.append(Core(k, n_users, n_items, len(core)))
    return tuple(sizes)


def take_core(reviews: IndexedReviews, k: int) -> IndexedReviews:
    """Return the interactions of the k-core, with the ids that are left; none of either where it is empty."""
    core = _peel(reviews.interactions, k)
    users, user_idx = np.unique(core.user_idx, return_inverse=True)
    items, item_idx = np.unique(core.item_idx, return_inverse=True)
    return replace(
        core,
        user_ids=core.user_ids.take(users),
        item_ids=core.item_ids.take(items),
        user_idx=user_idx.astype(np.int32),
        item_idx=item_idx.astype(np.int32),
    )


def _peel(core: IndexedReviews, k: int) -> IndexedReviews:
    while True:
        is_kept = np.ones(len(core), dtype=bool)
        for idx in (core.user_idx, core.item_idx):
            is_kept &= (np.bincount(idx) >= k)[idx]
        if is_kept.all():
            return core
        core = core.take(is_kept)
