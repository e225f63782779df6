"""Parse records that hold an object each, of JSON or as a Python literal: whole blocks by Arrow, else singly."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.json as pa_json

from reviews.encodings import open_text
from reviews.formats import Format
from reviews.json_values import DECODER, READ_BYTES, read_values
from reviews.literals import parse_literal
from reviews.records import Mask, Records, RejectedRecordError, make_records
from reviews.unfit import about

_ARROW_BLOCK_BYTES = 2**20


def read_objects(path: Path, file_format: Format, block_bytes: int) -> Iterator[tuple[Records, int]]:
    """Yield the objects in blocks of at most about block_bytes, each on one line; not lines but objects are counted.

    Raises:
        InvalidInput: When the file is cut or damaged, or is not JSON to its end.
    """
    found: list[bytes] = []
    first, n_bytes = 1, 0
    with about(path), open_text(path, file_format.encoding) as stream:
        for value in read_values(stream):
            found.append(f"{value}\n".encode("utf-8", "surrogateescape"))
            n_bytes += len(found[-1])
            if n_bytes >= min(block_bytes, READ_BYTES):
                yield _as_records(found, first), first + len(found)
                first, n_bytes, found = first + len(found), 0, []
    if found:
        yield _as_records(found, first), first + len(found)


def _as_records(values: list[bytes], first: int) -> Records:
    ends = np.cumsum([len(value) for value in values], dtype=np.int64)
    return make_records(b"".join(values), ends, np.arange(first, first + len(values)))


def find_plain(records: Records, file_format: Format) -> Mask:
    """Return which records begin with '{' and end with '}', and are JSON.

    No object can then reach over a record's end, so that as many objects as records means one object in each.
    """
    if file_format.kind == "loose-json":
        return np.zeros(len(records), np.bool_)
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


def read_row(text: str, file_format: Format) -> dict[str, str | None]:
    """Return role -> value of one object, numbers as they are spelt.

    Raises:
        RejectedRecordError: It is no object, or a value that is read is neither text nor a number.
    """
    record = parse_literal(text) if file_format.kind == "loose-json" else None
    if record is None:
        record = _read_json(text)
    if not isinstance(record, Mapping):
        raise RejectedRecordError("not a JSON object")
    values = {role: record.get(name) for role, name in file_format.roles.items()}
    for role, value in values.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            is_id = role in ("user", "item")
            raise RejectedRecordError(f"{role} id is neither text nor a number" if is_id else f"{role} is not a number")
    return {role: None if value is None else str(value) for role, value in values.items()}


def _read_json(text: str) -> object:
    try:
        return DECODER.decode(text)
    except ValueError:
        raise RejectedRecordError("not valid JSON") from None
    except RecursionError:
        raise RejectedRecordError("JSON nested too deeply") from None
