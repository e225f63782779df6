"""Parse a reviews file as a stream of partitions: typed rows, and the lines that hold none.

Arrow parses whole blocks of lines; where a block has a line that does not parse, smaller blocks are tried, and in the
end single lines by `parse_line`, which says why a line is rejected.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

from reviews.columns import is_number
from reviews.formats import Format
from reviews.lines import Lines, Mask, read_lines
from schema.columns import Columns
from schema.errors import InvalidInput

_ARROW_BLOCK_BYTES = 2**21
_LEAF_LINES = 32
_ROLE_COLUMNS = {
    "user": Columns.USER_ID,
    "item": Columns.ITEM_ID,
    "rating": Columns.RATING,
    "timestamp": Columns.TIMESTAMP,
}
_TYPES = {role: pa.string() if role in ("user", "item") else pa.float64() for role in _ROLE_COLUMNS}
REJECTED_SCHEMA = pa.schema([(Columns.LINE, pa.int64()), ("reason", pa.string()), ("text", pa.string())])

Row = dict[str, str | float | None]
Rejected = tuple[int, str, str]


@dataclass(frozen=True)
class Partition:
    """One stretch of a reviews file.

    Attributes:
        number: Counts from 0 in file order.
        reviews: user_id, item_id (string), rating, timestamp (float64, as the file has them; a column that the
            file lacks is absent here), line (int64, 1-based) and text (the raw line with its end); in file order.
        rejected: line, reason, text of the lines that hold no row; in file order.
        n_lines: Lines of this stretch, blank ones included, a header not.
        n_blank: Lines of nothing but white space.
    """

    number: int
    reviews: pa.Table
    rejected: pa.Table
    n_lines: int
    n_blank: int


def read_partitions(path: Path, file_format: Format, partition_bytes: int) -> Iterator[Partition]:
    """Yield the file's partitions in order; what they hold depends on nothing but the arguments.

    Memory is bounded by a few times partition_bytes, whatever the size of the file.

    Raises:
        InvalidInput: When the gzip stream is cut or damaged, or a line is longer than MAX_LINE_BYTES.
    """
    for number, lines in enumerate(read_lines(path, partition_bytes)):
        yield _parse_partition(number, lines, file_format)


def reviews_schema(file_format: Format) -> pa.Schema:
    """Return the columns of the reviews of a partition."""
    fields = [(column, _TYPES[role]) for role, column in _ROLE_COLUMNS.items() if role in file_format.roles]
    return pa.schema([*fields, (Columns.LINE, pa.int64()), ("text", pa.large_binary())])


def printable(line: bytes) -> str:
    r"""Return a raw line for people, its end cut off and undecodable bytes as backslash escapes.

    Example:
        >>> printable(b"caf\xe9,1\r\n")
        'caf\\xe9,1'
    """
    return line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")


def _parse_partition(number: int, lines: Lines, file_format: Format) -> Partition:
    rows = lines.without_line(file_format.header_line)
    blank = rows.blank()
    filled = rows.keep(~blank)
    is_plain = _plain_json(filled) if file_format.kind == "json" else _plain_delimited(filled)
    tables: list[pa.Table] = []
    rejected: list[Rejected] = []
    _parse(filled.keep(is_plain), file_format, tables, rejected)
    _parse_singly(filled.keep(~is_plain), file_format, tables, rejected)
    schema = reviews_schema(file_format)
    reviews = pa.concat_tables([schema.empty_table(), *tables])
    if len(tables) > 1:
        reviews = reviews.sort_by(Columns.LINE)
    return Partition(number, reviews, _rejected_table(rejected), len(rows), int(blank.sum()))


def _plain_json(lines: Lines) -> Mask:
    """Return which lines begin with '{' and end with '}'.

    No object can then reach over a line's end, so that as many objects as lines means one object per line.
    """
    is_plain: Mask = (lines.first_bytes() == ord("{")) & (lines.last_bytes() == ord("}"))
    return is_plain


def _plain_delimited(lines: Lines) -> Mask:
    """Return which lines hold no carriage return but at their end, and no odd number of quotes.

    No row can then end within a line; a quote that is open at a line's end nevertheless swallows the next line, which
    shows as too few rows.
    """
    return ~(lines.with_stray_carriage_return() | lines.with_odd_count(ord('"')))


def _parse(lines: Lines, file_format: Format, tables: list[pa.Table], rejected: list[Rejected]) -> None:
    """Parse lines as one block where they are all well-formed, else halves of them, and a few singly."""
    if not len(lines):
        return
    table = _parse_block(lines, file_format)
    if table is not None:
        tables.append(table)
    elif len(lines) <= _LEAF_LINES:
        _parse_singly(lines, file_format, tables, rejected)
    else:
        middle = len(lines) // 2
        _parse(lines.part(0, middle), file_format, tables, rejected)
        _parse(lines.part(middle, len(lines)), file_format, tables, rejected)


def _parse_block(lines: Lines, file_format: Format) -> pa.Table | None:
    """Return the rows of well-formed lines; None when any line is not, or does not give exactly one row."""
    read = _read_json if file_format.kind == "json" else _read_delimited
    try:
        table = read(lines.buffer(), file_format)
        if table.num_rows != len(lines):
            return None
        table.validate(full=True)
        columns = {
            column: pc.cast(table[role], _TYPES[role])
            for role, column in _ROLE_COLUMNS.items()
            if role in file_format.roles
        }
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    columns |= {Columns.LINE: pa.array(lines.numbers), "text": lines.array()}
    return pa.table(columns, schema=reviews_schema(file_format))


def _read_json(buffer: pa.Buffer, file_format: Format) -> pa.Table:
    fields = [
        (name, _json_type(role, is_numeric=role in file_format.numeric)) for role, name in file_format.roles.items()
    ]
    table = pa_json.read_json(
        pa.BufferReader(buffer),
        read_options=pa_json.ReadOptions(block_size=_ARROW_BLOCK_BYTES),
        parse_options=pa_json.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore"),
    )
    return pa.table({role: table[name] for role, name in file_format.roles.items()})


def _json_type(role: str, *, is_numeric: bool) -> pa.DataType:
    if not is_numeric:
        return pa.string()
    return pa.int64() if role in ("user", "item") else pa.float64()


def _read_delimited(buffer: pa.Buffer, file_format: Format) -> pa.Table:
    """Return the rows of lines that hold no stray carriage return, so that no row ends within a line.

    A row of empty cells is appended and removed again: a quote that is open at the end of the last line swallows it.
    """
    names = [f"column_{i}" for i in range(len(file_format.names))]
    read = {role: names[file_format.position(role)] for role in file_format.roles}
    types = {name: _TYPES[role] for role, name in read.items()}
    last_row = file_format.delimiter * (len(names) - 1) + "\n"
    table = pa_csv.read_csv(
        pa.BufferReader(b"".join([memoryview(buffer), last_row.encode()])),
        read_options=pa_csv.ReadOptions(column_names=names, block_size=_ARROW_BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(delimiter=file_format.delimiter, ignore_empty_lines=False),
        convert_options=pa_csv.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=[""], strings_can_be_null=False
        ),
    )
    rows = table.slice(0, table.num_rows - 1)
    return pa.table({role: rows[name] for role, name in read.items()})


def _parse_singly(lines: Lines, file_format: Format, tables: list[pa.Table], rejected: list[Rejected]) -> None:
    schema = reviews_schema(file_format)
    rows = []
    for i, number in enumerate(lines.numbers.tolist()):
        raw = lines.text(i)
        try:
            row = parse_line(raw, file_format)
        except RejectedLineError as error:
            rejected.append((number, str(error), printable(raw)))
        else:
            values = {_ROLE_COLUMNS[role]: value for role, value in row.items()}
            rows.append(values | {Columns.LINE: number, "text": raw})
    if rows:
        tables.append(pa.Table.from_pylist(rows, schema=schema))


def _rejected_table(rejected: list[Rejected]) -> pa.Table:
    rows = [dict(zip(REJECTED_SCHEMA.names, row, strict=True)) for row in sorted(rejected)]
    return pa.Table.from_pylist(rows, schema=REJECTED_SCHEMA)


class RejectedLineError(InvalidInput):
    """A line that holds no review; the message is the reason, free of the line's own values."""


