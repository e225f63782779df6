"""Properties of lists beyond accuracy: how little known and how unlike their items are, and how they use the catalogue.

Coverage, Gini and personalisation are of the set of lists as a whole. Let L_u be the items in the top k of user u, c_i
the number of lists that hold item i, U the number of users and S the sum of all c_i. Users whose list is empty are left
out: they show nothing. None of these is a mean over users, and a user drawn twice shows nothing new, so a bootstrap
over users would be biased; the intervals are by the jackknife over users instead (Efron and Stein, 1981): with t_u the
value without user u, se² = (U - 1) / U · Σ (t_u - mean of t)². Every t_u here is exact. An interval is about the value
for another U users: coverage would be larger, and Gini lower, for more of them.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from evaluation.ranking import check_lists
from schema.arrays import Floats, Indices
from schema.items_by_user import ItemsByUser, pair_keys

BLOCK_CELLS = 1 << 22
NORMAL_975 = 1.96


class Estimate(NamedTuple):
    """A value in [0, 1] and its 95 % interval over users."""

    value: float
    low: float
    high: float


class _Exposure(NamedTuple):
    """The entries of all lists, row by row, with how often each item is shown and how long each list is."""

    rows: NDArray[np.int64]
    items: NDArray[np.int64]
    item_counts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def sum_by_list(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sum over each list of one whole number per entry; exact below 2**53."""
        return np.bincount(self.rows, values, minlength=len(self.lengths)).astype(np.int64)


def self_information(items: Indices, ks: Sequence[int], item_counts: Indices, n_train_users: int) -> dict[int, Floats]:
    """Return the mean surprise of each list: -log2 of the share of users who have the item, in bits.

    Vargas and Castells, RecSys 2011. An item that nobody has in train counts as one that a single user has, so that its
    surprise is finite. An empty list surprises nobody: 0.0, the least there is.

    Args:
        items: Shape (n, k_max), best first, -1 for places left empty; a shorter list is the mean of what it holds.
        ks: Cut-offs, from 1 to k_max.
        item_counts: Shape (n_items), the users in train of each item.
        n_train_users: Users in train; no item has more.

    Returns:
        Cut-off -> float64 of shape (n), from 0 to log2(n_train_users).

    Raises:
        ValueError: If a cut-off or a list is not as described.

    Example:
        >>> {k: v.tolist() for k, v in self_information(np.array([[0, 1]]), [1, 2], np.array([8, 2]), 8).items()}
        {1: [0.0], 2: [1.0]}
    """
    return _mean_over_lists(items, ks, np.log2(n_train_users / np.maximum(item_counts, 1)))


def mean_popularity(items: Indices, ks: Sequence[int], item_counts: Indices) -> dict[int, Floats]:
    """Return the mean number of training interactions of the items of each list.

    Average recommendation popularity (Yin et al., VLDB 2012); arguments as in self_information. An empty list
    holds no popular item: 0.0. Read it beside the metrics of accuracy, where such a list is worth nothing either.

    Returns:
        Cut-off -> float64 of shape (n), in interactions.

    Raises:
        ValueError: If a cut-off or a list is not as described.

    Example:
        >>> {k: v.tolist() for k, v in mean_popularity(np.array([[0, 1]]), [1, 2], np.array([8, 2])).items()}
        {1: [8.0], 2: [5.0]}
    """
    return _mean_over_lists(items, ks, item_counts.astype(np.float64))


