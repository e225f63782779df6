"""Parse records of delimited text into cells: whole blocks by Arrow, single records by Python's csv."""

import csv
import re

import pyarrow as pa
import pyarrow.csv as pa_csv

from reviews.formats import Format
from reviews.quotes import read_csv
from reviews.records import Mask, Records, RejectedRecordError

_ARROW_BLOCK_BYTES = 2**21


def find_plain(records: Records, file_format: Format) -> Mask:
    """Return which records Arrow reads as Python's csv does.

    Of each of them it makes a row or, with a stray carriage return, more: as many rows as records means one of each.
    """
    if file_format.quote and file_format.delimiter in (" ", "::"):
        return records.is_plain & ~records.with_byte(file_format.quote.encode())
    return records.is_plain


def read_rows(buffer: pa.Buffer, file_format: Format) -> pa.Table:
    """Return the cells, as text, of the columns that have a role.

    A row of empty cells is appended and removed again: a quote that is open at the end of the last row swallows it.

    Raises:
        pa.ArrowInvalid: A row has another number of cells, or text that is read is not UTF-8.
    """
    names = [f"column_{i}" for i in range(len(file_format.names))]
    read = {role: names[file_format.position(role)] for role in file_format.roles}
    data, delimiter = _with_one_delimiter(buffer, file_format.delimiter)
    table = pa_csv.read_csv(
        pa.BufferReader(b"".join([data, (delimiter * (len(names) - 1) + "\n").encode()])),
        read_options=pa_csv.ReadOptions(column_names=names, block_size=_ARROW_BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(
            delimiter=delimiter,
            quote_char=file_format.quote or False,
            newlines_in_values=bool(file_format.quote),
            ignore_empty_lines=False,
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(read.values(), pa.string()),
            include_columns=list(dict.fromkeys(read.values())),
            strings_can_be_null=False,
        ),
    )
    rows = table.slice(0, table.num_rows - 1)
    return pa.table({role: rows[name] for role, name in read.items()})


def _with_one_delimiter(buffer: pa.Buffer, delimiter: str) -> tuple[bytes | memoryview, str]:
    """Return the bytes with a delimiter of one character."""
    if delimiter == "::":
        data = buffer.to_pybytes()
        unused = next(code for code in range(1, 32) if code not in b"\t\n\r" and bytes([code]) not in data)
        return data.replace(b"::", bytes([unused])), chr(unused)
    if delimiter == " ":
        return re.sub(rb"[ \t]+", b" ", re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", buffer.to_pybytes())), delimiter
    return memoryview(buffer), delimiter


def read_row(text: str, file_format: Format) -> dict[str, str | None]:
    """Return role -> cell of a record, without its line end.

    Raises:
        RejectedRecordError: It is not one row with all columns.
    """
    cells = read_cells(text, file_format.delimiter, file_format.quote)
    if len(cells) != len(file_format.names):
        raise RejectedRecordError(f"expected {len(file_format.names)} columns, found {len(cells)}")
    return {role: cells[file_format.position(role)] for role in file_format.roles}


def read_cells(text: str, delimiter: str, quote: str) -> list[str]:
    """Return the cells of a record, without its line end.

    Raises:
        RejectedRecordError: It breaks the rules of quoting.
    """
    is_long = delimiter == "::"
    if delimiter == " ":
        text = text.strip(" \t")
        if not quote or quote not in text:
            return re.split(r"[ \t]+", text)
    elif is_long:
        delimiter = next(chr(code) for code in range(1, 32) if chr(code) not in f"\t\n\r{text}")
        text = text.replace("::", delimiter)
    lines = [f"{line}\n" for line in text.split("\n")]
    try:
        rows = list(read_csv(lines, delimiter, quote, strict=True))
    except csv.Error as error:
        raise RejectedRecordError(f"not valid CSV: {_say(error, len(lines))}") from None
    if len(rows) != 1:
        raise RejectedRecordError(f"expected one row, found {len(rows)}")
    return [cell.replace(delimiter, "::") for cell in rows[0]] if is_long else rows[0]


def _say(error: csv.Error, n_lines: int) -> str:
    if "expected after" in str(error):
        return "text after a closing quote"
    if "unexpected end" in str(error):
        return f"a quote is never closed: {n_lines:,} {'line' if n_lines == 1 else 'lines'} to the end of the file"
    return "a stray carriage return"
