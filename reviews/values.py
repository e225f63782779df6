"""Turn the cells of a reviews file into ids, ratings and Unix seconds, whole columns at a time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviews.checks import FAILURE_SCHEMA
from reviews.formats import Format
from reviews.options import UNITS_PER_SECOND
from reviews.other_lines import find_other_lines
from reviews.time_forms import ISO_8601
from schema.columns import Columns

ROLE_COLUMNS = {
    "user": Columns.USER_ID,
    "item": Columns.ITEM_ID,
    "rating": Columns.RATING,
    "timestamp": Columns.TIMESTAMP,
}
_TYPES = {role: pa.string() if role in ("user", "item") else pa.float64() for role in ROLE_COLUMNS}
_NUMBER = r"^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:nan|inf|infinity))$"
_DATE = f"^{ISO_8601}$"
_ZONE = r"[T ].+(?:Z|[+-][\d:]+)$"
_MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Typed:
    """Rows with their types.

    Attributes:
        reviews: The columns of `reviews_schema`.
        failed: line and reason of the rows that hold no review.
        n_trimmed: Ids that had blanks at their ends.
    """

    reviews: pa.Table
    failed: pa.Table
    n_trimmed: int


def reviews_schema(file_format: Format) -> pa.Schema:
    """Return the columns of the reviews of a partition: those that the file has, and line."""
    fields = [(column, _TYPES[role]) for role, column in ROLE_COLUMNS.items() if role in file_format.roles]
    return pa.schema([*fields, (Columns.LINE, pa.int64())])


def convert(cells: pa.Table, lines: npt.NDArray[np.int64], file_format: Format) -> Typed:
    """Return the typed rows of cells.

    Args:
        cells: A column for each role of the file: text or numbers.
        lines: On which each row's record begins.
        file_format: How numbers and times are written.
    """
    columns, reasons, n_trimmed = {Columns.LINE: pa.array(lines)}, [], 0
    for role in file_format.roles:
        found = cells[role]
        if role in ("user", "item"):
            values, n_of_role = trim_ids(pc.cast(found, pa.string()))
            n_trimmed += n_of_role
        elif role == "timestamp":
            values, reason = read_times(found, file_format)
        else:
            values, reason = read_numbers(found, file_format.decimal), f"{role} is not a number"
        if values.null_count > found.null_count:
            is_wrong = pc.and_(pc.is_null(values), pc.not_equal(pc.fill_null(pc.utf8_trim_whitespace(found), ""), ""))
            reasons.append(pc.if_else(is_wrong, reason, None))
        columns[ROLE_COLUMNS[role]] = values
    if reasons or not file_format.roles.keys() & {"rating", "timestamp"}:
        is_doubtful = pc.is_valid(pc.coalesce(*reasons)) if reasons else None
        reasons = [
            *find_other_lines(columns[Columns.USER_ID], columns[Columns.ITEM_ID], file_format, is_doubtful),
            *reasons,
        ]
    schema = reviews_schema(file_format)
    reviews = pa.table({name: columns[name] for name in schema.names}, schema=schema)
    if not reasons:
        return Typed(reviews, FAILURE_SCHEMA.empty_table(), n_trimmed)
    reason = pc.coalesce(*reasons)
    is_failed = pc.is_valid(reason)
    failed = pa.table([reviews[Columns.LINE], reason], schema=FAILURE_SCHEMA).filter(is_failed)
    return Typed(reviews.filter(pc.invert(is_failed)), failed, n_trimmed)


def trim_ids(ids: pa.ChunkedArray) -> tuple[pa.ChunkedArray, int]:
    """Return ids without white space at their ends, and how many had some.

    Example:
        >>> trim_ids(pa.chunked_array([["a", " b"]]))[1]
        1
    """
    if not any(map(_may_hold_spaces, ids.chunks)):
        return ids, 0
    trimmed = pc.utf8_trim_whitespace(ids)
    return trimmed, pc.sum(pc.not_equal(trimmed, ids)).as_py() or 0


def _may_hold_spaces(ids: pa.StringArray) -> bool:
    """Return whether text holds anything but printable ASCII, blanks left out."""
    data = ids.buffers()[2]
    if not data:
        return False
    codes = np.frombuffer(data, dtype=np.uint8)
    return bool(codes.min() <= ord(" ") or codes.max() > ord("~"))


def read_numbers(cells: pa.ChunkedArray, decimal: str = ".") -> pa.ChunkedArray:
    """Return cells as float64; null for what is empty or no decimal number, "nan" or "inf".

    Example:
        >>> read_numbers(pa.chunked_array([["4,5", " 3", "good", ""]]), ",").to_pylist()
        [4.5, 3.0, None, None]
    """
    if not pa.types.is_string(cells.type):
        return pc.cast(cells, pa.float64())
    text = pc.utf8_trim_whitespace(cells)
    if decimal == ",":
        text = pc.replace_substring(_where(pc.invert(pc.match_substring(text, ".")), text), ",", ".")
    try:
        return pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        return pc.cast(_where(pc.match_substring_regex(text, _NUMBER), text), pa.float64())


def read_times(cells: pa.ChunkedArray, file_format: Format) -> tuple[pa.ChunkedArray, str]:
    """Return times as Unix seconds (float64), null for what is none, and the reason to give for that."""
    if pa.types.is_timestamp(cells.type):
        return _as_seconds(pc.cast(cells, pa.timestamp("us", cells.type.tz))), ""
    if file_format.time_form == "iso":
        return read_dates(cells), "timestamp is not a date of ISO 8601"
    units = float(UNITS_PER_SECOND[file_format.time_form])
    return pc.divide(read_numbers(cells, file_format.decimal), units), "timestamp is not a number"


def read_dates(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return dates and date-times of ISO 8601 as Unix seconds (float64), UTC where they name no zone; else null.

    Example:
        >>> read_dates(pa.chunked_array([["1970-01-02", "1970-01-01T01:00:01.5+01:00", "1/2/1970"]])).to_pylist()
        [86400.0, 1.5, None]
    """
    text = pc.ascii_upper(pc.utf8_trim_whitespace(cells))
    text = _where(pc.match_substring_regex(text, _DATE), text)
    text = pc.replace_substring_regex(pc.replace_substring(text, ",", "."), r"(\.\d{6})\d+", r"\1")
    text = pc.replace_substring_regex(pc.replace_substring(text, "UTC", "Z"), " ([Z+-])", r"\1")
    has_zone = pc.match_substring_regex(text, _ZONE)
    local = _cast_each(_where(pc.invert(has_zone), text), pa.timestamp("us"))
    zoned = _cast_each(_where(has_zone, text), pa.timestamp("us", "UTC"))
    return pc.coalesce(_as_seconds(local), _as_seconds(zoned))


def _as_seconds(microseconds: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.divide(pc.cast(pc.cast(microseconds, pa.int64()), pa.float64(), safe=False), float(_MICROSECONDS))


def _where(mask: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return values with nulls where the mask is not true."""
    return pc.if_else(mask, values, pa.scalar(None, values.type))


def _cast_each(text: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return text in another type, with nulls where it has no such value (the 30th of February)."""
    try:
        return pc.cast(text, kind)
    except pa.ArrowInvalid:
        encoded = text.combine_chunks().dictionary_encode()
        distinct = pa.array([_cast_or_none(one, kind) for one in encoded.dictionary], kind)
        return pa.chunked_array([distinct.take(encoded.indices)])


def _cast_or_none(text: pa.StringScalar, kind: pa.DataType) -> object:
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:
        return None