def intra_list_diversity(items: Indices, ks: Sequence[int], seen: ItemsByUser, n_items: int) -> dict[int, Floats]:
    """Return 1 - the mean cosine over all pairs of items of each list (Ziegler et al., WWW 2005).

    An item's vector marks the users who have it, so the cosine of items a and b is the number of users who
    have both, by the root of the product of their numbers of users (Zhou et al., PNAS, 2010). An item that nobody
    has is unlike all others: cosine 0. A list of fewer than two items has no variety: 0.0.

    Exact. Time grows with n · k_max² and with the sum over users of their items squared; memory with n · k_max²:
    about 100 MB for 2,000 lists of 20. Pass a sample of users.

    Args:
        items: Shape (n, k_max), best first, -1 for places left empty.
        ks: Cut-offs, from 1 to k_max.
        seen: Items in train of all users, of the same catalogue; a pair given twice counts once.
        n_items: Items of the catalogue.

    Returns:
        Cut-off -> float64 of shape (n), in [0, 1].

    Raises:
        ValueError: If a cut-off or a list is not as described.

    Example:
        >>> seen = ItemsByUser.from_pairs(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 2]), n_users=2)
        >>> diversity = intra_list_diversity(np.array([[1, 2, 0]]), [2, 3], seen, n_items=3)
        >>> {k: values.round(4).tolist() for k, values in diversity.items()}
        {2: [1.0], 3: [0.5286]}
    """
    check_lists(items, ks, n_items)
    holders = _mark_holders(seen, n_items)
    first, second = np.triu_indices(items.shape[1], k=1)
    is_pair = (items[:, first] >= 0) & (items[:, second] >= 0)
    cosines = np.zeros(is_pair.shape)
    cosines[is_pair] = _find_cosines(holders, items[:, first][is_pair], items[:, second][is_pair])
    return {k: _mean_diversity(cosines, is_pair, second < k) for k in ks}


def coverage_at_k(items: Indices, k: int, n_items: int) -> Estimate:
    """Return the share of the catalogue that stands in one list at least (Herlocker et al., 2004).

    Without user u it falls by the items that u alone is shown.

    Args:
        items: Shape (n, k_max), best first, -1 for places left empty.
        k: Cut-off, from 1 to k_max.
        n_items: Items of the catalogue, those never shown included.

    Raises:
        ValueError: If k or a list is not as described, or fewer than two lists hold an item.

    Example:
        >>> coverage_at_k(np.array([[0, 1], [0, 2]]), k=2, n_items=4).value
        0.75
    """
    shown = _expose(items, k, n_items)
    n_shown = int((shown.item_counts > 0).sum())
    only_here = shown.sum_by_list((shown.item_counts[shown.items] == 1).astype(np.int64))
    return _jackknife(n_shown / n_items, (n_shown - only_here) / n_items)


def gini_at_k(items: Indices, k: int, n_items: int) -> Estimate:
    """Return the Gini coefficient of c_i over the whole catalogue; arguments and errors as in coverage_at_k.

    Σ_ij |c_i - c_j| / (2 n S), with n the number of items (Fleder and Hosanagar, Management Science, 2009):
    0 when all are shown alike, (n - 1) / n when one item takes it all. The same lists for everybody give
    1 - k / n. Without user u, each of their items drops by one: towards the items below it, away from those at its
    height and above, except those of the same list, which drop along.

    Example:
        >>> gini_at_k(np.array([[0, 1], [0, 1]]), k=2, n_items=4).value
        0.5
    """
    shown = _expose(items, k, n_items)
    ordered = np.sort(shown.item_counts)
    spread = 2 * int(((2 * np.arange(1, n_items + 1) - n_items - 1) * ordered).sum())
    n_below = np.searchsorted(ordered, shown.item_counts)[shown.items]
    change = 2 * (shown.sum_by_list(n_items - 2 * n_below) - _count_level_pairs(shown))
    n_entries = len(shown.items)
    return _jackknife(
        spread / (2 * n_items * n_entries), (spread + change) / (2 * n_items * (n_entries - shown.lengths))
    )


def personalisation_at_k(items: Indices, k: int, n_items: int) -> Estimate:
    """Return how little two users' lists have in common; arguments and errors as in coverage_at_k.

    1 - Σ c_i (c_i - 1) / ((U - 1) S). Where all lists hold k items, S is U k, and this is one less the mean
    share of common items over all pairs of users (inter-list diversity of Zhou et al., PNAS, 2010). Shorter
    lists are weighed by what they hold: the common items of all pairs, by the mean length of the two lists
    (the coefficient of Dice, pooled), so that a list does not pass for personal by leaving places empty.
    Two lists have no jackknife, as one is left: their interval is [0, 1].

    Example:
        >>> personalisation_at_k(np.array([[0, 1], [0, 2]]), k=2, n_items=4).value
        0.5
    """
    shown = _expose(items, k, n_items)
    n_lists, n_entries = len(shown.lengths), len(shown.items)
    n_common = int((shown.item_counts * (shown.item_counts - 1)).sum())
    value = 1 - n_common / ((n_lists - 1) * n_entries)
    if n_lists == 2:
        return Estimate(value, 0.0, 1.0)
    common_left = n_common - 2 * shown.sum_by_list(shown.item_counts[shown.items] - 1)
    return _jackknife(value, 1 - common_left / ((n_lists - 2) * (n_entries - shown.lengths)))


