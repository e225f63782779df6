"""Understand a reviews file as a whole, from its first MiB, before a row of it is read."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from reviews.columns import ROLES, choose_by_name, leave_out_rare, parse_columns, parts_of_roles
from reviews.delimited import Table, read_table
from reviews.dialects import name_of
from reviews.encodings import SAMPLE_BYTES, detect, open_text
from reviews.forms import find_forms, require_ids
from reviews.json_kinds import Objects, find_objects
from reviews.options import ReadingOptions, TimeForm
from reviews.parquet_columns import ParquetColumns, find_columns, is_parquet
from reviews.unfit import Unfit, about
from reviews.unpacking import EXPECTED, open_unpacked, packing, require_readable
from reviews.unread import doubt_of_dates
from schema.understood import Part, Understood

_SHAPES = {
    "json": "JSON lines",
    "json-array": "JSON objects",
    "loose-json": "Python literals, one a line",
    "parquet": "Parquet",
}
_TABLES = {",": "CSV", "\t": "TSV"}
_TABLE_OPTIONS = {"delimiter", "quote", "header_line"}
_DEFAULTS = ReadingOptions()


@dataclass(frozen=True)
class Format:
    """How a reviews file is to be read.

    Attributes:
        kind: One JSON object a line; an array or a sequence of JSON objects over any lines; one Python literal a line,
            as Amazon published in 2014; delimited text; Parquet.
        roles: user, item and, where the file has them, rating and timestamp -> field name, header name or
            1-based column number.
        names: The fields of the first objects, or the column labels in order; 1-based numbers where there is no header.
        numeric: JSON: roles whose values are numbers; the others are strings.
        encoding: Of the text, as Python names it.
        delimiter: Delimited: one character, "::", or " " for runs of blanks.
        quote: Delimited: the character that may enclose a cell, behind a backslash where backslashes escape it within;
            empty where quotes are characters like others.
        header_line: Delimited: 1-based line on which the header ends; 0 where there is none.
        skipped_lines: Delimited: lines before the header or, without one, before the first row.
        over_lines: Delimited: whether some of the first records go over several lines, within quotes.
        labels: Delimited: role -> what the header calls its column, in lower case; empty where there is none.
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
    over_lines: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    decimal: Literal[".", ","] = "."
    time_form: TimeForm = "s"
    understood: Understood = field(default_factory=Understood)

    def position(self, role: str) -> int:
        """Return the 0-based column of a role in a delimited file."""
        return self.names.index(self.roles[role])

    def describe(self) -> str:
        """Return one line for people, as 'gzipped CSV with a header: user=UserId, item=ItemId'."""
        found = {part.name: part.value for part in self.understood.parts}
        header = f" {'with' if self.header_line else 'without'} a header" if self.kind == "delimited" else ""
        packing = f"{found['packing']}: " if "packing" in found else ""
        return f"{packing}{found['kind']}{header}: {', '.join(f'{role}={name}' for role, name in self.roles.items())}"


def detect_format(path: Path, options: ReadingOptions = _DEFAULTS, roles: Sequence[str] = ROLES) -> Format:
    """Return the format of a reviews file, with the evidence for each decision.

    Args:
        path: A local file.
        options: What is not to be decided by what the file holds.
        roles: Those that are read.

    Raises:
        InvalidInput: When the file is none that is read, when what it holds does not decide how, or when an option
            contradicts what it holds.
    """
    with about(path):
        wanted = parse_columns(options.input_columns) if options.input_columns is not None else None
        require_readable(path)
        packed = packing(path)
        before = [Part("packing", packed, "its first bytes")] if packed else []
        if is_parquet(path):
            _refuse_options(options, _TABLE_OPTIONS | {"encoding"}, "Parquet")
            found, rows = _of_parquet(find_columns(path, wanted), wanted)
        else:
            lines, is_cut, encoding, of_encoding = read_start(path, options.encoding)
            before.append(of_encoding)
            if objects := find_objects(lines):
                _refuse_options(options, _TABLE_OPTIONS, _SHAPES[objects.kind])
                found, rows = _of_objects(objects, wanted)
            else:
                found, rows = _of_table(read_table(lines, wanted, options, is_cut=is_cut))
            found = replace(found, encoding=encoding)
        is_headless = found.kind == "delimited" and not found.header_line
        require_ids(rows, is_said=wanted is not None or not is_headless)
        found = replace(found, roles={role: name for role, name in found.roles.items() if role in roles})
        forms = find_forms([{role: row[role] for role in found.roles} for row in rows], options, found.numeric)
        parts = tuple(_printable_part(part) for part in (*before, *found.understood.parts, *forms.parts))
        doubts = tuple(part.doubt for part in parts if part.doubt)
        first_rows = tuple({role: _printable(text) for role, text in row.items()} for row in forms.first_rows)
        understood = Understood(parts, doubts, first_rows)
        return replace(found, decimal=forms.decimal, time_form=forms.time, understood=understood)


