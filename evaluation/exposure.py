"""What a set of lists does to the catalogue as a whole: how much of it is shown, how evenly, and to whom.

Let L_u be the items in the top k of user u, c_i the number of lists that hold item i, U the number of users
and S the sum of all c_i. Users whose list is empty are left out: they show nothing.

None of these is a mean over users. A user drawn twice shows nothing new, so a bootstrap over users is off
to one side; the intervals are by the jackknife over users instead (Efron and Stein, 1981): with t_u the value
without user u, se² = (U - 1) / U · Σ (t_u - mean of t)². Every t_u here is exact and all of them together
take time that grows with the number of list entries, but for a sort. An interval is about the value for
another U users: coverage would be larger, and Gini lower, for more of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schema.items_by_user import pair_keys

NORMAL_975 = 1.96


@dataclass(frozen=True)
class Estimate:
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


def coverage_at_k(items: NDArray[np.integer], k: int, n_items: int) -> Estimate:
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


def gini_at_k(items: NDArray[np.integer], k: int, n_items: int) -> Estimate:
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


def personalisation_at_k(items: NDArray[np.integer], k: int, n_items: int) -> Estimate:
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


def check_lists(items: NDArray[np.integer], ks: Sequence[int], n_items: int) -> None:
    """Refuse cut-offs that lists do not reach, items outside the catalogue and repeats within a list.

    Raises:
        ValueError: If any is found.

    Example:
        >>> check_lists(np.array([[0, 1, -1], [2, -1, -1]]), ks=[1, 3], n_items=3)
    """
    k_max = items.shape[1]
    if not ks or min(ks) < 1 or max(ks) > k_max:
        raise ValueError(
            f"cut-offs are {list(ks)} for lists of {k_max}; expected one or more from 1 to {k_max}. "
            "Ask the model for longer lists, or lower the cut-offs."
        )
    if items.size and items.max() >= n_items:
        raise ValueError(
            f"a list holds item {items.max()}; expected items from 0 to {n_items - 1}. Take the lists and the "
            "catalogue from one dataset."
        )
    ordered = np.sort(items, axis=1)
    repeats = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if repeats.any():
        row = int(np.flatnonzero(repeats)[0])
        raise ValueError(
            f"list in row {row} repeats an item: {items[row].tolist()}; expected each item once. Mend the recommender."
        )


def _expose(items: NDArray[np.integer], k: int, n_items: int) -> _Exposure:
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


def _jackknife(value: float, left_out: NDArray[np.float64]) -> Estimate:
    """Return the interval from the values without each of the users in turn, clipped to [0, 1]."""
    n_users = len(left_out)
    error = float(np.sqrt((n_users - 1) / n_users * ((left_out - left_out.mean()) ** 2).sum()))
    return Estimate(value, max(value - NORMAL_975 * error, 0.0), min(value + NORMAL_975 * error, 1.0))