class _Literal(str):
    """A JSON number as it is spelt."""

    __slots__ = ()


def parse_line(raw: bytes, file_format: Format) -> Row:
    """Return role -> value of one line, for the roles the file has; ids as spelt, numbers as float.

    Args:
        raw: The line, with or without its end; undecodable bytes matter only in what is read.
        file_format: How to read it.

    Raises:
        RejectedLineError: When it holds no review.
    """
    text = raw.decode("utf-8", "surrogateescape").rstrip("\r\n")
    values = _json_values(text, file_format) if file_format.kind == "json" else _cells(text, file_format)
    return {
        role: _to_id(value, role) if role in ("user", "item") else _to_number(value, role)
        for role, value in values.items()
    }


def _json_values(text: str, file_format: Format) -> dict[str, object]:
    try:
        record = json.loads(text, parse_int=_Literal, parse_float=_Literal, parse_constant=_Literal)
    except ValueError:
        raise RejectedLineError("not valid JSON") from None
    except RecursionError:
        raise RejectedLineError("JSON nested too deeply") from None
    if not isinstance(record, dict):
        raise RejectedLineError("not a JSON object")
    return {role: record.get(name) for role, name in file_format.roles.items()}


def _cells(text: str, file_format: Format) -> dict[str, object]:
    if text.count('"') % 2:  # a row with a line break in quotes is two such lines, neither of them a review
        raise RejectedLineError("not valid CSV: an odd number of quotes")
    reader = csv.reader([text, ""], delimiter=file_format.delimiter)
    try:
        cells = next(reader)
    except csv.Error:
        raise RejectedLineError("not valid CSV: a stray carriage return or an endless field") from None
    if reader.line_num > 1:
        raise RejectedLineError("not valid CSV: a quote is never closed")
    if len(cells) != len(file_format.names):
        raise RejectedLineError(f"expected {len(file_format.names)} columns, found {len(cells)}")
    return {role: cells[file_format.position(role)] for role in file_format.roles}


def _to_id(value: object, role: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise RejectedLineError(f"{role} id is neither text nor a number")
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise RejectedLineError(f"{role} id is not valid UTF-8") from None
    return None if value is None else str(value)


def _to_number(value: object, role: str) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str) or not is_number(value):
        raise RejectedLineError(f"{role} is not a number")
    return float(value)
