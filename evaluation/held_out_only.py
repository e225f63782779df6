"""Rank each user's own held-out rows among themselves: a protocol that no model can fail.

A user with ten held-out rows or fewer gets the same Precision@10 from any order of them, so that a random scorer
does as well as an oracle. Measured here in order to show that, never to choose a model.
"""

import numpy as np
from numpy.typing import NDArray

from evaluation.ranking import Scores
from schema.arrays import Indices, places_within
from schema.metric import HELD_OUT_ONLY, Metric

PRECISION, NDCG = f"{HELD_OUT_ONLY}precision", f"{HELD_OUT_ONLY}ndcg"


def held_out_only(
    user_idx: Indices,
    score: NDArray[np.floating],
    is_relevant: NDArray[np.bool_],
    k: int,
    *,
    item_idx: Indices,
) -> Scores:
    """Rank the held-out rows of each user by score, equal scores by item, and measure the first k of them.

    PRECISION is hits among the first k / min(k, rows of the user). NDCG has binary gains, rank r from 1
    weighted 1 / log2(r + 1), over the same sum for the first min(k, relevant rows of the user) ranks (Järvelin
    and Kekäläinen, 2002). A user without a relevant row scores 0 in both and counts in the mean, so an
    oracle may stay below 1.

    The four columns have the shape (n_rows), rows in any order; a higher score is better, and a relevant row counts
    as a hit, such as one rated 4 or more. The cut-off is at least 1.

    Returns:
        Metric -> value in [0, 1] of each user, the users in ascending order.

    Example:
        >>> scores = held_out_only(
        ...     np.array([3, 3, 3]), np.array([0.9, 0.1, 0.5]), np.array([False, True, True]), 2,
        ...     item_idx=np.array([0, 1, 2]))
        >>> scores[Metric(PRECISION, 2)].tolist(), scores[Metric(NDCG, 2)].round(4).tolist()
        ([0.5], [0.3869])
    """
    is_hit = is_relevant[np.lexsort((item_idx, -score, user_idx))]
    n_rows = np.unique_counts(user_idx).counts
    user, rank = np.repeat(np.arange(len(n_rows)), n_rows)[is_hit], places_within(n_rows)[is_hit]
    weights = 1 / np.log2(np.arange(k) + 2)
    ideal = np.concatenate([[1.0], np.cumsum(weights)])[np.minimum(k, np.bincount(user, minlength=len(n_rows)))]
    top_user, top_rank = user[rank < k], rank[rank < k]
    n_hits, gain = (np.bincount(top_user, gains, minlength=len(n_rows)) for gains in (None, weights[top_rank]))
    return {Metric(PRECISION, k): n_hits / np.minimum(k, n_rows), Metric(NDCG, k): gain / ideal}
