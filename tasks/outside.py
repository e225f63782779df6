"""Tables of user and item ids that were made elsewhere: which pairs are held out, what is recommended to whom."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schema.errors import InvalidInput
from storage import layout
from storage.manifest import Manifest
from tasks.options import PlaceOptions
from tasks.store import read_table

USER_NAMES = ("user_id", "user", "reviewerID", "userId", "uid")
ITEM_NAMES = ("item_id", "item", "asin", "itemId", "iid", "product_id")
ORDER_NAMES = ("rank", "score")
PARQUET_MAGIC = b"PAR1"


def read_ids(path: Path) -> pa.Table:
    """Return the columns user_id and item_id as text, and rank or score (float64) where there is one.

    Args:
        path: Parquet, or CSV or TSV with a header, gzipped or not. The columns may go by other usual names.

    Raises:
        InvalidInput: If it cannot be read, or has no column of users or of items.
    """
    try:
        table = _read(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InvalidInput(
            f"{path} cannot be read as a table: {error}. Expected Parquet, or CSV or TSV with a header that names "
            "the columns user_id and item_id."
        ) from error
    user, item = (_find(table, names, path) for names in (USER_NAMES, ITEM_NAMES))
    columns = {"user_id": table[user].cast(pa.string()), "item_id": table[item].cast(pa.string())}
    for name in ORDER_NAMES:
        if name in table.column_names:
            columns[name] = _numbers(table, name, path)
    return pa.table(columns)


def find_indices(places: PlaceOptions, dataset: Manifest, ids: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the user and item index of each row; -1 for ids that the dataset does not know."""
    found = []
    for name, column in ((layout.USER_MAP, "user_id"), (layout.ITEM_MAP, "item_id")):
        known = read_table(places, dataset, name)
        index = pc.index_in(ids[column], value_set=known[column].cast(pa.string()).combine_chunks())
        numbers = known[column.replace("_id", "_idx")].to_numpy()
        place = pc.fill_null(index, -1).to_numpy()
        found.append(np.where(place >= 0, numbers[place], -1).astype(np.int64))
    return found[0], found[1]


def _read(path: Path) -> pa.Table:
    with path.open("rb") as file:
        if file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
            return pq.read_table(path)
    with pa.input_stream(path) as stream:  # unpacks what is gzipped by its name
        header = stream.read(1 << 16).split(b"\n", 1)[0].decode(errors="replace").strip()
    delimiter = "\t" if "\t" in header else ","
    names = [name.strip('"') for name in header.split(delimiter)]
    as_text = dict.fromkeys([name for name in names if name in USER_NAMES + ITEM_NAMES], pa.string())
    with pa.input_stream(path) as stream:
        return pyarrow.csv.read_csv(
            stream,
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
            convert_options=pyarrow.csv.ConvertOptions(column_types=as_text),
        )


def _find(table: pa.Table, names: Sequence[str], path: Path) -> str:
    found = [name for name in names if name in table.column_names]
    if not found or table[found[0]].null_count:
        missing = f"{table[found[0]].null_count} rows have no {found[0]}" if found else f"found {table.column_names}"
        raise InvalidInput(
            f"{path} lacks {names[0]} ({missing}); expected a column of that name with an id in each row, or of one of "
            f"{', '.join(names[1:])}."
        )
    return found[0]


def _numbers(table: pa.Table, name: str, path: Path) -> pa.ChunkedArray:
    try:
        numbers = table[name].cast(pa.float64())
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"{path}: column {name} is not numbers ({error}); expected one in each row.") from error
    if numbers.null_count or not np.isfinite(numbers.to_numpy()).all():
        raise InvalidInput(f"{path}: column {name} has rows without a finite number; expected one in each row.")
    return numbers
