"""Read the files that come beside the reviews: products, and tables of user and item ids."""

import ast
import html
import json
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from reviews.lines import open_bytes
from schema.columns import Columns
from schema.errors import InvalidInput

MAX_LINE_BYTES = 1 << 20
MAX_CATEGORIES = 32
MAX_CATEGORY_LENGTH = 100
USER_NAMES = ("user_id", "user", "reviewerID", "userId", "uid")
ITEM_NAMES = ("item_id", "item", "asin", "itemId", "iid", "product_id")
ORDER_NAMES = ("rank", "score")
PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Products:
    """What is said of products, by item id; an item of which something is not said is left out there.

    Texts stand on one line, without HTML entities.

    Attributes:
        titles: The title.
        brands: The brand.
        categories: The categories, from the widest to the narrowest, those of the first path first.
        viewed: The item ids of products that people viewed as well.
        n_skipped: Lines that could not be read: no record, no `asin`, or longer than a MiB.
    """

    titles: dict[str, str] = field(default_factory=dict)
    brands: dict[str, str] = field(default_factory=dict)
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    viewed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    n_skipped: int = 0


def read_products(path: Path, among: Container[str] | None = None) -> Products:
    """Read products from Amazon's metadata (`meta_*.json.gz`) or the sample's products.

    One product a line: strict JSON, or the Python literals of the 2014 release; gzipped or not. The item id is `asin`,
    else `parent_asin`. The brand is `brand`, else `store` (2023). Categories are `categories`, paths (2014) or one path
    (2023), else `category` (2018). What people viewed as well is `also_view` (2018), else `also_viewed` of `related`
    (2014). Of a product that comes twice the last that is said of each counts.

    Args:
        path: The file.
        among: The item ids that are wanted; by default all.

    Raises:
        InvalidInput: There is no such file, or it is a damaged gzip.
    """
    if not path.is_file():
        raise InvalidInput(f"No products file at {path}; expected Amazon's meta_*.json.gz. Check the path.")
    titles: dict[str, str] = {}
    brands: dict[str, str] = {}
    categories: dict[str, tuple[str, ...]] = {}
    viewed: dict[str, tuple[str, ...]] = {}
    n_skipped = 0
    for line in _lines(path):
        record = None if line is None else _parse(line)
        item_id = (record.get("asin") or record.get("parent_asin")) if isinstance(record, dict) else None
        if not isinstance(record, dict) or not isinstance(item_id, str):
            n_skipped += 1
        elif among is None or item_id in among:
            if title := _one_line(record.get("title")):
                titles[item_id] = title
            if brand := _one_line(record.get("brand")) or _one_line(record.get("store")):
                brands[item_id] = brand
            if shelf := _categories(record.get("categories")) or _categories(record.get("category")):
                categories[item_id] = shelf
            if others := _also_viewed(record):
                viewed[item_id] = others
    return Products(titles, brands, categories, viewed, n_skipped)


def _also_viewed(record: dict[str, object]) -> tuple[str, ...]:
    related = record.get("related")
    others = record.get("also_view") or (related.get("also_viewed") if isinstance(related, dict) else None)
    return tuple(filter(None, dict.fromkeys(map(_one_line, others)))) if isinstance(others, list) else ()


def _categories(value: object) -> tuple[str, ...]:
    """Return the categories of a path or of several paths, each once; texts too long for a name are none."""
    parts = value if isinstance(value, list) else [value]
    flat = (one for part in parts for one in (part if isinstance(part, list) else [part]))
    named = dict.fromkeys(name for name in map(_one_line, flat) if 0 < len(name) <= MAX_CATEGORY_LENGTH)
    return tuple(named)[:MAX_CATEGORIES]


def _one_line(text: object) -> str:
    """Return a text on one line, with what UTF-8 cannot hold (lone surrogates) replaced; '' for what is no text."""
    plain = html.unescape(text) if isinstance(text, str) else ""
    return " ".join(plain.split()).encode("utf-8", "replace").decode("utf-8")


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
