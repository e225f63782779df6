"""Reviews as arrays: users and items by their place among sorted ids, and the rows of each pair."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schema.arrays import Indices
from schema.columns import Columns
from schema.errors import InvalidInput
from schema.items_by_user import pair_keys

COLUMNS = (Columns.USER_ID, Columns.ITEM_ID, Columns.RATING, Columns.TIMESTAMP)
NO_TIME: Final = np.iinfo(np.int64).min
SECONDS_PER_DAY = 86_400
BATCH_ROWS = 1 << 17
MERGE_IDS = 1 << 20


@dataclass(frozen=True, eq=False)
class IndexedReviews:
    """Rows of reviews in the order of the file, the repeated ones too.

    Attributes:
        user_ids, item_ids: Arrow strings, sorted by their bytes, without repeats.
        user_idx, item_idx: int32 of shape (n_rows), places among the ids.
        ratings: float32 of shape (n_rows), NaN where a row has none; None where no row has one.
        timestamps: int64 of shape (n_rows), Unix seconds, NO_TIME where a row has none; None where no row has one.
    """

    user_ids: pa.Array
    item_ids: pa.Array
    user_idx: NDArray[np.int32]
    item_idx: NDArray[np.int32]
    ratings: NDArray[np.float32] | None
    timestamps: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.user_idx)

    def take(self, rows: Indices | NDArray[np.bool_]) -> Self:
        """Return some of the rows, by place or by mask, with the same ids."""
        return replace(
            self,
            user_idx=self.user_idx[rows],
            item_idx=self.item_idx[rows],
            ratings=None if self.ratings is None else self.ratings[rows],
            timestamps=None if self.timestamps is None else self.timestamps[rows],
        )

    def with_ratings(self) -> Self | None:
        """Return the rows that have a rating; None where none has."""
        return None if self.ratings is None else self._where(~np.isnan(self.ratings))

    def with_times(self) -> Self | None:
        """Return the rows that have a timestamp; None where none has."""
        return None if self.timestamps is None else self._where(self.timestamps != NO_TIME)

    def _where(self, is_kept: NDArray[np.bool_]) -> Self | None:
        if not is_kept.any():
            return None
        return self if is_kept.all() else self.take(is_kept)

    @cached_property
    def interactions(self) -> Self:
        """One row of each pair of user and item as a dataset has it by default: the first, by time and then by line.

        A row without a timestamp counts only where no other of its pair has one. Rows come ordered by user, then item.
        """
        keys = pair_keys(self.user_idx, self.item_idx)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        is_first = np.append([True], keys[1:] != keys[:-1])
        if self.timestamps is not None:
            is_shared = ~is_first | ~np.append(is_first[1:], [True])
            rows = order[is_shared]
            times = self.timestamps[rows]
            order[is_shared] = rows[np.lexsort((times, times == NO_TIME, keys[is_shared]))]
        return self.take(order[is_first])


def index_reviews(reviews: Path | pa.Table) -> IndexedReviews:
    """Read reviews batch by batch, holding the integers and the ids.

    Args:
        reviews: The `reviews.parquet` of an ingest, or a table: `user_id`, `item_id` (string), and, where there are
            any, `rating` (float) and `timestamp` (whole number, Unix seconds), which may hold nulls.

    Raises:
        InvalidInput: If a column of ids is missing or holds nulls, or there are no rows.

    Example:
        >>> table = pa.table({"user_id": ["b", "a", "b"], "item_id": ["x", "x", "y"], "rating": [5.0, None, 1.0]})
        >>> reviews = index_reviews(table)
        >>> reviews.user_ids.to_pylist(), reviews.user_idx.tolist(), reviews.ratings.tolist(), reviews.timestamps
        (['a', 'b'], [1, 0, 1], [5.0, nan, 1.0], None)
    """
    users, items = _Index(), _Index()
    ratings, timestamps = [], []
    for batch in _read_batches(reviews):
        users.add(batch[Columns.USER_ID])
        items.add(batch[Columns.ITEM_ID])
        nulls = pa.nulls(batch.num_rows)
        columns = {name: batch[name] if name in batch.schema.names else nulls for name in COLUMNS[2:]}
        ratings.append(_fill(columns[Columns.RATING].cast(pa.float32()), np.float32(np.nan)))
        timestamps.append(_fill(columns[Columns.TIMESTAMP].cast(pa.int64()), NO_TIME))
    if not ratings:
        raise InvalidInput("the reviews have no rows; expected one or more. Ingest a file that has some.")
    (user_ids, user_idx), (item_ids, item_idx) = users.finish(), items.finish()
    rating, timestamp = np.concatenate(ratings), np.concatenate(timestamps)
    return IndexedReviews(
        *(user_ids, item_ids, user_idx, item_idx),
        None if np.isnan(rating).all() else rating,
        None if (timestamp == NO_TIME).all() else timestamp,
    )


def _read_batches(reviews: Path | pa.Table) -> Iterator[pa.RecordBatch]:
    """Yield the columns that are there, of some rows at a time.

    Raises:
        InvalidInput: If a column of ids is missing.
    """
    names = reviews.column_names if isinstance(reviews, pa.Table) else pq.read_schema(reviews).names
    if missing := [name for name in COLUMNS[:2] if name not in names]:
        raise InvalidInput(
            f"the reviews lack column(s) {missing}; found {names}. Use the reviews.parquet of an ingest."
        )
    present = [name for name in COLUMNS if name in names]
    if isinstance(reviews, pa.Table):
        yield from reviews.select(present).to_batches(max_chunksize=BATCH_ROWS)
        return
    with pq.ParquetFile(reviews, memory_map=True) as file:
        yield from file.iter_batches(BATCH_ROWS, columns=present)


def _fill(column: pa.Array, missing: object) -> NDArray[np.generic]:
    return np.asarray(pc.fill_null(column, missing))


class _Index:
    """Numbers ids as they come; their texts are merged when as many wait as were merged: none is merged often."""

    def __init__(self) -> None:
        self._ids = pa.array([], pa.string())
        self._numbers: list[NDArray[np.int32]] = []
        self._waiting: list[pa.DictionaryArray] = []
        self._n_waiting = 0

    def add(self, ids: pa.Array) -> None:
        if ids.null_count:
            raise InvalidInput(f"{ids.null_count} rows have no id; expected one in each. Ingest the file again.")
        encoded = ids.cast(pa.string()).dictionary_encode()
        self._waiting.append(encoded)
        self._n_waiting += len(encoded.dictionary)
        if self._n_waiting > max(MERGE_IDS, len(self._ids)):
            self._merge()

    def _merge(self) -> None:
        known = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), self._ids)
        unified = pa.chunked_array([known, *self._waiting]).unify_dictionaries().chunks
        self._ids = unified[-1].dictionary
        self._numbers += [np.asarray(chunk.indices) for chunk in unified[1:]]
        self._waiting, self._n_waiting = [], 0

    def finish(self) -> tuple[pa.Array, NDArray[np.int32]]:
        """Return the sorted ids, and the place of each row's id among them."""
        self._merge()
        order = np.asarray(pc.sort_indices(self._ids))
        places = np.empty(len(order), dtype=np.int32)
        places[order] = np.arange(len(order), dtype=np.int32)
        return self._ids.take(pa.array(order)), places[np.concatenate(self._numbers)]
