"""Read the records of a file of products, whatever it is written as."""

from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

from reviews.columns import SYNONYMS, find_roles, normalise, show
from reviews.delimited_rows import split_record
from reviews.dialects import choose_dialect
from reviews.formats import Format, read_start
from reviews.headers import FIRST_RECORDS, read_preamble
from reviews.json_kinds import find_objects
from reviews.literals import parse_json, parse_literal
from reviews.parquet_columns import is_parquet, open_parquet
from reviews.parse import read_blocks
from reviews.records import RejectedRecordError
from reviews.unfit import Unfit, about
from reviews.unpacking import require_readable

_BLOCK_BYTES = 1 << 22
_BATCH_ROWS = 1_000

Record = Mapping[str, object]


def read_product_records(path: Path, wanted: Set[str]) -> tuple[Iterator[Record | None], tuple[str, ...]]:
    """Return the records, field name -> value, None for one that cannot be read; and what is only probable of them.

    They are JSON objects or Python literals, one a line; JSON objects over any lines; the rows of delimited text with
    a header, or of Parquet. Packings and encodings are those of reviews.

    Args:
        path: The file.
        wanted: Which columns of Parquet are read, beside that of the items, as `normalise` spells them.

    Raises:
        InvalidInput: The file cannot be read, or is a table without a column of items; or, while reading, it is damaged
            or a record has no end.
    """
    with about(path):
        require_readable(path)
        if is_parquet(path):
            return _rows_of_parquet(path, wanted), ()
        lines, is_cut, encoding, of_encoding = read_start(path)
        doubts = (of_encoding.doubt,) if of_encoding.doubt else ()
        if objects := find_objects(lines, _has_items):
            return _records(path, Format(objects.kind, {}, encoding=encoding)), doubts
        return _records(path, _find_table(lines, encoding, is_cut=is_cut)), doubts


def _records(path: Path, file_format: Format) -> Iterator[Record | None]:
    for records, _ in read_blocks(path, file_format, _BLOCK_BYTES):
        filled = records.keep(~records.blank())
        for text in (filled.text(i).decode("utf-8", "surrogateescape") for i in range(len(filled))):
            yield _row(text, file_format) if file_format.kind == "delimited" else _object(text)


def _object(text: str) -> Record | None:
    value = parse_json(text)
    value = parse_literal(text) if value is None else value
    return value if isinstance(value, dict) else None


def _row(text: str, file_format: Format) -> Record | None:
    try:
        cells = split_record(text.removesuffix("\n").removesuffix("\r"), file_format.delimiter, file_format.quote)
    except RejectedRecordError:
        return None
    return dict(zip(file_format.names, cells, strict=True)) if len(cells) == len(file_format.names) else None


def _rows_of_parquet(path: Path, wanted: Set[str]) -> Iterator[Record]:
    with about(path), open_parquet(path) as file:
        names = file.schema_arrow.names
        if not _has_items(names):
            raise _without_items(names)
        for batch in file.iter_batches(_BATCH_ROWS, columns=[name for name in names if normalise(name) in wanted]):
            yield from batch.to_pylist()


def _find_table(lines: Sequence[str], encoding: str, *, is_cut: bool) -> Format:
    """Return the dialect of a table, and the header in it that names the items."""
    preamble = read_preamble(lines)
    reading, _ = choose_dialect(lines, preamble.n_lines, _has_items, is_cut=is_cut, delimiter=preamble.delimiter)
    first = reading.records[:FIRST_RECORDS]
    header = next((one for one in first if _has_items([cell.strip() for cell in one.cells])), None)
    if header is None:
        raise _without_items(first[0].cells if first else [])
    names = tuple(cell.strip() for cell in header.cells)
    return Format(
        "delimited",
        {},
        names,
        encoding=encoding,
        delimiter=reading.delimiter,
        quote=reading.quote,
        header_line=header.last,
    )


def _has_items(names: Sequence[str]) -> bool:
    return "item" in find_roles(names)


def _without_items(names: Sequence[str]) -> Unfit:
    known = ", ".join(name for equals in SYNONYMS["item"][:3] for name in equals)
    return Unfit(f"has no column known to hold the ids of items; found {show(names)}. Name it as one of {known}.")
