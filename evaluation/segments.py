"""Ranking metrics of parts of the items and parts of the users."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.ranking import Scores, contains_pairs, evaluate_ranking
from evaluation.significance import mean_interval
from schema.items_by_user import ItemsByUser
from schema.metric import Metric
from schema.scores import SegmentScore

HEAD, TORSO, TAIL, COLD = range(4)
LIGHT, HEAVY = range(2)
OLD, NEW = range(2)
ITEM_SEGMENTS = ("head", "torso", "tail", "cold")
ACTIVITY_SEGMENTS = ("light", "heavy")
AGE_SEGMENTS = ("old", "new")
ITEM_GROUP = "item popularity"

DEFAULT_METRICS = (Metric("ndcg", 10), Metric("recall", 10))


def segment_items(item_counts: NDArray[np.integer]) -> NDArray[np.int8]:
    """Return HEAD, TORSO, TAIL or COLD for each item, from its number of training interactions.

    The fewest most popular items that hold at least 50 % of all interactions are the head, those that bring it
    to at least 80 % the torso, the others the tail; items without a training row are cold. Among
    items equally popular, the lower index comes first.

    Example:
        >>> segment_items(np.array([1, 5, 0, 3, 1])).tolist()
        [2, 0, 3, 1, 2]
    """
    order = np.argsort(-item_counts.astype(np.int64), kind="stable")
    held = np.cumsum(item_counts[order], dtype=np.int64)
    before, total = held - item_counts[order], int(item_counts.sum())
    segment = np.empty(len(item_counts), dtype=np.int8)
    segment[order] = np.select([before * 10 < total * 5, before * 10 < total * 8], [HEAD, TORSO], default=TAIL)
    segment[item_counts == 0] = COLD
    return segment


def segment_users_by_activity(counts: NDArray[np.integer]) -> NDArray[np.int8]:
    """Return LIGHT for users with at most the median number of training rows, else HEAVY; ValueError if no users.

    Example:
        >>> segment_users_by_activity(np.array([5, 9, 5, 7])).tolist()
        [0, 1, 0, 1]
    """
    return np.where(counts <= _median(counts), LIGHT, HEAVY).astype(np.int8)


def segment_users_by_age(first_timestamp: NDArray[np.integer]) -> NDArray[np.int8]:
    """Return OLD for users whose first training row is before the median one, else NEW; ValueError if no users.

    Example:
        >>> segment_users_by_age(np.array([100, 300, 200])).tolist()
        [0, 1, 1]
    """
    return np.where(first_timestamp < _median(first_timestamp), OLD, NEW).astype(np.int8)


def score_user_segments(
    scores: Scores,
    group: str,
    names: Sequence[str],
    segment: NDArray[np.int8],
    metrics: Sequence[Metric] = DEFAULT_METRICS,
) -> list[SegmentScore]:
    """Return each metric over the users of each segment; segments without users are left out.

    Args:
        scores: Metrics of each user.
        group: What the segments part, such as "activity".
        names: Names of segments 0, 1 and so on, such as ACTIVITY_SEGMENTS.
        segment: Segment of each of the users of scores, in that order.
        metrics: Each of them in scores.

    Raises:
        ValueError: If segment does not fit the users or the names.
    """
    _check_segment(segment, names, len(next(iter(scores.values()))))
    return [
        _summarise(group, name, metric, scores[metric][segment == number])
        for number, name in enumerate(names)
        if (segment == number).any()
        for metric in metrics
    ]


def score_item_segments(
    items: NDArray[np.integer],
    relevant: ItemsByUser,
    item_segment: NDArray[np.int8],
    metrics: Sequence[Metric] = DEFAULT_METRICS,
) -> list[SegmentScore]:
    """Return each metric for each segment of items, as if only its held-out items were held out.

    Over the users who have a held-out item of the segment. Their hits in other segments are taken out of the list
    and what follows moves up, as in the filtered ranks of Bordes et al. (NIPS, 2013): they are no mistakes, so
    they may not cost a rank. Ask the model for lists somewhat longer than k, so that places left empty at the
    end are beyond it. Segments without a held-out item are left out.

    Args:
        items: Shape (n, k_max), best first, -1 for places left empty.
        relevant: Held-out items of the same n users; a user may have none.
        item_segment: Shape (n_items), as segment_items gives it.
        metrics: Of evaluation.ranking.RANKING_METRICS, cut off from 1 to k_max.

    Raises:
        ValueError: If an argument is not as described or a list repeats an item.
    """
    _check_items(items, relevant, item_segment)
    found = []
    for number, name in enumerate(ITEM_SEGMENTS):
        lists, own = _narrow(items, relevant, item_segment == number)
        if len(lists):
            scores = evaluate_ranking(lists, own, sorted({metric.k for metric in metrics if metric.k}))
            found += [_summarise(ITEM_GROUP, name, metric, scores[metric]) for metric in metrics]
    return found


def _narrow(
    items: NDArray[np.integer], relevant: ItemsByUser, is_own: NDArray[np.bool_]
) -> tuple[NDArray[np.integer], ItemsByUser]:
    """Return lists and held-out items of users who have one of their own, other held-out items taken out of both."""
    user = np.repeat(np.arange(len(relevant.counts)), relevant.counts)
    is_kept = is_own[relevant.items]
    own = ItemsByUser.from_pairs(user[is_kept], relevant.items[is_kept], len(relevant.counts))
    users = np.flatnonzero(own.counts)
    lists, own = items[users], own.take(users)
    is_other = contains_pairs(relevant.take(users), lists) & ~contains_pairs(own, lists)
    lists = np.where(is_other, -1, lists)
    return np.take_along_axis(lists, np.argsort(lists < 0, axis=1, kind="stable"), axis=1), own


def _summarise(group: str, name: str, metric: Metric, values: NDArray[np.float64]) -> SegmentScore:
    return SegmentScore(group, name, metric, float(values.mean()), *mean_interval(values), len(values))


def _median(values: NDArray[np.integer]) -> float:
    if len(values) == 0:
        raise ValueError("there are no users to part; expected one or more. Choose another split.")
    return float(np.median(values))


def _check_segment(segment: NDArray[np.int8], names: Sequence[str], n_users: int) -> None:
    if len(segment) != n_users:
        raise ValueError(f"{len(segment)} segments for {n_users} users; expected one each, in the order of the scores.")
    if len(segment) and (segment.min() < 0 or segment.max() >= len(names)):
        raise ValueError(
            f"segments run from {segment.min()} to {segment.max()}; expected 0 to {len(names) - 1}. Name every segment."
        )


def _check_items(items: NDArray[np.integer], relevant: ItemsByUser, item_segment: NDArray[np.int8]) -> None:
    if len(items) != len(relevant.counts):
        raise ValueError(
            f"{len(items)} lists for {len(relevant.counts)} rows of held-out items; expected one list each."
        )
    most = max(int(items.max(initial=-1)), int(relevant.items.max(initial=-1)))
    if most >= len(item_segment):
        raise ValueError(
            f"item {most} has no segment; expected items from 0 to {len(item_segment) - 1}. Segment the catalogue of "
            "the lists."
        )
