"""Read the rows of a Parquet file."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviews.formats import Format
from reviews.parquet_columns import open_parquet
from schema.errors import InvalidInput

_ROW_BYTES = 128
_MAX_WHOLE = 2**53


def read_tables(path: Path, file_format: Format, partition_bytes: int) -> Iterator[pa.Table]:
    """Yield stretches of rows in file order: the columns that have a role, as text, numbers or times.

    Raises:
        InvalidInput: When the file is damaged, or a column has values of another kind.
    """
    names = list(dict.fromkeys(file_format.roles.values()))
    with open_parquet(path) as file:
        for rows in file.iter_batches(max(1, partition_bytes // _ROW_BYTES), columns=names):
            yield pa.table({role: _plain(rows[name], role, name, path) for role, name in file_format.roles.items()})


def read_row_texts(
    path: Path, file_format: Format, rows: Sequence[int] | npt.NDArray[np.int64]
) -> Iterator[tuple[int, str]]:
    """Yield numbers of rows, from 1 and rising, and the rows as JSON objects of the columns that have a role."""
    first, wanted = 1, np.unique(np.asarray(rows, dtype=np.int64))
    with open_parquet(path) as file:
        for batch in file.iter_batches(columns=list(dict.fromkeys(file_format.roles.values()))):
            inside = wanted[: np.searchsorted(wanted, first + batch.num_rows)]
            yield from zip(inside.tolist(), as_texts(batch, (inside - first).tolist()), strict=True)
            first, wanted = first + batch.num_rows, wanted[len(inside) :]
            if not len(wanted):
                return


def as_texts(rows: pa.RecordBatch | pa.Table, places: Sequence[int]) -> list[str]:
    """Return the rows at some places, from 0, as JSON objects."""
    taken = rows.take(pa.array(places, pa.int64())).to_pylist()
    return [json.dumps(row, ensure_ascii=False, default=str) for row in taken]


def _plain(column: pa.Array, role: str, name: str, path: Path) -> pa.Array:
    """Return values as text, float64 or times."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if any(is_text(kind) for is_text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
        return pc.cast(column, pa.string())
    if role in ("user", "item"):
        return _as_ids(column, name, path)
    if role == "timestamp" and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return pc.cast(column, pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pc.cast(column, pa.float64(), safe=False)  # nanoseconds have more digits than it holds
    raise _refusal(column, name, path, "numbers, text" + (" or times" if role == "timestamp" else ""))


def _as_ids(column: pa.Array, name: str, path: Path) -> pa.Array:
    """Return ids as text; whole numbers that were kept as floats, as pandas does beside nulls, without a fraction."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        is_whole = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), _MAX_WHOLE))
        if pc.all(is_whole).as_py() is not False:
            column = pc.cast(column, pa.int64())
    if pa.types.is_integer(column.type):
        return pc.cast(column, pa.string())
    raise _refusal(column, name, path, "text or whole numbers")


def _refusal(column: pa.Array, name: str, path: Path, expected: str) -> InvalidInput:
    return InvalidInput(
        f"{path} has values of type {column.type} in the column {name!r}; expected {expected}. "
        f"Name another with --columns, or write it out in such a type."
    )
