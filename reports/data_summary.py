"""Summarise the data: the rows that each step of the preparation kept, and the shapes of the interactions."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from reports.display import EN_DASH
from schema.dataset import DatasetCounts, ReviewCounts

ACTIVITY_EDGES = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
MOST_RATING_VALUES = 11
CURVE_POINTS = 101


@dataclass(frozen=True)
class FunnelStep:
    """Rows left after one step, as a count and as a share of the raw lines, and the reason why the others are gone."""

    label: str
    count: int
    share: float
    removed: int
    reason: str


def funnel_steps(reviews: ReviewCounts, dataset: DatasetCounts, k: int) -> list[FunnelStep]:
    """Return the steps from raw lines to interactions.

    Blank lines and sampling are steps only where they took something away; `k` is that of the k-core.

    Raises:
        ValueError: If the counts do not belong together.
    """
    _check(reviews, dataset)
    counts = [
        ("Lines of the raw file", reviews.n_lines, ""),
        ("Not blank", reviews.n_lines - reviews.n_blank, "blank lines"),
        ("Valid reviews", reviews.n_reviews, "put aside with a reason"),
        ("Reviews of sampled users", dataset.n_sampled, "of users outside the sample"),
        ("One per user and item", dataset.n_sampled - dataset.n_duplicates, "repeats of a pair"),
        (f"{k}-core", dataset.n_interactions, f"of users or items with fewer than {k}"),
    ]
    optional = {"Not blank", "Reviews of sampled users"}
    whole = max(reviews.n_lines, 1)
    steps = [FunnelStep(*counts[0][:2], reviews.n_lines / whole, removed=0, reason="")]
    for (_, before, _), (label, count, reason) in pairwise(counts):
        if count < before or label not in optional:
            steps.append(FunnelStep(label, count, count / whole, before - count, reason))
    return steps


def _check(reviews: ReviewCounts, dataset: DatasetCounts) -> None:
    accounted = reviews.n_blank + reviews.n_quarantined + reviews.n_reviews
    if reviews.n_lines != accounted:
        raise ValueError(
            f"the funnel does not add up: {reviews.n_lines} lines, but {reviews.n_blank} blank + "
            f"{reviews.n_quarantined} quarantined + {reviews.n_reviews} reviews = {accounted}. "
            "Pass the counts of one ingest."
        )
    deduplicated = dataset.n_sampled - dataset.n_duplicates
    if not reviews.n_reviews >= dataset.n_sampled >= deduplicated >= dataset.n_interactions:
        raise ValueError(
            f"the funnel widens: {reviews.n_reviews} reviews, {dataset.n_sampled} sampled, {dataset.n_duplicates} "
            f"duplicates, {dataset.n_interactions} interactions. Pass the counts of one dataset."
        )


@dataclass(frozen=True)
class Distributions:
    """Counts behind the charts; empty where the input has no such column.

    Attributes:
        ratings: (rating as text, interactions), from the lowest rating.
        months: (`YYYY-MM`, interactions), every month from the first to the last.
        activity: (range of interactions as text, users), from the least active.
        popularity: (share of items, most popular first; share of interactions they hold), both in [0, 1].
    """

    ratings: tuple[tuple[str, int], ...] = ()
    months: tuple[tuple[str, int], ...] = ()
    activity: tuple[tuple[str, int], ...] = ()
    popularity: tuple[tuple[float, float], ...] = ()


def summarise_interactions(interactions: pa.Table) -> Distributions:
    """Summarise a table of interactions for the charts.

    The size of what is returned does not grow with the table.

    Args:
        interactions: Columns `user_idx`, `item_idx`, `rating` and `timestamp` (Unix seconds), one row per
            pair; the last two may be all null.
    """
    return Distributions(
        ratings=_count_ratings(_present(interactions, "rating")),
        months=_count_months(_present(interactions, "timestamp")),
        activity=_count_activity(_present(interactions, "user_idx")),
        popularity=_trace_popularity(_present(interactions, "item_idx")),
    )


def _present(interactions: pa.Table, column: str) -> NDArray[np.generic]:
    values: NDArray[np.generic] = interactions.column(column).drop_null().to_numpy()
    return values


def _count_ratings(ratings: NDArray[np.generic]) -> tuple[tuple[str, int], ...]:
    values, counts = np.unique(ratings.astype(np.float64), return_counts=True)
    if len(values) <= MOST_RATING_VALUES:
        return tuple((f"{value:g}", int(count)) for value, count in zip(values, counts, strict=True))
    binned, edges = np.histogram(values, bins=10, weights=counts)
    labels = [f"{low:.3g}{EN_DASH}{high:.3g}" for low, high in pairwise(edges)]
    return tuple((label, round(float(count))) for label, count in zip(labels, binned, strict=True))


def _count_months(timestamps: NDArray[np.generic]) -> tuple[tuple[str, int], ...]:
    if len(timestamps) == 0:
        return ()
    months = timestamps.astype("datetime64[s]").astype("datetime64[M]")
    first = months.min()
    counts = np.bincount((months - first).astype(np.int64))
    return tuple((str(first + step), int(count)) for step, count in enumerate(counts))


def _count_activity(user_idx: NDArray[np.generic]) -> tuple[tuple[str, int], ...]:
    _, per_user = np.unique(user_idx, return_counts=True)
    counts, _ = np.histogram(per_user, bins=[*ACTIVITY_EDGES, np.inf])
    filled = np.flatnonzero(counts)
    if len(filled) == 0:
        return ()
    labels = [*(_range_label(low, high) for low, high in pairwise(ACTIVITY_EDGES)), f"{ACTIVITY_EDGES[-1]}+"]
    return tuple((labels[bin_], int(counts[bin_])) for bin_ in range(filled[0], filled[-1] + 1))


def _range_label(low: int, high: int) -> str:
    return str(low) if high == low + 1 else f"{low}{EN_DASH}{high - 1}"


def _trace_popularity(item_idx: NDArray[np.generic]) -> tuple[tuple[float, float], ...]:
    _, per_item = np.unique(item_idx, return_counts=True)
    if len(per_item) == 0:
        return ()
    held = np.concatenate([[0], np.cumsum(np.sort(per_item)[::-1])]) / per_item.sum()
    shares = np.linspace(0, 1, CURVE_POINTS)
    curve = np.interp(shares, np.linspace(0, 1, len(held)), held)
    return tuple((round(float(x), 4), round(float(y), 6)) for x, y in zip(shares, curve, strict=True))
