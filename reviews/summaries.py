"""Summaries of reviews: their size and span, their ratings, how unevenly users and items share them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from reviews.distributions import bar_ratings, count_values, distribute
from reviews.indexed import NO_TIME, SECONDS_PER_DAY, IndexedReviews
from schema.arrays import Indices
from schema.distributions import Side
from schema.exploration import Concentration, NamedCount, RatingSummary, RatingYear, Summary, TopShare
from schema.items_by_user import pair_keys

TOP_SHARES = (0.01, 0.1, 0.2)
N_TOP = 10


def summarise(reviews: IndexedReviews) -> Summary:
    """Return how many rows, users and items there are, and over which time."""
    n_rows, n_interactions = len(reviews), len(reviews.interactions)
    n_users, n_items = len(reviews.user_ids), len(reviews.item_ids)
    timed = reviews.with_times()
    times = np.empty(0, np.int64) if timed is None or timed.timestamps is None else timed.timestamps
    days = np.unique(times // SECONDS_PER_DAY)
    rated = reviews.with_ratings()
    return Summary(
        n_rows=n_rows,
        n_users=n_users,
        n_items=n_items,
        n_interactions=n_interactions,
        n_repeated=n_rows - n_interactions,
        n_identical=_count_identical(reviews),
        density=n_interactions / (n_users * n_items),
        n_without_rating=n_rows - (0 if rated is None else len(rated)),
        n_without_timestamp=n_rows - len(times),
        n_users_alike=_count_alike(reviews.user_ids),
        n_items_alike=_count_alike(reviews.item_ids),
        first=int(times.min()) if len(times) else None,
        last=int(times.max()) if len(times) else None,
        n_days=len(days),
        span_days=int(days[-1] - days[0]) + 1 if len(days) else 0,
    )


def _count_identical(reviews: IndexedReviews) -> int:
    """Return the rows whose pair, rating and timestamp an earlier row has already."""
    keys = pair_keys(reviews.user_idx, reviews.item_idx)
    ordered = np.sort(keys)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    rows = reviews.take(np.isin(keys, repeated))
    times = np.full(len(rows), NO_TIME) if rows.timestamps is None else rows.timestamps
    ratings = np.zeros(len(rows), np.float32) if rows.ratings is None else rows.ratings
    columns = np.column_stack([pair_keys(rows.user_idx, rows.item_idx), times, ratings.view(np.int32)])
    return len(rows) - len(np.unique(columns, axis=0))


def _count_alike(ids: pa.Array) -> int:
    return len(ids) - len(pc.unique(pc.replace_substring_regex(ids, r"\s", "")))


def summarise_ratings(reviews: IndexedReviews) -> RatingSummary | None:
    """Return the distribution of ratings, of all rows that have one and of each year; None where no row has one."""
    rated = reviews.with_ratings()
    if rated is None or rated.ratings is None:
        return None
    timed = rated.with_times()
    years = () if timed is None else _rate_years(timed)
    return RatingSummary(distribute(rated.ratings), bar_ratings(rated.ratings), years)


def _rate_years(rows: IndexedReviews) -> tuple[RatingYear, ...]:
    """Return the ratings of each year that has any; all rows have a rating and a timestamp."""
    ratings = np.asarray(rows.ratings, dtype=np.float64)
    years, place, counts = np.unique(
        np.asarray(rows.timestamps).astype("M8[s]").astype("M8[Y]"), return_inverse=True, return_counts=True
    )
    means = np.bincount(place, ratings) / counts
    deviations = np.sqrt(np.bincount(place, (ratings - means[place]) ** 2) / counts)
    columns = (years.astype(int) + 1970, counts, means, deviations)
    return tuple(RatingYear(*row) for row in zip(*(column.tolist() for column in columns), strict=True))


def count_activity(reviews: IndexedReviews) -> Concentration:
    """Return how many interactions users have."""
    return _concentrate("users", reviews.interactions.user_idx, reviews.user_ids)


def count_popularity(reviews: IndexedReviews) -> Concentration:
    """Return how many interactions items have."""
    return _concentrate("items", reviews.interactions.item_idx, reviews.item_ids)


def _concentrate(side: Side, idx: NDArray[np.int32], ids: pa.Array) -> Concentration:
    counts = np.bincount(idx, minlength=len(ids))
    most_first = np.argsort(-counts, kind="stable")
    shares = np.cumsum(counts[most_first]) / len(idx)
    n_top = [int(np.ceil(share * len(ids) - 1e-9)) for share in TOP_SHARES]
    return Concentration(
        side=side,
        distribution=distribute(counts),
        counts=count_values(counts),
        gini=gini(counts),
        top_shares=tuple(TopShare(top, n, float(shares[n - 1])) for top, n in zip(TOP_SHARES, n_top, strict=True)),
        top=tuple(NamedCount(ids[at].as_py(), int(counts[at])) for at in most_first[:N_TOP].tolist()),
    )


def gini(counts: Indices) -> float:
    """Return the Gini coefficient of some counts, of which one at least is not 0.

    Half the mean absolute difference of two of them, by their mean: Σ_ij |c_i - c_j| / (2 n Σ c), computed from the
    sorted counts as Σ_i (2 i - n - 1) c_i / (n Σ c), i from 1 (Gini, 1912; Damgaard and Weiner, Ecology, 2000).

    Returns:
        In [0, 1): 0 where all are equal, (n - 1) / n where one has everything.

    Example:
        >>> gini(np.array([2, 2, 2])), gini(np.array([0, 0, 0, 8]))
        (0.0, 0.75)
    """
    ordered, n = np.sort(counts).astype(np.int64), len(counts)
    return int(((2 * np.arange(1, n + 1) - n - 1) * ordered).sum()) / (n * int(ordered.sum()))
