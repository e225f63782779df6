"""Parse one line of a reviews file, or say why it is none: the judge of what block parsing refuses."""

import csv
import json

from reviews.columns import is_number
from reviews.formats import Format
from schema.errors import InvalidInput

Row = dict[str, str | float | None]


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
