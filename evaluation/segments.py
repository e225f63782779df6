"""Ranking metrics of parts of the items and parts of the users."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.ranking import Scores, contains_pairs, evaluate_ranking
from evaluation.significance import mean_over_users
from schema.arrays import Floats, Indices
from schema.items_by_user import ItemsByUser
from schema.metric import Metric, SegmentScore

ITEM_GROUP = "item popularity"
DEFAULT_METRICS = (Metric("ndcg", 10), Metric("recall", 10))

Segments = Mapping[str, NDArray[np.bool_]]
"""Which of the items, or of the users, are in each segment."""


def segment_items(item_counts: Indices) -> Segments:
    """Return the head, torso, tail and cold items, from their numbers of training interactions.

    The fewest most popular items that hold at least 50 % of all interactions are the head, those that bring it
    to at least 80 % the torso, the others the tail; items without a training row are cold. Among
    items equally popular, the lower index comes first.

    Example:
        >>> {name: np.flatnonzero(is_in).tolist() for name, is_in in segment_items(np.array([1, 5, 0, 3, 1])).items()}
        {'head': [1], 'torso': [3], 'tail': [0, 4], 'cold': [2]}
    """
    order = np.argsort(-item_counts.astype(np.int64), kind="stable")
    held = np.cumsum(item_counts[order], dtype=np.int64)
    before, total = np.empty(len(order), dtype=np.int64), int(item_counts.sum())
    before[order] = held - item_counts[order]
    is_cold, is_head, is_tail = item_counts == 0, before * 10 < total * 5, before * 10 >= total * 8
    return {
        "head": is_head & ~is_cold,
        "torso": ~is_head & ~is_tail & ~is_cold,
        "tail": is_tail & ~is_cold,
        "cold": is_cold,
    }


def segment_users_by_activity(counts: Indices) -> Segments:
    """Return as light the users with at most the median number of training rows, as heavy the others.

    Example:
        >>> segment_users_by_activity(np.array([5, 9, 5, 7]))["heavy"].tolist()
        [False, True, False, True]
    """
    is_light = counts <= np.median(counts)
    return {"light": is_light, "heavy": ~is_light}


def segment_users_by_age(first_timestamp: Indices) -> Segments:
    """Return as old the users whose first training row is before the median one, as new the others.

    Example:
        >>> segment_users_by_age(np.array([100, 300, 200]))["new"].tolist()
        [False, True, True]
    """
    is_old = first_timestamp < np.median(first_timestamp)
    return {"old": is_old, "new": ~is_old}


def score_user_segments(
    scores: Scores,
    group: str,
    segments: Segments,
    metrics: Sequence[Metric] = DEFAULT_METRICS,
    owner: Indices | None = None,
) -> list[SegmentScore]:
    """Return each metric over the users of each segment, in the order of the scores; empty segments are left out.

    The group is what the segments part, such as "activity"; owners are the users of the values where one has several.
    """
    return [
        _summarise(group, name, metric, scores[metric][is_in], None if owner is None else owner[is_in])
        for name, is_in in segments.items()
        if is_in.any()
        for metric in metrics
    ]


def score_item_segments(
    items: Indices,
    relevant: ItemsByUser,
    segments: Segments,
    metrics: Sequence[Metric] = DEFAULT_METRICS,
    owner: Indices | None = None,
) -> list[SegmentScore]:
    """Return each metric for each segment of items, as if only its held-out items were held out.

    Over the users who have a held-out item of the segment. Their hits in other segments are taken out of the list
    and what follows moves up, as in the filtered ranks of Bordes et al. (NIPS, 2013): they are no mistakes, so
    they may not cost a rank. Ask the model for lists somewhat longer than k, so that places left empty at the
    end are beyond it. Segments without a held-out item are left out.

    Args:
        items: Shape (n, k_max), best first, -1 for places left empty.
        relevant: Held-out items of the same n users; a user may have none.
        segments: Which items are in each, as segment_items gives them.
        metrics: Of schema.metric.RANKING_METRICS, cut off from 1 to k_max.
        owner: Users of the lists, where one has several.

    Raises:
        ValueError: If a cut-off is not as described or a list repeats an item.
    """
    found = []
    for name, is_in in segments.items():
        users, lists, own = _narrow(items, relevant, is_in)
        if len(lists):
            theirs = None if owner is None else owner[users]
            scores = evaluate_ranking(lists, own, sorted({metric.k for metric in metrics if metric.k}))
            found += [_summarise(ITEM_GROUP, name, metric, scores[metric], theirs) for metric in metrics]
    return found


def _narrow(items: Indices, relevant: ItemsByUser, is_own: NDArray[np.bool_]) -> tuple[Indices, Indices, ItemsByUser]:
    """Return rows, lists and held-out items of users who have one of their own, others taken out of lists and items."""
    is_kept = is_own[relevant.items]
    own = ItemsByUser.from_pairs(relevant.rows[is_kept], relevant.items[is_kept], len(relevant.counts))
    users = np.flatnonzero(own.counts)
    lists, own = items[users], own.take(users)
    is_other = contains_pairs(relevant.take(users), lists) & ~contains_pairs(own, lists)
    lists = np.where(is_other, -1, lists)
    return users, np.take_along_axis(lists, np.argsort(lists < 0, axis=1, kind="stable"), axis=1), own


def _summarise(group: str, name: str, metric: Metric, values: Floats, owner: Indices | None) -> SegmentScore:
    return SegmentScore(group, name, metric, *mean_over_users(values, owner))
