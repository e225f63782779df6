"""Parse records of delimited text into cells: whole blocks by Arrow, single records by Python's csv."""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from reviews.cells import blanks_for_tabs, read_cells
from reviews.formats import Format
from reviews.records import Mask, Records, RejectedRecordError
from schema.errors import InvalidInput

_ARROW_BLOCK_BYTES = 2**21
_ID, _NUMBER = re.compile(r"\S(.*\S)?$"), re.compile(r"[\s\"]*[-+]?\d")  # of rows within a cell


def find_plain(records: Records, file_format: Format) -> Mask:
    """Return which records Arrow reads as Python's csv does.

    Of each of them it makes a row or, with a stray carriage return, more: as many rows as records means one of each.
    """
    if not file_format.quote:
        return records.is_plain
    is_plain = records.is_plain.copy()
    if file_format.delimiter in (" ", "::"):
        is_plain &= ~records.with_byte(file_format.quote[-1].encode())
    over = np.flatnonzero(np.diff(records.lines, append=records.lines[-1:] + 2) > 1)
    is_plain[[i for i in over.tolist() if _may_be_swallowed(records.text(i), file_format)]] = False
    return is_plain


def _may_be_swallowed(text: bytes, file_format: Format) -> bool:
    """Return whether a record has line ends, and delimiters enough for a row in every other line."""
    n_lines = text.count(b"\n")
    n_delimiters = text.count(file_format.delimiter.encode())
    return n_lines > 1 and 2 * n_delimiters >= (len(file_format.names) - 1) * (n_lines + 1)


def find_misfits(records: Records, file_format: Format) -> Mask:
    """Return which records, all of them plain, have too few or too many delimiters outside of quotes."""
    if file_format.delimiter == " ":
        return np.zeros(len(records), np.bool_)
    quote, texts = file_format.quote, records.array()
    if len(quote) == 1:
        texts = pc.replace_substring_regex(texts, f"{quote}[^{quote}]*{quote}", b"")
    n_delimiters = np.asarray(pc.count_substring(texts, file_format.delimiter.encode()))
    is_misfit: Mask = n_delimiters != len(file_format.names) - 1
    return is_misfit & ~records.with_byte(quote[-1].encode()) if len(quote) > 1 else is_misfit


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
            quote_char=file_format.quote[-1:] or False,
            escape_char=file_format.quote[:-1] or False,
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
    cells = split_record(text, file_format.delimiter, file_format.quote)
    if len(cells) != len(file_format.names):
        raise RejectedRecordError(f"expected {len(file_format.names)} columns, found {len(cells)}")
    if "\n" in text and _is_swallowed(text, file_format):
        n_lines = text.count("\n") + 1
        raise RejectedRecordError(f"a quote too many, it seems: the {n_lines:,} lines that it encloses are rows")
    return {role: cells[file_format.position(role)] for role in file_format.roles}


def _is_swallowed(text: str, file_format: Format) -> bool:
    """Return whether lines that a quote seems to enclose are rows themselves, most of them.

    The line on which it opens is one too; one other line of a text may look like a row.
    """
    first, *lines = text.split("\n")
    n_rows = sum(_is_row(line, file_format) for line in lines)
    return 2 * n_rows > len(lines) and n_rows > 1 and _is_row(first, file_format)


def _is_row(line: str, file_format: Format) -> bool:
    try:
        row = read_row(line, replace(file_format, quote=""))
    except RejectedRecordError:
        return False
    patterns = ((_ID if role in ("user", "item") else _NUMBER, value or "") for role, value in row.items())
    return all(pattern.match(value) for pattern, value in patterns)


def split_record(text: str, delimiter: str, quote: str) -> list[str]:
    """Return the cells of a record, without its line end.

    Raises:
        RejectedRecordError: It breaks the rules of quoting.
    """
    lines = [f"{line}\n" for line in text.split("\n")]
    rows = list(read_cells(blanks_for_tabs(lines, delimiter), delimiter, quote, strict=True))
    if error := next((row.error for row in rows if row.error), ""):
        _require_no_escapes(text, quote)
        raise RejectedRecordError(f"not valid CSV: {_say(error, len(lines))}")
    if len(rows) != 1:
        raise RejectedRecordError(f"expected one row, found {len(rows)}")
    return rows[0].cells


def _require_no_escapes(text: str, quote: str) -> None:
    """Refuse the file where a backslash before a quote leaves a cell open, whose text would go on as rows."""
    if quote == '"' and '\\"' in text and text.replace('\\"', "").count(quote) % 2:
        raise InvalidInput(
            f"A record beginning {text[:40]!r} has a quote behind a backslash, which closes no cell in files where "
            "backslashes escape quotes. If this is one, set --quote '\\\"'; else mend the record."
        )


def _say(error: str, n_lines: int) -> str:
    if "expected after" in error:
        return "text after a closing quote"
    if "unexpected end" in error:
        return f"a quote is never closed: {n_lines:,} {'line' if n_lines == 1 else 'lines'} to the end of the file"
    return "a stray carriage return"
