"""Drift between two deliveries of reviews: their profiles, and figures of how far they are apart, with limits."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike

from evaluation.options import DriftLimits
from schema.arrays import Floats
from schema.drift import DriftFigure, Unit

COLUMNS = ("user_id", "item_id", "rating", "timestamp")
SECONDS_PER_DAY = 86_400
MERGE_ROWS = 1_000_000
EMPTY_SHARE = 1e-4
ACTIVITY_EDGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
MOST_RATING_VALUES = 20
RATING_BINS = 10


@dataclass(frozen=True)
class ReviewProfile:
    """Counts of reviews, which grow with their users and items and not with their rows.

    Attributes:
        users: Columns `id` (string) and `rows` (int64), one row per user.
        items: The same of each item.
        ratings: Rating, in the file's unit, to rows; empty where there are no ratings.
        newest: Latest timestamp, Unix seconds; None where there are no timestamps.
        n_rows: Reviews.
        n_quarantined: Rows that were put aside and are not among them.
    """

    users: pa.Table
    items: pa.Table
    ratings: Mapping[float, int]
    newest: int | None
    n_rows: int
    n_quarantined: int

    @property
    def quarantined_share(self) -> float:
        """Share of the rows read that were put aside, in [0, 1]; 0 where none were read."""
        return self.n_quarantined / max(self.n_rows + self.n_quarantined, 1)

    @property
    def mean_rating(self) -> float | None:
        """Mean rating, in the file's unit; None where there are no ratings."""
        n_rated = sum(self.ratings.values())
        return sum(rating * rows for rating, rows in self.ratings.items()) / n_rated if n_rated else None


def profile_reviews(batches: Iterable[pa.RecordBatch], n_quarantined: int) -> ReviewProfile:
    """Count reviews batch by batch, holding one batch and what was counted.

    Args:
        batches: Columns `user_id`, `item_id` (string), `rating` (float) and `timestamp` (int, Unix seconds), one row
            per review; the last two may hold nulls.
        n_quarantined: Rows that were put aside.
    """
    users, items, ratings = _IdCounter(), _IdCounter(), Counter[float]()
    newest: int | None = None
    n_rows = 0
    for batch in batches:
        n_rows += batch.num_rows
        users.add(batch.column("user_id"))
        items.add(batch.column("item_id"))
        for found in pc.value_counts(batch.column("rating").drop_null()).to_pylist():
            ratings[found["values"]] += found["counts"]
        latest = pc.max(batch.column("timestamp")).as_py()
        newest = max((moment for moment in (newest, latest) if moment is not None), default=None)
    return ReviewProfile(users.total(), items.total(), ratings, newest, n_rows, n_quarantined)


def compare_reviews(before: ReviewProfile, now: ReviewProfile, limits: DriftLimits) -> list[DriftFigure]:
    """Return every figure of two deliveries of the same data, the earlier one first."""
    ratio, least = _divide(now.n_rows, before.n_rows), (limits.drift_min_row_ratio, "drift_min_row_ratio")
    most_psi = (limits.drift_max_psi, "drift_max_psi")
    ratings = population_stability_index(*bin_ratings(before.ratings, now.ratings))
    activity = population_stability_index(*(bin_activity(profile.users["rows"]) for profile in (before, now)))
    means = _divide(before.n_rows, before.users.num_rows), _divide(now.n_rows, now.users.num_rows)
    newest = before.newest, now.newest
    days = None if before.newest is None or now.newest is None else (now.newest - before.newest) / SECONDS_PER_DAY
    back = (-limits.drift_max_days_back, "drift_max_days_back")
    shares = before.quarantined_share, now.quarantined_share
    most_rise = (limits.drift_max_quarantine_rise, "drift_max_quarantine_rise")
    return [
        DriftFigure("rows", "rows", before.n_rows, now.n_rows, "times as many", ratio, *least),
        DriftFigure("ratings", "stars", before.mean_rating, now.mean_rating, "PSI", ratings, *most_psi),
        DriftFigure("interactions per user", "rows per user", *means, "PSI", activity, *most_psi),
        *_turnover("user", before.users, now.users, limits.drift_max_new_user_share, limits.drift_max_gone_share),
        *_turnover("item", before.items, now.items, limits.drift_max_new_item_share, limits.drift_max_gone_share),
        DriftFigure("newest review", "Unix seconds", *newest, "days", days, *back),
        DriftFigure("quarantine", "share", *shares, "rise of the share", shares[1] - shares[0], *most_rise),
    ]


