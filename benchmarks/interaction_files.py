"""Interactions of any file, read and numbered as the pipeline does it but without Spark, for the quality benchmark."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from evaluation.assignment import is_in_core
from evaluation.splits import NamedPairs
from reviews.ingest import REVIEWS, ingest_file
from reviews.options import IngestOptions
from reviews.unpacking import open_unpacked
from schema.errors import InvalidInput
from schema.items_by_user import pair_keys
from storage.parquet import write_parquet

SAMPLE_LINES = 1000
PARTS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Numbered:
    """Interactions with dense indices, by the bytes of the ids' text as in a dataset of the pipeline.

    Attributes:
        rows: user_idx, item_idx (int32), rating (float32), timestamp (int64), the last two null where there is none;
            one row for each pair.
        user_ids: Id of each user.
        item_ids: Id of each item.
        named: What files name for validation and test; None where there are no such files.
    """

    rows: pa.Table
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    named: NamedPairs | None = None

    def has(self, column: str) -> bool:
        """Tell whether there are ratings, or timestamps."""
        return bool(self.rows[column].null_count < self.rows.num_rows)

    def keys_of(self, rows: pa.Table) -> NDArray[np.int64]:
        """Return the `pair_keys` of rows of ids, without those of ids that are not here."""
        user_idx, item_idx = (
            pc.fill_null(pc.index_in(rows[column].combine_chunks(), pa.array(ids, pa.string())), -1).to_numpy()
            for column, ids in (("user_id", self.user_ids), ("item_id", self.item_ids))
        )
        is_known = (user_idx >= 0) & (item_idx >= 0)
        return pair_keys(user_idx[is_known], item_idx[is_known])


def read_numbered(path: Path, held_out: tuple[Path, Path] | None, min_interactions: int, scratch: Path) -> Numbered:
    """Return the interactions of a file, or of a folder with files train…, val… and test….

    Args:
        path: Lines ``user item item …``, or anything that the pipeline ingests; gzipped or not.
        held_out: Files that name the pairs of validation and of test, whose rows belong to the interactions too.
        min_interactions: Of each user and item, at least: the k of the k-core.
        scratch: An empty folder for intermediate files.

    Raises:
        InvalidInput: If a file cannot be read, or nothing is left.
    """
    if path.is_dir():
        path, *others = (_only_file(path, part) for part in PARTS)
        held_out = others[0], others[1]
    tables = [_read(one, scratch / str(number)) for number, one in enumerate([path, *(held_out or ())])]
    found = number_rows(pa.concat_tables(tables), min_interactions)
    if held_out is None:
        return found
    _, validation, test = map(found.keys_of, tables)
    return Numbered(found.rows, found.user_ids, found.item_ids, NamedPairs(None, validation, test))


def _only_file(folder: Path, part: str) -> Path:
    found = sorted(folder.glob(f"{part}*"))
    if len(found) != 1:
        raise InvalidInput(
            f"{folder} has {len(found)} files {part}*; expected one of each of {', '.join(PARTS)}. Name a file instead."
        )
    return found[0]


def _read(path: Path, scratch: Path) -> pa.Table:
    """Return user_id, item_id, rating and timestamp of each row of a file."""
    return _read_lists(path) if _holds_lists(path) else _ingest(path, scratch)


def _holds_lists(path: Path) -> bool:
    """Tell whether lines are ids with blanks between them, and no rows of reviews."""
    with open_unpacked(path) as stream:
        lines = [line for line in islice(stream, SAMPLE_LINES) if line.strip()]
    widths = {len(line.split()) for line in lines}
    is_text = not any(byte in line for line in lines for byte in (b",", b"{", b"\0"))
    return is_text and max(widths, default=0) > 1 and (len(widths) > 1 or not any(b"\t" in line for line in lines))


def _read_lists(path: Path) -> pa.Table:
    with open_unpacked(path) as stream:
        lists = [line.decode("utf-8-sig", "replace").split() for line in stream]
    users = [ids[0] for ids in lists for _ in ids[1:]]
    nothing = pa.nulls(len(users))
    columns = {"user_id": users, "item_id": [item for ids in lists for item in ids[1:]]}
    return pa.table(
        {name: pa.array(ids, pa.string()) for name, ids in columns.items()}
        | {"rating": nothing.cast(pa.float32()), "timestamp": nothing.cast(pa.int64())}
    )


def _ingest(path: Path, scratch: Path) -> pa.Table:
    """Return the reviews of a file that passed the pipeline's checks."""
    ingest_file(path, IngestOptions(), scratch, write_parquet)
    return pq.read_table(scratch / REVIEWS, columns=["user_id", "item_id", "rating", "timestamp"])


def number_rows(rows: pa.Table, min_interactions: int = 1) -> Numbered:
    """Keep the first row of each pair and the k-core of the pairs, and number users and items.

    Args:
        rows: user_id, item_id, rating, timestamp; of rows of a pair at the same time the first counts.
        min_interactions: The k of the k-core.

    Raises:
        InvalidInput: If nothing is left.

    Example:
        >>> ids = {"user_id": ["b", "a", "b"], "item_id": ["y", "x", "y"]}
        >>> found = number_rows(pa.table({**ids, "rating": [1.0, 2.0, 5.0], "timestamp": [7, 8, 9]}))
        >>> found.rows.to_pydict()
        {'user_idx': [0, 1], 'item_idx': [0, 1], 'rating': [2.0, 5.0], 'timestamp': [8, 9]}
    """
    ids, codes = zip(
        *(np.unique(rows[name].to_numpy(), return_inverse=True) for name in ("user_id", "item_id")), strict=True
    )
    latest = np.iinfo(np.int64).max
    oldest = np.lexsort((pc.fill_null(rows["timestamp"], latest).to_numpy(), *codes[::-1]))
    keys = pair_keys(*codes)[oldest]
    kept = oldest[np.append(np.ones(min(len(keys), 1), dtype=bool), keys[1:] != keys[:-1])]
    kept = kept[is_in_core(codes[0][kept], codes[1][kept], min_interactions)]
    if not len(kept):
        raise InvalidInput(f"nothing is left of {rows.num_rows} rows; lower --min-interactions {min_interactions}.")
    (users, user_idx), (items, item_idx) = (np.unique(code[kept], return_inverse=True) for code in codes)
    indices = {"user_idx": user_idx.astype(np.int32), "item_idx": item_idx.astype(np.int32)}
    table = pa.table(indices | {name: rows[name].take(kept) for name in ("rating", "timestamp")})
    return Numbered(table, ids[0][users], ids[1][items])