def _printable_part(part: Part) -> Part:
    value, evidence, doubt = map(_printable, (part.value, part.evidence, part.doubt))
    return replace(part, value=value, evidence=evidence, doubt=doubt)


def _printable(text: str) -> str:
    """Return text that UTF-8 can hold: bytes that could not be decoded are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _refuse_options(options: ReadingOptions, names: Set[str], what: str) -> None:
    """Refuse options that have no meaning for a file."""
    if given := sorted(name for name in names if getattr(options, name) is not None):
        raise Unfit(
            f"is {what}, but {' and '.join('--' + name.replace('_', '-') for name in given)} is set, which "
            "only delimited text has. Leave it out."
        )


def read_start(path: Path, asked: str | None = None) -> tuple[list[str], bool, str, Part]:
    """Return the first lines with their ends, whether the file goes on, its encoding, and the evidence for it.

    Raises:
        InvalidInput: When they are blank or no text, in no encoding that can be told, or the first has no end in a MiB.
    """
    with open_unpacked(path) as stream:
        encoding, part = detect(stream.read(SAMPLE_BYTES), asked)
    with open_text(path, encoding) as stream:
        sample = stream.read(SAMPLE_BYTES)
    lines = list(io.StringIO(sample.decode("utf-8", "surrogateescape"), newline="\n"))
    if not any(line.strip() for line in lines):
        raise Unfit(f"begins with {len(lines)} blank lines; {EXPECTED}.")
    is_cut = len(sample) == SAMPLE_BYTES
    if is_cut and len(lines) == 1 and not lines[0].lstrip().startswith(("[", "{")):
        raise Unfit(
            f"has a first line of more than {SAMPLE_BYTES:,} bytes, beginning {lines[0][:40]!r}; {EXPECTED}. "
            "Is it text with line ends?"
        )
    return (lines[:-1] if is_cut and len(lines) > 1 else lines), is_cut, encoding, part


def _of_parquet(columns: ParquetColumns, wanted: Mapping[str, str] | None) -> tuple[Format, list[dict[str, str]]]:
    parts = (Part("kind", _SHAPES["parquet"], columns.evidence), *_named(columns.roles, wanted))
    return Format("parquet", columns.roles, columns.names, understood=Understood(parts)), columns.rows


def _named(roles: Mapping[str, str], wanted: Mapping[str, str] | None, of_time: str = "") -> tuple[Part, ...]:
    why = "a known name" if wanted is None else "--columns"
    return parts_of_roles(roles, why, of_time=of_time, is_set=wanted is not None)


def _of_objects(objects: Objects, wanted: Mapping[str, str] | None) -> tuple[Format, list[dict[str, str]]]:
    names = tuple(dict.fromkeys(name for record in objects.records for name in record))
    counts = Counter(name for record in objects.records for name in record)
    roles = choose_by_name(names if wanted else leave_out_rare(counts, len(objects.records)), wanted)
    for role, name in roles.items():
        _require_plain([record.get(name) for record in objects.records], role)
    numeric = frozenset(role for role, name in roles.items() if _is_numeric([r.get(name) for r in objects.records]))
    unread = {} if wanted else {name: [record.get(name) for record in objects.records] for name in names}
    of_roles = _named(roles, wanted, doubt_of_dates(roles, unread))
    parts = (Part("kind", _SHAPES[objects.kind], objects.evidence), *of_roles)
    rows = [{role: _text(record.get(name)) for role, name in roles.items()} for record in objects.records]
    return Format(objects.kind, roles, names, numeric=numeric, understood=Understood(parts)), rows


def _require_plain(values: Sequence[object], role: str) -> None:
    """Refuse values of which most are objects or arrays."""
    nested = [value for value in values if isinstance(value, dict | list)]
    if len(nested) * 2 > sum(value is not None for value in values):
        raise Unfit(
            f"has for the {role} values as {str(nested[0])[:60]}; expected one text or number. "
            "Write the value alone, or choose another name with --columns."
        )


def _is_numeric(values: Sequence[object]) -> bool:
    filled = [value for value in values if value is not None]
    return sum(isinstance(value, int | float) and not isinstance(value, bool) for value in filled) * 2 > len(filled)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _of_table(table: Table) -> tuple[Format, list[dict[str, str]]]:
    reading, header = table.reading, table.header
    written = _TABLES.get(reading.delimiter, f"text delimited by {name_of(reading.delimiter)}")
    kind = Part("kind", written, f"rows of {reading.width} cells")
    found = Format(
        "delimited",
        table.roles,
        names=header.names,
        delimiter=reading.delimiter,
        quote=reading.quote,
        header_line=header.line,
        skipped_lines=header.n_skipped,
        over_lines=reading.n_over_lines > 0,
        understood=Understood((kind, *table.parts)),
    )
    places = {role: found.position(role) for role in table.roles}
    labels = {
        role: header.cells[place].strip().casefold() for role, place in places.items() if place < len(header.cells)
    }
    return replace(found, labels=labels), [
        {role: cells[place] for role, place in places.items()} for cells in table.rows
    ]
