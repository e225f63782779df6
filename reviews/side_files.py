"""Read the files that come beside the reviews: titles of products, and tables of user and item ids."""

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from reviews.lines import open_bytes
from schema.columns import Columns
from schema.errors import InvalidInput

MAX_LINE_BYTES = 1 << 20
USER_NAMES = ("user_id", "user", "reviewerID", "userId", "uid")
ITEM_NAMES = ("item_id", "item", "asin", "itemId", "iid", "product_id")
ORDER_NAMES = ("rank", "score")
PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Titles:
    """The names of products.

    Attributes:
        titles: Item id to title, white space made single blanks; items without a title are left out.
        n_skipped: Lines that could not be read: no record, no `asin`, or longer than a MiB.
    """

    titles: dict[str, str]
    n_skipped: int


def read_titles(path: Path) -> Titles:
    """Read product titles from Amazon's metadata (`meta_*.json.gz`) or the sample's products.

    One product a line: strict JSON, or the Python literals of the 2014 release; gzipped or not. A product that comes
    twice keeps its last title. The item id is `asin`, else `parent_asin`.

    Raises:
        InvalidInput: There is no such file, or it is a damaged gzip.
    """
    if not path.is_file():
        raise InvalidInput(f"No products file at {path}; expected Amazon's meta_*.json.gz. Check the path.")
    titles: dict[str, str] = {}
    n_skipped = 0
    for line in _lines(path):
        item_id, title = (None, None) if line is None else _read_product(line)
        if item_id is None:
            n_skipped += 1
        elif title:
            titles[item_id] = title
    return Titles(titles, n_skipped)


def _read_product(line: bytes) -> tuple[str | None, str | None]:
    """Return (item id, title) of a line; the id is None where the line is no product."""
    record = _parse(line)
    if not isinstance(record, dict):
        return None, None
    item_id = record.get("asin") or record.get("parent_asin")
    title = record.get("title")
    return (
        item_id if isinstance(item_id, str) else None,
        _one_line(title) if isinstance(title, str) else None,
    )


def _one_line(title: str) -> str:
    """Return the title on one line, with what UTF-8 cannot hold (lone surrogates) replaced."""
    return " ".join(title.split()).encode("utf-8", "replace").decode("utf-8")


def _parse(line: bytes) -> object:
    """Parse a line as JSON, else as a Python literal (which runs no code); None where it is neither."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(line.decode("utf-8"))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _lines(path: Path) -> Iterator[bytes | None]:
    """Yield the lines that are not blank; None stands for one that is too long to be looked at."""
    with open_bytes(path) as file:
        while line := file.readline(MAX_LINE_BYTES):
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass
                yield None
            elif line.strip():
                yield line


def read_pairs(path: Path) -> pa.Table:
    """Return the columns user_id and item_id as text, and rank or score (float64) where there is one.

    Args:
        path: Parquet, or CSV or TSV with a header, gzipped or not. The columns may go by other usual names.

    Raises:
        InvalidInput: If it cannot be read, or has no column of users or of items.
    """
    try:
        table = _read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InvalidInput(
            f"{path} cannot be read as a table: {error}. Expected Parquet, or CSV or TSV with a header that names "
            "the columns user_id and item_id."
        ) from error
    user, item = (_find(table, names, path) for names in (USER_NAMES, ITEM_NAMES))
    columns = {Columns.USER_ID: table[user].cast(pa.string()), Columns.ITEM_ID: table[item].cast(pa.string())}
    for name in ORDER_NAMES:
        if name in table.column_names:
            columns[name] = _numbers(table, name, path)
    return pa.table(columns)


def _read_table(path: Path) -> pa.Table:
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
