"""Parse lines that hold an object each, of JSON or as a Python literal: whole blocks by Arrow, else singly."""

import json
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.json as pa_json

from reviews.formats import Format
from reviews.literals import parse_literal
from reviews.records import Mask, Records, RejectedRecordError

_ARROW_BLOCK_BYTES = 2**20


def find_plain(records: Records) -> Mask:
    """Return which records begin with '{' and end with '}'.

    No object can then reach over a record's end, so that as many objects as records means one object in each.
    """
    is_plain: Mask = (records.first_bytes() == ord("{")) & (records.last_bytes() == ord("}"))
    return is_plain


def read_rows(buffer: pa.Buffer, file_format: Format) -> pa.Table:
    """Return the values of the fields that have a role.

    Raises:
        pa.ArrowInvalid: A line is no object, or has a field of another type than most lines.
    """
    fields = [
        (name, _type_of(role, is_numeric=role in file_format.numeric)) for role, name in file_format.roles.items()
    ]
    table = pa_json.read_json(
        pa.BufferReader(buffer),
        read_options=pa_json.ReadOptions(block_size=_ARROW_BLOCK_BYTES),
        parse_options=pa_json.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore"),
    )
    return pa.table({role: table[name] for role, name in file_format.roles.items()})


def _type_of(role: str, *, is_numeric: bool) -> pa.DataType:
    if not is_numeric:
        return pa.string()
    return pa.int64() if role in ("user", "item") else pa.float64()


class _Literal(str):
    """A JSON number as it is spelt."""

    __slots__ = ()


DECODER = json.JSONDecoder(parse_int=_Literal, parse_float=_Literal, parse_constant=_Literal)


def read_row(text: str, file_format: Format) -> dict[str, str | None]:
    """Return role -> value of one object, numbers as they are spelt.

    Raises:
        RejectedRecordError: It is no object, or a value that is read is neither text nor a number.
    """
    read = _read_literal if file_format.kind == "loose-json" else _read_json
    return take_values(read(text), file_format)


def _read_json(text: str) -> object:
    try:
        return DECODER.decode(text)
    except ValueError:
        raise RejectedRecordError("not valid JSON") from None
    except RecursionError:
        raise RejectedRecordError("JSON nested too deeply") from None


def _read_literal(text: str) -> object:
    """Return what a Python literal, or else JSON, holds."""
    value = parse_literal(text)
    return _read_json(text) if value is None else value


def take_values(record: object, file_format: Format) -> dict[str, str | None]:
    """Return role -> value of an object that was parsed.

    Raises:
        RejectedRecordError: It is no object, or a value that is read is neither text nor a number.
    """
    if not isinstance(record, Mapping):
        raise RejectedRecordError("not a JSON object")
    values = {role: record.get(name) for role, name in file_format.roles.items()}
    for role, value in values.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            is_id = role in ("user", "item")
            raise RejectedRecordError(f"{role} id is neither text nor a number" if is_id else f"{role} is not a number")
    return {role: None if value is None else str(value) for role, value in values.items()}
