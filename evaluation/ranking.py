"""The metrics of evaluation.metrics for many users at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schema.items_by_user import ItemsByUser, pair_keys
from schema.metric import Metric

RANKING_METRICS = ("ndcg", "recall", "precision", "hit_rate", "mrr", "map")

Scores = dict[Metric, NDArray[np.float64]]


def evaluate_ranking(items: NDArray[np.integer], relevant: ItemsByUser, ks: Sequence[int]) -> Scores:
    """Return each metric of each user at each cut-off.

    Args:
        items: Shape (n, k_max), best first, -1 for places left empty, which come last; row i is the list of
            the user of row i of relevant.
        relevant: Held-out items, one or more for each user.
        ks: Cut-offs, from 1 to k_max.

    Returns:
        Metric -> float64 of shape (n), in [0, 1], for each of RANKING_METRICS at each cut-off.

    Raises:
        ValueError: If a cut-off, a list or a row of relevant is not as described.

    Example:
        >>> relevant = ItemsByUser.from_pairs(np.array([0, 0]), np.array([3, 5]), n_users=1)
        >>> scores = evaluate_ranking(np.array([[7, 3, 9]]), relevant, ks=[3])
        >>> {metric.name: round(float(values[0]), 4) for metric, values in scores.items()}
        {'ndcg': 0.3869, 'recall': 0.5, 'precision': 0.3333, 'hit_rate': 1.0, 'mrr': 0.5, 'map': 0.25}
    """
    _check_lists(items, relevant, ks)
    hits = contains_pairs(relevant, items)
    scores: Scores = {}
    for k in ks:
        by_name = _score_hits(hits[:, :k], relevant.counts)
        scores |= {Metric(name, k): values for name, values in by_name.items()}
    return scores


def contains_pairs(table: ItemsByUser, items: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return for each place of items whether its item is in the same row of table.

    The key of -1 is negative in every row, so an empty place is never in the table.
    """
    keys = table.keys
    if not len(keys):
        return np.zeros(items.shape, dtype=np.bool_)
    wanted = pair_keys(np.arange(len(items))[:, None], items)
    return np.asarray(keys[np.searchsorted(keys, wanted).clip(max=len(keys) - 1)] == wanted)


def _score_hits(hits: NDArray[np.bool_], n_relevant: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
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


def _check_lists(items: NDArray[np.integer], relevant: ItemsByUser, ks: Sequence[int]) -> None:
    n_users, k_max = items.shape
    if not ks or min(ks) < 1 or max(ks) > k_max:
        raise ValueError(
            f"cut-offs are {list(ks)} for lists of {k_max}; expected one or more from 1 to {k_max}. "
            "Ask the model for longer lists, or lower the cut-offs."
        )
    if len(relevant.counts) != n_users:
        raise ValueError(
            f"{n_users} lists for {len(relevant.counts)} users with held-out items; expected one list each. "
            "Take the rows of the users that were recommended to."
        )
    if (relevant.counts == 0).any():
        row = int(np.flatnonzero(relevant.counts == 0)[0])
        raise ValueError(f"user in row {row} has nothing held out; expected one item or more. Leave such users out.")
    ordered = np.sort(items, axis=1)
    repeats = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if repeats.any():
        row = int(np.flatnonzero(repeats.any(axis=1))[0])
        raise ValueError(
            f"list in row {row} repeats an item: {items[row].tolist()}; expected each item once. A repeat "
            "would count as a second hit: mend the recommender."
        )
