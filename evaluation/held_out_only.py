"""Rank each user's own held-out rows among themselves: a protocol that no model can fail.

A user with ten held-out rows or fewer gets the same Precision@10 from any order of them, so that a random scorer
does as well as an oracle. Measured here in order to show that, never to choose a model.
"""

from collections.abc import Sequence

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
    ks: Sequence[int],
    *,
    item_idx: Indices,
) -> Scores:
    """Rank the held-out rows of each user by score, equal scores by item, and measure the first k of them.

    PRECISION is hits among the first k / min(k, rows of the user). NDCG has binary gains, rank r from 1
    weighted 1 / log2(r + 1), over the same sum for the first min(k, relevant rows of the user) ranks (Järvelin
    and Kekäläinen, 2002). A user without a relevant row scores 0 in both and counts in the mean, so an
    oracle may stay below 1.

    The four columns have the shape (n_rows), rows in any order; a higher score is better, and a relevant row counts
    as a hit, such as one rated 4 or more. Cut-offs are at least 1.

    Returns:
        Metric -> value in [0, 1] of each user, the users in ascending order.

    Raises:
        ValueError: If there are no rows, columns differ in length, a score is not a number, or a k is below 1.

    Example:
        >>> scores = held_out_only(
        ...     np.array([3, 3, 3]), np.array([0.9, 0.1, 0.5]), np.array([False, True, True]), [2],
        ...     item_idx=np.array([0, 1, 2]))
        >>> scores[Metric(PRECISION, 2)].tolist(), scores[Metric(NDCG, 2)].round(4).tolist()
        ([0.5], [0.3869])
    """
    _check_rows(user_idx, score, is_relevant, item_idx, ks)
    is_hit = is_relevant[np.lexsort((item_idx, -score, user_idx))]
    n_rows = np.unique_counts(user_idx).counts
    user = np.repeat(np.arange(len(n_rows)), n_rows)
    return _measure(user[is_hit], places_within(n_rows)[is_hit], n_rows, ks)


def _measure(
    hit_user: NDArray[np.int64], hit_rank: NDArray[np.int64], n_rows: NDArray[np.int64], ks: Sequence[int]
) -> Scores:
    """Return the scores from the user and the rank (from 0) of each relevant row."""
    n_users = len(n_rows)
    n_relevant = np.bincount(hit_user, minlength=n_users)
    weights = 1 / np.log2(np.arange(max(ks)) + 2)
    ideal = np.concatenate([[1.0], np.cumsum(weights)])
    scores: Scores = {}
    for k in ks:
        top_user, top_rank = hit_user[hit_rank < k], hit_rank[hit_rank < k]
        gain = np.bincount(top_user, weights=weights[top_rank], minlength=n_users)
        scores[Metric(PRECISION, k)] = np.bincount(top_user, minlength=n_users) / np.minimum(k, n_rows)
        scores[Metric(NDCG, k)] = gain / ideal[np.minimum(k, n_relevant)]
    return scores


def _check_rows(
    user_idx: Indices, score: NDArray[np.floating], is_relevant: NDArray[np.bool_], item_idx: Indices, ks: Sequence[int]
) -> None:
    lengths = [len(column) for column in (user_idx, score, is_relevant, item_idx)]
    if not lengths[0] or len(set(lengths)) > 1:
        raise ValueError(
            f"users, scores, relevance and items have {lengths} rows; expected as many of each, one or more. Take "
            "all columns from the held-out part of one split."
        )
    if np.isnan(score).any():
        raise ValueError(
            f"{int(np.isnan(score).sum())} of {len(score)} scores are not numbers; expected a score for each row. "
            "Give rows that the model cannot score a value below all others."
        )
    if not ks or min(ks) < 1:
        raise ValueError(f"ks are {list(ks)}; expected one cut-off or more, each at least 1. Choose some such as 10.")
