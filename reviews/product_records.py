"""Read the records of a file of products, whatever text it is written as."""

import ast
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reviews.columns import SYNONYMS, find_roles, show
from reviews.dialects import Reading, choose_dialect, read_cells
from reviews.encodings import SAMPLE_BYTES, detect, open_text
from reviews.formats import Format
from reviews.headers import FIRST_RECORDS, read_preamble
from reviews.json_array import read_objects
from reviews.parquet_columns import is_parquet
from reviews.unpacking import open_unpacked, require_readable
from schema.errors import InvalidInput

MAX_LINE_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 22

Record = Mapping[str, object]


def read_product_records(path: Path) -> Iterator[Record | None]:
    """Yield the records, field name -> value; None for one that cannot be read, or is longer than a MiB.

    They are JSON objects or Python literals, one a line; JSON objects over any lines; the rows of delimited text with
    a header, or of Parquet. Packings and encodings are those of reviews.

    Raises:
        InvalidInput: The file cannot be read, or is a table without a column of items.
    """
    require_readable(path)
    if is_parquet(path):
        yield from _rows_of_parquet(path)
        return
    with open_unpacked(path) as stream:
        encoding, _ = detect(stream.read(SAMPLE_BYTES), None, str(path))
    with open_text(path, encoding) as stream:
        data = stream.read(SAMPLE_BYTES)
    sample, is_cut = data.decode("utf-8", "surrogateescape"), len(data) == SAMPLE_BYTES
    first = sample.lstrip()[:1] or "{"
    if first == "[" or (first == "{" and _goes_over_lines(sample)):
        yield from _objects(path, encoding)
    elif first == "{":
        yield from _objects_by_line(path, encoding)
    else:
        yield from _rows(path, encoding, sample, is_cut=is_cut)


def _goes_over_lines(sample: str) -> bool:
    """Return whether no line of a sample is an object of its own."""
    lines = [line.encode("utf-8", "surrogateescape") for line in io.StringIO(sample, newline="\n") if line.strip()]
    return len(lines) > 1 and not any(isinstance(_parse(line), dict) for line in lines)


def _objects(path: Path, encoding: str) -> Iterator[Record | None]:
    for records, _ in read_objects(path, Format("json-array", {}, encoding=encoding), _BLOCK_BYTES):
        yield from (_as_record(_parse(records.text(i))) for i in range(len(records)))


def _objects_by_line(path: Path, encoding: str) -> Iterator[Record | None]:
    with open_text(path, encoding) as file:
        while line := file.readline(MAX_LINE_BYTES):
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass
                yield None
            elif line.strip():
                yield _as_record(_parse(line))


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


def _as_record(value: object) -> Record | None:
    return value if isinstance(value, dict) else None


def _rows_of_parquet(path: Path) -> Iterator[Record]:
    try:
        with pq.ParquetFile(path) as file:
            if "item" not in find_roles(file.schema_arrow.names):
                raise _without_items(file.schema_arrow.names, path)
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{path} is a Parquet file that is cut off or damaged ({error}). Fetch it again.") from error


def _rows(path: Path, encoding: str, sample: str, *, is_cut: bool) -> Iterator[Record | None]:
    reading, header_line, names = _find_table(sample, path, is_cut=is_cut)
    with (
        open_text(path, encoding) as stream,
        io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="\n") as text,
    ):
        for _ in range(header_line):
            next(text)
        filled = (line for line in text if line.strip())
        for record in read_cells(filled, reading.delimiter, reading.quote, strict=True):
            yield dict(zip(names, record.cells, strict=True)) if len(record.cells) == len(names) else None


def _find_table(sample: str, path: Path, *, is_cut: bool) -> tuple[Reading, int, tuple[str, ...]]:
    """Return the dialect of a table, the line on which its header ends, and the names in it."""
    lines = list(io.StringIO(sample, newline="\n"))
    preamble = read_preamble(lines)

    def has_items(cells: Sequence[str]) -> bool:
        return "item" in find_roles(cells)

    reading, _ = choose_dialect(
        lines, preamble.n_lines, has_items, str(path), is_cut=is_cut, delimiter=preamble.delimiter
    )
    first = reading.records[:FIRST_RECORDS]
    header = next((one for one in first if "item" in find_roles([cell.strip() for cell in one.cells])), None)
    if header is None:
        raise _without_items(first[0].cells if first else [], path)
    return reading, header.last, tuple(cell.strip() for cell in header.cells)


def _without_items(names: Sequence[str], path: Path) -> InvalidInput:
    known = ", ".join(name for equals in SYNONYMS["item"][:3] for name in equals)
    return InvalidInput(
        f"{path} has no column known to hold the ids of items; found {show(names)}. Name it as one of {known}."
    )
