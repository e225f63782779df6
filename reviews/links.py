"""Items that users have in common: how many, with how many others, and in how many separate groups."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from reviews.distributions import distribute
from reviews.indexed import IndexedReviews
from schema.exploration import CoPurchases, Link, LinkShare

LEAST_USERS = (1, 2, 5)
N_STRONGEST = 10
MOST_WORK = 400_000_000
BLOCK_WORK = 2_000_000
SEED = 1

Ints = NDArray[np.int64]
Found = tuple[Ints, Ints, Ints]


def count_copurchases(reviews: IndexedReviews, most_work: int = MOST_WORK) -> CoPurchases:
    """Return which items have users in common.

    Args:
        reviews: Of which the interactions count.
        most_work: Steps that the comparison of items may take: one for each user of an item and item of that user.
            Where all items would take more, a random sample of them is compared with all.
    """
    by_user = mark_interactions(reviews)
    by_item, n_of_user = by_user.T.tocsr(), np.diff(by_user.indptr)
    work = by_item @ n_of_user
    asked = _ask(work, most_work)
    n_others, strongest = _count_others(by_user, by_item, asked, work)
    shares = zip(LEAST_USERS, n_others, strict=True)
    labels = _label_items(by_user)
    return CoPurchases(
        n_items_asked=len(asked),
        n_users_of_several=int((n_of_user > 1).sum()),
        links=tuple(LinkShare(least, float((n > 0).mean()), distribute(n)) for least, n in shares),
        n_components=len(np.unique(labels)),
        largest_component=int(np.bincount(labels).max()),
        strongest=_name(reviews, by_item, strongest),
    )


def mark_interactions(reviews: IndexedReviews) -> sparse.csr_array:
    """Return users by items, int32: 1 where the user has the item."""
    rows, shape = reviews.interactions, (len(reviews.user_ids), len(reviews.item_ids))
    ends = np.cumsum(np.bincount(rows.user_idx, minlength=shape[0]))
    ones = np.ones(len(rows), dtype=np.int32)
    return sparse.csr_array((ones, rows.item_idx, np.append([0], ends)), shape=shape)


def _ask(work: Ints, most_work: int) -> Ints:
    """Return the items to compare with all others, ascending: all, or a sample of so many that the work is done."""
    n = len(work)
    n_asked = min(n, max(1, int(n * most_work / work.sum())))
    return np.arange(n) if n_asked == n else np.sort(np.random.default_rng(SEED).choice(n, n_asked, replace=False))


def _count_others(
    by_user: sparse.csr_array, by_item: sparse.csr_array, asked: Ints, work: Ints
) -> tuple[NDArray[np.int32], Found]:
    """Return with how many others each asked item has 1, 2 and 5 users in common, and the strongest links."""
    n_others = np.zeros((len(LEAST_USERS), len(asked)), dtype=np.int32)
    is_asked = np.zeros(len(work), dtype=bool)
    is_asked[asked] = True
    strongest: Found = (np.empty(0, np.int64),) * 3
    for places in _blocks(work[asked]):
        items = asked[places]
        common = (by_item[items] @ by_user).tocoo()
        row, other, n = common.row, common.col, common.data
        is_other = items[row] != other
        for at, least in enumerate(LEAST_USERS):
            n_others[at, places] = np.bincount(row[is_other & (n >= least)], minlength=len(items))
        is_once = is_other & (~is_asked[other] | (items[row] < other))
        found = (items[row[is_once]], other[is_once].astype(np.int64), n[is_once].astype(np.int64))
        strongest = _strongest(*map(np.concatenate, zip(strongest, found, strict=True)))
    return n_others, strongest


def _blocks(work: Ints) -> Iterator[slice]:
    """Yield stretches of items that take about as much work each."""
    block = np.cumsum(work) // BLOCK_WORK
    starts = np.flatnonzero(np.append([True], block[1:] != block[:-1])).tolist()
    yield from map(slice, starts, [*starts[1:], len(work)])


def _strongest(first: Ints, second: Ints, n_users: Ints) -> Found:
    """Return the links with most users, by the places of their items where equal."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    if len(n_users) > N_STRONGEST:
        least = np.partition(n_users, -N_STRONGEST)[-N_STRONGEST]
        low, high, n_users = (values[n_users >= least] for values in (low, high, n_users))
    order = np.lexsort((high, low, -n_users))[:N_STRONGEST]
    return low[order], high[order], n_users[order]


def _name(reviews: IndexedReviews, by_item: sparse.csr_array, links: Found) -> tuple[Link, ...]:
    counts = np.diff(by_item.indptr).astype(np.float64)
    low, high, n_users = links
    cosines = n_users / np.sqrt(counts[low] * counts[high])
    columns = low.tolist(), high.tolist(), n_users.tolist(), cosines.tolist()
    return tuple(
        Link(reviews.item_ids[a].as_py(), reviews.item_ids[b].as_py(), n, cosine)
        for a, b, n, cosine in zip(*columns, strict=True)
    )


def _label_items(by_user: sparse.csr_array) -> NDArray[np.int32]:
    """Return of each item the number of its connected component in the graph of users and items."""
    n_users, n_items = by_user.shape
    indptr = np.append(by_user.indptr, np.full(n_items, by_user.indptr[-1]))
    graph = sparse.csr_array((by_user.data, by_user.indices + n_users, indptr), shape=(n_users + n_items,) * 2)
    return np.asarray(connected_components(graph, directed=False)[1][n_users:])