def _turnover(
    noun: Literal["user", "item"], before: pa.Table, now: pa.Table, new_limit: float, gone_limit: float
) -> Iterator[DriftFigure]:
    """Yield the share of ids that are new, of rows that are theirs, and of earlier ids that are gone."""
    unit: Unit = "users" if noun == "user" else "items"
    is_new = pc.invert(pc.is_in(now["id"], value_set=before["id"].combine_chunks()))
    is_gone = pc.invert(pc.is_in(before["id"], value_set=now["id"].combine_chunks()))
    n_before, n_now, n_rows = before.num_rows, now.num_rows, pc.sum(now["rows"]).as_py() or 0
    new_rows = pc.sum(now.filter(is_new)["rows"]).as_py() or 0
    new, gone = (pc.sum(found).as_py() or 0 for found in (is_new, is_gone))
    limit = (new_limit, f"drift_max_new_{noun}_share")
    yield DriftFigure(f"new {unit}", unit, n_before, n_now, "share", _divide(new, n_now), *limit)
    yield DriftFigure(f"rows of new {unit}", "rows", None, new_rows, "share", _divide(new_rows, n_rows))
    lost = (gone_limit, "drift_max_gone_share")
    yield DriftFigure(f"gone {unit}", unit, n_before, n_before - gone, "share", _divide(gone, n_before), *lost)


def _divide(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def beyond(figures: Sequence[DriftFigure]) -> list[DriftFigure]:
    """Return the figures that pass their limits."""
    return [figure for figure in figures if figure.is_beyond]


def population_stability_index(before: ArrayLike, now: ArrayLike) -> float:
    """Return how far two histograms over the same bins are apart.

    With p and q the shares of a bin before and now, it is the sum over bins of (q - p) * ln((q + e) / (p + e)), where
    e = 0.0001 keeps a bin finite that is empty on one side: it counts as a ten-thousandth, and a bin that is empty
    on both sides adds nothing. For filled bins this is the usual sum of (q - p) * ln(q / p) but for the fourth
    decimal. A histogram without any count has the share 0 in every bin. The index and its conventional limits are
    those of N. Siddiqi, Credit Risk Scorecards (Wiley, 2006).

    Args:
        before: Counts, shape (n_bins,), none negative.
        now: Counts of the same bins.

    Returns:
        Dimensionless, 0 or more; 0 exactly where all shares are equal, and the same with the arguments exchanged.

    Example:
        >>> round(population_stability_index([50, 50], [80, 20]), 2)
        0.42
        >>> population_stability_index([1, 2, 0], [10, 20, 0])
        0.0
    """
    p, q = _shares(before), _shares(now)
    return float(np.abs((q - p) * (np.log(q + EMPTY_SHARE) - np.log(p + EMPTY_SHARE))).sum())


def bin_ratings(before: Mapping[float, int], now: Mapping[float, int]) -> tuple[list[int], list[int]]:
    """Return the rows of each rating, or of ten ranges of equal width where there are more than twenty ratings.

    Example:
        >>> bin_ratings({1.0: 5}, {1.0: 2, 5.0: 3})
        ([5, 0], [2, 3])
    """
    values = sorted({*before, *now})
    rows = [[found.get(value, 0) for value in values] for found in (before, now)]
    if len(values) > MOST_RATING_VALUES:
        edges = np.linspace(values[0], values[-1], RATING_BINS + 1)
        rows = [[int(n) for n in np.histogram(values, bins=edges, weights=counts)[0]] for counts in rows]
    return rows[0], rows[1]


def bin_activity(rows_per_user: ArrayLike) -> list[int]:
    """Return how many users have 1, 2-4, 5-9, 10-19, … and 1000 or more rows.

    Example:
        >>> bin_activity([1, 1, 2, 4, 5, 2000])
        [2, 2, 1, 0, 0, 0, 0, 0, 0, 1]
    """
    counts, _ = np.histogram(np.asarray(rows_per_user, dtype=np.float64), bins=[*ACTIVITY_EDGES, np.inf])
    return [int(count) for count in counts]


def _shares(counts: ArrayLike) -> Floats:
    values = np.asarray(counts, dtype=np.float64)
    total = values.sum()
    return values / total if total else values


class _IdCounter:
    """Counts ids; what waits is merged when it has grown as large as what was merged: no row is merged often."""

    def __init__(self) -> None:
        self._merged = pa.schema([("id", pa.string()), ("rows", pa.int64())]).empty_table()
        self._waiting: list[pa.Table] = []

    def add(self, ids: pa.Array) -> None:
        counted = pc.value_counts(ids)
        self._waiting.append(pa.table({"id": counted.field("values"), "rows": counted.field("counts")}))
        if sum(table.num_rows for table in self._waiting) > max(MERGE_ROWS, self._merged.num_rows):
            self.total()

    def total(self) -> pa.Table:
        merged = pa.concat_tables([self._merged, *self._waiting]).group_by("id").aggregate([("rows", "sum")])
        self._merged, self._waiting = merged.select(["id", "rows_sum"]).rename_columns(["id", "rows"]), []
        return self._merged
