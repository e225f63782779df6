"""Metrics of ranked lists, for many users at once: full-catalogue evaluation of anything that recommends.

With binary gains, ranks r from 1, a list cut off at k, and R held-out items of its user:

- ndcg: Σ over hits of 1 / log2(r + 1), divided by the same sum over the first min(k, R) ranks (Järvelin and
  Kekäläinen, 2002).
- recall: hits / R; precision: hits / k, for shorter lists too; hit_rate: 1 where there is a hit.
- mrr: 1 / rank of the first hit, 0 without one (Voorhees, TREC-8, 1999).
- map: Σ over hits of the precision at their rank, divided by R as in TREC, not by min(k, R) as in some libraries.

All are those of ranx (Bassani, ECIR 2022) and trec_eval, to the last digit.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.significance import mean_over_users
from schema.arrays import Floats, Indices, places_within
from schema.items_by_user import ItemsByUser, pair_keys
from schema.metric import HistogramBin, Metric, MetricRow

DEFAULT_KS = (5, 10, 20)
BLOCK_USERS = 8192
HISTOGRAM_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

Scores = dict[Metric, Floats]
"""One value of each user by metric."""


About = tuple[str, Mapping[str, Any], str]
"""Name and parameters of a model, and the part of the split: what every row of its metrics says."""


def summarise(scores: Scores, about: About, owner: Indices | None = None) -> list[MetricRow]:
    """Return the mean and the 95 % interval of each metric over users; ValueError if there are no users.

    Owners are the users of the values where one has several, see `evaluation.significance.mean_over_users`.
    """
    rows = []
    for metric, values in scores.items():
        value, low, high, n_users = mean_over_users(values, owner)
        rows.append(MetricRow(*about, *metric, value, low, high, n_users))
    return rows


def evaluate_lists(
    items: NDArray[np.int32],
    users: NDArray[np.int64],
    seen: ItemsByUser,
    relevant: ItemsByUser,
    ks: Sequence[int] = DEFAULT_KS,
    seen_rows: Indices | None = None,
) -> Scores:
    """Return the metrics of the list of each user, measured a block of users at a time.

    Args:
        items: Shape (len(users), k_max), best first, unseen only, -1 where none is left; row i is of users[i].
        users: Users to evaluate, each with held-out items.
        seen: Items of all users that may not be recommended.
        relevant: Held-out items of all users.
        ks: Cut-offs.
        seen_rows: Row of seen of each of the users, where that is not the user.

    Raises:
        ValueError: If held-out items are among the seen ones, or a list has seen or repeated items.
    """
    if not len(users):
        raise ValueError(
            "no user to evaluate; expected users with items both in train and held out. Choose another split."
        )
    blocks, seen_rows = [], users if seen_rows is None else seen_rows
    for start in range(0, len(users), BLOCK_USERS):
        rows = slice(start, start + BLOCK_USERS)
        theirs = relevant.take(users[rows])
        _refuse_leaks(users[rows], items[rows], seen.take(seen_rows[rows]), theirs)
        blocks.append(evaluate_ranking(items[rows], theirs, ks))
    return {metric: np.concatenate([block[metric] for block in blocks]) for metric in blocks[0]}


def evaluate_ranking(items: Indices, relevant: ItemsByUser, ks: Sequence[int]) -> Scores:
    """Return each metric of each user at each cut-off.

    Args:
        items: Shape (n, k_max), best first, -1 for places left empty, which come last; row i is the list of
            the user of row i of relevant.
        relevant: Held-out items, one or more for each user.
        ks: Cut-offs, from 1 to k_max.

    Returns:
        Metric -> float64 of shape (n), in [0, 1], for each of `schema.metric.RANKING_METRICS` at each cut-off.

    Raises:
        ValueError: If a cut-off, a list or a row of relevant is not as described.

    Example:
        >>> relevant = ItemsByUser.from_pairs(np.array([0, 0]), np.array([3, 5]), n_users=1)
        >>> scores = evaluate_ranking(np.array([[7, 3, 9]]), relevant, ks=[3])
        >>> scores["ndcg", 3].round(4).tolist(), scores["recall", 3].tolist(), scores["map", 3].tolist()
        ([0.3869], [0.5], [0.25])
    """
    check_lists(items, ks)
    if len(relevant.counts) != len(items):
        raise ValueError(
            f"{len(items)} lists for {len(relevant.counts)} users with held-out items; expected one list each. "
            "Take the rows of the users that were recommended to."
        )
    if not relevant.counts.all():
        row = int(np.argmin(relevant.counts))
        raise ValueError(f"user in row {row} has nothing held out; expected one item or more. Leave such users out.")
    hits = contains_pairs(relevant, items)
    return {Metric(name, k): values for k in ks for name, values in _score_hits(hits[:, :k], relevant.counts).items()}


def contains_pairs(table: ItemsByUser, items: Indices) -> NDArray[np.bool_]:
    """Return for each place of items whether its item is in the same row of table.

    The key of -1 is negative in every row, so an empty place is never in the table.
    """
    return _contains(table.keys, pair_keys(np.arange(len(items))[:, None], items))


def _contains(ascending: Indices, wanted: Indices) -> NDArray[np.bool_]:
    """Return which of some numbers are among others."""
    if not len(ascending):
        return np.zeros(wanted.shape, dtype=np.bool_)
    return np.asarray(ascending[np.searchsorted(ascending, wanted).clip(max=len(ascending) - 1)] == wanted)


def rank_held_out(relevant: ItemsByUser, users: NDArray[np.int64], k: int) -> NDArray[np.int32]:
    """Return the lists of an oracle that knows what is held out: shape (len(users), k), -1 after the last.

    Example:
        >>> relevant = ItemsByUser.from_pairs(np.array([0, 0, 1]), np.array([4, 2, 7]), n_users=2)
        >>> rank_held_out(relevant, np.array([1, 0]), k=2).tolist()
        [[7, -1], [2, 4]]
    """
    theirs = relevant.take(users)
    place = places_within(theirs.counts)
    items = np.full((len(users), k), -1, dtype=np.int32)
    items[theirs.rows[place < k], place[place < k]] = theirs.items[place < k]
    return items


def spread_of_scores(values: Floats) -> list[HistogramBin]:
    """Return how many users get nothing, and how many a score in each fifth of the range.

    Args:
        values: One score of each user, from 0 to 1, shape (n_users).

    Example:
        >>> [users for _, _, users in spread_of_scores(np.array([0.0, 0.0, 0.3, 1.0]))]
        [2, 0, 1, 0, 0, 1]
    """
    counts, _ = np.histogram(values[values > 0], bins=HISTOGRAM_EDGES)
    bins = zip(pairwise(HISTOGRAM_EDGES), counts, strict=True)
    return [
        HistogramBin(0.0, 0.0, int((values <= 0).sum())),
        *(HistogramBin(low, high, int(n_users)) for (low, high), n_users in bins),
    ]


def check_lists(items: Indices, ks: Sequence[int], n_items: int | None = None) -> None:
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
    if n_items is not None and items.size and items.max() >= n_items:
        raise ValueError(
            f"a list holds item {items.max()}; expected items from 0 to {n_items - 1}. Take the lists and the "
            "catalogue from one dataset."
        )
    ordered = np.sort(items, axis=1)
    repeats = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if repeats.any():
        row = int(np.flatnonzero(repeats)[0])
        raise ValueError(
            f"list in row {row} repeats an item: {items[row].tolist()}; expected each item once. A repeat would count "
            "twice: mend the recommender."
        )


def _score_hits(hits: NDArray[np.bool_], n_relevant: NDArray[np.int64]) -> dict[str, Floats]:
    """Return each metric from the hits of the top k, shape (n, k)."""
    k = hits.shape[1]
    ranks = np.arange(1, k + 1)
    discounts = 1 / np.log2(ranks + 1)
    ideal = np.cumsum(discounts)[np.minimum(n_relevant, k) - 1]
    n_hits = hits.cumsum(axis=1)
    return {
        "ndcg": (hits * discounts).sum(axis=1) / ideal,
        "recall": n_hits[:, -1] / n_relevant,
        "precision": n_hits[:, -1] / k,
        "hit_rate": (n_hits[:, -1] > 0).astype(np.float64),
        "mrr": (hits / ranks).max(axis=1),
        "map": (hits * n_hits / ranks).sum(axis=1) / n_relevant,
    }


def _refuse_leaks(users: NDArray[np.int64], items: NDArray[np.int32], seen: ItemsByUser, relevant: ItemsByUser) -> None:
    leaked = _contains(seen.keys, relevant.keys)
    if leaked.any():
        row, item = divmod(int(relevant.keys[leaked][0]), 1 << 32)
        raise ValueError(
            f"item {item} of user {users[row]} is both in train and held out ({int(leaked.sum())} such "
            "pairs); expected each pair in one part only. Split the interactions again."
        )
    is_seen = contains_pairs(seen, items)
    if is_seen.any():
        row, place = (int(axis[0]) for axis in np.nonzero(is_seen))
        raise ValueError(
            f"user {users[row]} was recommended item {items[row, place]}, which is in their train rows; "
            "expected unseen items only. Leave seen items out of the lists."
        )
