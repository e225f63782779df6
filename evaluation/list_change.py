"""How the lists of two models differ: for how many users, by how much, and for whom which is better."""

from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evaluation.external_lists import Lists
from schema.metric import HistogramBin
from schema.verdicts import Finding

PERSISTENCE = 0.9
"""The chance that a reader goes on to the next item, for rank-biased overlap."""
BLOCK_LISTS = 65_536
CHANGE_EDGES = (0.0, 0.2, 0.5, 1.0)
"""Ends of the ranges in which changes of a metric are counted, up and down."""


@dataclass(frozen=True)
class ListChange:
    """What users would notice if one model took the place of another.

    Attributes:
        k: Length of the lists that are compared.
        n_lists: How many.
        n_changed: Those with other items, or with the same in another order.
        kept: Mean number of items that are in both lists.
        jaccard: Mean of the items in both by the items in either.
        overlap: Mean rank-biased overlap, which counts the top of lists more; 1 for equal lists.
    """

    k: int
    n_lists: int
    n_changed: int
    kept: float
    jaccard: float
    overlap: float


def compare_lists(before: Lists, after: Lists, k: int) -> ListChange:
    """Return how the first k of each row of item indices, best first and -1 behind the last, differ.

    Rank-biased overlap is the extrapolated one of two lists of k, W. Webber, A. Moffat and J. Zobel, "A similarity
    measure for indefinite rankings", ACM TOIS 28(4), 2010, eq. 30: with X_d of the first d items in both,
    X_k/k p^k + (1 - p)/p sum_d X_d/d p^d.

    Example:
        >>> change = compare_lists(np.array([[1, 2], [3, 4]]), np.array([[1, 2], [4, 5]]), k=2)
        >>> change.n_changed, change.kept, round(change.jaccard, 3)
        (1, 1.5, 0.667)
    """
    n_changed, sums = 0, np.zeros(3)
    depths = np.arange(1, k + 1)
    weights = (1 - PERSISTENCE) / PERSISTENCE * PERSISTENCE**depths
    weights[-1] += PERSISTENCE**k
    deeper = np.maximum.outer(depths, depths)
    for start in range(0, len(before), BLOCK_LISTS):
        old, new = (lists[start : start + BLOCK_LISTS, :k] for lists in (before, after))
        n_changed += int((old != new).any(axis=1).sum())
        is_same = (old[:, :, None] == new[:, None, :]) & (old >= 0)[:, :, None]
        in_both = np.stack([(is_same & (deeper <= depth)).sum(axis=(1, 2)) for depth in depths], axis=1)
        kept, n_either = in_both[:, -1], (old >= 0).sum(axis=1) + (new >= 0).sum(axis=1) - in_both[:, -1]
        lengths = np.maximum((old >= 0).cumsum(axis=1), (new >= 0).cumsum(axis=1)).clip(1)
        sums += kept.sum(), (kept / n_either.clip(1)).sum(), (in_both / lengths @ weights).sum()
    kept, jaccard, overlap = sums / max(len(before), 1)
    return ListChange(k, len(before), n_changed, float(kept), float(jaccard), float(overlap))


def find_change(
    before: Lists, after: Lists, k: int, was: NDArray[np.float64], becomes: NDArray[np.float64], metric: str
) -> Finding:
    """Return the change of lists, and of a metric of each user, as a finding that warns of nothing."""
    rises = becomes - was
    up, down = rises[rises > 0], -rises[rises < 0]
    figures = {
        **asdict(compare_lists(before, after, k)),
        "metric": metric,
        "n_users": len(rises),
        "n_better": len(up),
        "n_worse": len(down),
        "rise": float(up.mean()) if len(up) else 0.0,
        "fall": float(down.mean()) if len(down) else 0.0,
    }
    return Finding("other lists", is_warning=False, figures=figures)


def count_changes(rises: NDArray[np.float64]) -> list[HistogramBin]:
    """Count users by the change of a metric, from the largest fall to the largest rise.

    Example:
        >>> [(one.low, one.high, one.n_users) for one in count_changes(np.array([-0.1, 0.0, 0.3])) if one.n_users]
        [(-0.2, 0.0, 1), (0.0, 0.0, 1), (0.2, 0.5, 1)]
    """
    up, down = (
        np.histogram(one[one > 0].clip(max=CHANGE_EDGES[-1]), CHANGE_EDGES)[0].tolist() for one in (rises, -rises)
    )
    ranges = list(pairwise(CHANGE_EDGES))
    return [
        *(HistogramBin(-high, 0.0 - low, n) for (low, high), n in reversed([*zip(ranges, down, strict=True)])),
        HistogramBin(0.0, 0.0, int((rises == 0).sum())),
        *(HistogramBin(low, high, n) for (low, high), n in zip(ranges, up, strict=True)),
    ]
