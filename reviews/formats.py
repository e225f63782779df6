"""Find the format of a reviews file by its content: JSON lines, CSV or TSV, gzipped or not."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from reviews.columns import choose_by_name, choose_by_position, is_number, match_names, parse_columns
from reviews.lines import BOM, is_gzipped, open_bytes
from reviews.options import TimeForm
from schema.errors import InvalidInput
from schema.understood import Understood

_SAMPLE_BYTES = 2**20
_SAMPLE_LINES = 1_000
_KNOWN_BINARY: Mapping[bytes, str] = {
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstandard file",
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_EXPECTED = "expected JSON lines, CSV or TSV in UTF-8, gzipped or not"


@dataclass(frozen=True)
class Format:
    """How a reviews file is to be read.

    Attributes:
        kind: One JSON object a line; an array or a sequence of JSON objects over any lines; one Python literal a line,
            as Amazon published in 2014; delimited text; Parquet.
        roles: user, item and, where the file has them, rating and timestamp -> field name, header name or
            1-based column number.
        names: Delimited and Parquet: the column labels in order, 1-based numbers where there is no header.
        numeric: JSON: roles whose values are numbers; the others are strings.
        encoding: Of the text, as Python names it.
        delimiter: Delimited: one character, "::", or " " for runs of blanks.
        quote: Delimited: the character that may enclose a cell; empty where quotes are characters like others.
        header_line: Delimited: 1-based line on which the header ends; 0 where there is none.
        skipped_lines: Delimited: lines before the header or, without one, before the first row.
        decimal: Character between the whole and the fraction of a number.
        time_form: Unit of timestamps since 1970; or "iso" for dates and date-times as ISO 8601 writes them.
        understood: The decisions, with their evidence.
    """

    kind: Literal["json", "json-array", "loose-json", "delimited", "parquet"]
    roles: Mapping[str, str]
    names: tuple[str, ...] = ()
    numeric: frozenset[str] = field(default_factory=frozenset)
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    header_line: int = 0
    skipped_lines: int = 0
    decimal: Literal[".", ","] = "."
    time_form: TimeForm = "s"
    understood: Understood = field(default_factory=Understood)

    def position(self, role: str) -> int:
        """Return the 0-based column of a role in a delimited file."""
        return self.names.index(self.roles[role])

    def describe(self) -> str:
        """Return one line for people, as 'gzipped CSV with a header: user=UserId, item=ItemId'."""
        shape = "JSON lines"
        if self.kind == "delimited":
            shape = f"{'CSV' if self.delimiter == ',' else 'TSV'} {'with' if self.header_line else 'without'} a header"
        columns = ", ".join(f"{role}={name}" for role, name in self.roles.items())
        return f"{'gzipped ' if self.is_gzipped else ''}{shape}: {columns}"


def detect_format(path: Path, columns: str | None = None) -> Format:
    """Return the format of a reviews file from its first lines.

    Args:
        path: A local file.
        columns: The setting `--columns`; when given, only the columns it names are read.

    Raises:
        InvalidInput: When there is no such file, or it is empty, binary, damaged, or without a user or item.
    """
    wanted = parse_columns(columns) if columns is not None else None
    _require_content(path)
    lines = _sample_lines(path)
    first = next(line for line in lines if line.strip())
    n_objects = sum(line.lstrip().startswith("{") for line in lines)
    if n_objects * 2 > sum(bool(line.strip()) for line in lines):
        return _json_format(lines, wanted, path)
    if first.lstrip().startswith(("[", "{")):
        raise InvalidInput(
            f"{path} looks like JSON that is not one object per line, beginning {first.strip()[:40]!r}; "
            f"expected a line per review. Write it out as JSON lines, for instance with `jq -c '.[]'`."
        )
    return _delimited_format(lines, wanted, path)


def _require_content(path: Path) -> None:
    if not path.exists():
        raise InvalidInput(f"{path} does not exist. Give --input the path of a reviews file; {_EXPECTED}.")
    if not path.is_file():
        raise InvalidInput(f"{path} is not a file but a folder or device. Give --input one file; {_EXPECTED}.")
    if path.stat().st_size == 0:
        raise InvalidInput(f"{path} is empty (0 bytes); {_EXPECTED}.")


def _sample_lines(path: Path) -> list[str]:
    """Return the first lines, without their ends; at least one of them is not blank."""
    with open_bytes(path) as stream:
        sample = stream.read(_SAMPLE_BYTES)
    if not sample:
        raise InvalidInput(f"{path} is a gzip file of nothing; {_EXPECTED}.")
    known = next((name for magic, name in _KNOWN_BINARY.items() if sample.startswith(magic)), None)
    lines = sample.removeprefix(BOM).split(b"\n")
    whole = lines[:-1] if len(sample) == _SAMPLE_BYTES and len(lines) > 1 else lines
    whole = whole[:_SAMPLE_LINES]
    n_binary = sum(not _is_text(line) for line in whole)
    if known or n_binary * 2 > len(whole):
        found = known or f"binary data, beginning {sample[:8]!r}"
        raise InvalidInput(f"{path} holds {found}; {_EXPECTED}. Convert it first.")
    if not any(line.strip() for line in whole):
        raise InvalidInput(f"{path} begins with {len(whole)} blank lines; {_EXPECTED}.")
    return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]


def _is_text(line: bytes) -> bool:
    try:
        return "\0" not in line.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _json_format(lines: Sequence[str], wanted: Mapping[str, str] | None, path: Path) -> Format:
    records = [record for line in lines if isinstance(record := _json_or_none(line), dict)]
    if not records:
        raise InvalidInput(
            f"{path} looks like JSON lines, but none of its first {len(lines)} lines is a JSON object; "
            f"the first is {lines[0][:80]!r}. Expected one object with double-quoted names per line."
        )
    names = list(dict.fromkeys(name for record in records for name in record))
    roles = choose_by_name(names, wanted, str(path))
    kinds = {
        role: Counter(isinstance(r[name], int | float) for r in records if r.get(name) is not None)
        for role, name in roles.items()
    }
    numeric = frozenset(role for role, votes in kinds.items() if votes[True] > votes[False])
    return Format("json", is_gzipped(path), roles, numeric=numeric)


def _json_or_none(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _delimited_format(lines: Sequence[str], wanted: Mapping[str, str] | None, path: Path) -> Format:
    source, found = str(path), _delimiter_and_width(lines)
    if found is None:
        first = next(line for line in lines if line.strip())
        raise InvalidInput(
            f"{source} is neither JSON lines nor rows of two or more columns: its first line is "
            f"{first[:80]!r}; {_EXPECTED}. A file of other separators has to be converted first."
        )
    delimiter, width = found
    header_line = next(number for number, line in enumerate(lines, start=1) if line.strip())
    header = tuple(name.strip() for name in _cells(lines[header_line - 1], delimiter))
    rows = [cells for line in lines if len(cells := _cells(line, delimiter)) == width]
    numbers = tuple(str(i) for i in range(1, width + 1))
    if not _has_header(header, rows, wanted):
        roles = choose_by_name(numbers, wanted, source) if wanted else choose_by_position(rows, delimiter, source)
        return Format("delimited", is_gzipped(path), roles, numbers, delimiter=delimiter)
    names = numbers if wanted and not set(wanted.values()) <= set(header) and _are_numbers(wanted) else header
    roles = choose_by_name(names, wanted, source)
    return Format("delimited", is_gzipped(path), roles, names, delimiter=delimiter, header_line=header_line)


def _delimiter_and_width(lines: Sequence[str]) -> tuple[str, int] | None:
    """Return the delimiter by which most lines have the same number, 2 or more, of columns."""
    votes = Counter(
        (delimiter, width)
        for line in lines
        if line.strip()
        for delimiter in ("\t", ",")
        if (width := len(_cells(line, delimiter))) > 1
    )
    if not votes:
        return None
    (delimiter, width), n_lines = votes.most_common(1)[0]
    return (delimiter, width) if n_lines * 2 > sum(bool(line.strip()) for line in lines) else None


def _has_header(header: Sequence[str], rows: Sequence[Sequence[str]], wanted: Mapping[str, str] | None) -> bool:
    """Return whether the first row names columns instead of holding values."""
    if wanted and not _are_numbers(wanted):
        return True
    if {"user", "item"} <= match_names(header).keys():
        return True
    if len(header) != len(rows[0]) or any(map(is_number, header)):
        return False
    body = rows[1:]
    return any(sum(map(is_number, column)) * 2 > len(body) for column in zip(*body, strict=True))


def _are_numbers(wanted: Mapping[str, str]) -> bool:
    return all(column.isdecimal() for column in wanted.values())


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