def _mean_over_lists(items: Indices, ks: Sequence[int], per_item: Floats) -> dict[int, Floats]:
    """Return the mean of per_item over each list at each cut-off, 0.0 for an empty list."""
    check_lists(items, ks, len(per_item))
    is_filled = items >= 0
    values = np.append(per_item, 0.0)[np.where(is_filled, items, len(per_item))]
    return {k: values[:, :k].sum(axis=1) / np.maximum(is_filled[:, :k].sum(axis=1), 1) for k in ks}


def _mean_diversity(cosines: Floats, is_pair: NDArray[np.bool_], is_within: NDArray[np.bool_]) -> Floats:
    n_pairs = (is_pair & is_within).sum(axis=1)
    mean = (cosines * is_within).sum(axis=1) / np.maximum(n_pairs, 1)
    return np.where(n_pairs > 0, np.maximum(1 - mean, 0.0), 0.0)


def _mark_holders(seen: ItemsByUser, n_items: int) -> sparse.csr_array:
    """Return items by users, int32: 1 where the user has the item."""
    ones = np.ones(len(seen.items), dtype=np.int32)
    by_user = sparse.csr_array((ones, seen.items, seen.indptr), shape=(len(seen.counts), n_items))
    by_user.sum_duplicates()
    by_user.data[:] = 1
    return by_user.T.tocsr()


def _find_cosines(holders: sparse.csr_array, first: Indices, second: Indices) -> Floats:
    """Return the cosine of each pair of items; a pair asked for many times is worked out once."""
    listed, numbers = np.unique(np.concatenate([first, second]), return_inverse=True)
    low = np.minimum(numbers[: len(first)], numbers[len(first) :])
    high = np.maximum(numbers[: len(first)], numbers[len(first) :])
    pairs, place = np.unique(low * len(listed) + high, return_inverse=True)
    n_users = np.diff(holders.indptr)[listed].astype(np.float64)
    low, high = pairs // max(len(listed), 1), pairs % max(len(listed), 1)
    n_both = _count_common_users(holders[listed], low, high)
    return cast(Floats, (n_both / np.sqrt(np.maximum(n_users[low] * n_users[high], 1)))[place])


def _count_common_users(
    holders: sparse.csr_array, low: NDArray[np.int64], high: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the users that rows low and high have in common; low ascends, so that blocks of rows are in turn."""
    n_rows = holders.shape[0]
    by_user = holders.T.tocsr()
    n_both = np.zeros(len(low), dtype=np.int64)
    step = max(1, BLOCK_CELLS // max(n_rows, 1))
    for start in range(0, n_rows, step):
        within = slice(*np.searchsorted(low, [start, start + step]))
        block = (holders[start : start + step] @ by_user).toarray()
        n_both[within] = block[low[within] - start, high[within]]
    return n_both


def _expose(items: Indices, k: int, n_items: int) -> _Exposure:
    check_lists(items, [k], n_items)
    lists = items[:, :k]
    lists = lists[(lists >= 0).any(axis=1)]
    if len(lists) < 2:
        raise ValueError(
            f"{len(lists)} of {len(items)} lists hold an item; expected two or more, as one says nothing of the "
            "others. Recommend to more users."
        )
    rows, places = np.nonzero(lists >= 0)
    entries = lists[rows, places].astype(np.int64)
    return _Exposure(rows, entries, np.bincount(entries, minlength=n_items), np.bincount(rows))


def _count_level_pairs(shown: _Exposure) -> NDArray[np.int64]:
    """Return for each list the ordered pairs of its items that are shown equally often, each with itself too."""
    levels, sizes = np.unique(pair_keys(shown.rows, shown.item_counts[shown.items]), return_counts=True)
    return np.bincount(levels >> 32, sizes**2, minlength=len(shown.lengths)).astype(np.int64)


def _jackknife(value: float, left_out: Floats) -> Estimate:
    """Return the interval from the values without each of the users in turn, clipped to [0, 1]."""
    n_users = len(left_out)
    error = float(np.sqrt((n_users - 1) / n_users * ((left_out - left_out.mean()) ** 2).sum()))
    return Estimate(value, max(value - NORMAL_975 * error, 0.0), min(value + NORMAL_975 * error, 1.0))
