"""What one delivery of reviews is like, small enough to be held beside another one's."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

COLUMNS = ("user_id", "item_id", "rating", "timestamp")

_MERGE_ROWS = 1_000_000


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


class _IdCounter:
    """Counts ids; what waits is merged when it has grown as large as what was merged: no row is merged often."""

    def __init__(self) -> None:
        self._merged = pa.schema([("id", pa.string()), ("rows", pa.int64())]).empty_table()
        self._waiting: list[pa.Table] = []

    def add(self, ids: pa.Array) -> None:
        counted = pc.value_counts(ids)
        self._waiting.append(pa.table({"id": counted.field("values"), "rows": counted.field("counts")}))
        if sum(table.num_rows for table in self._waiting) > max(_MERGE_ROWS, self._merged.num_rows):
            self.total()

    def total(self) -> pa.Table:
        merged = pa.concat_tables([self._merged, *self._waiting]).group_by("id").aggregate([("rows", "sum")])
        self._merged, self._waiting = merged.select(["id", "rows_sum"]).rename_columns(["id", "rows"]), []
        return self._merged
