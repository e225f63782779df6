"""Understand the first lines of a delimited file: preamble, delimiter, quotes, header, and which column is which."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from reviews.columns import choose_by_name, parts_of_roles
from reviews.dialects import (
    DELIMITERS,
    Reading,
    choose_dialect,
    name_of,
    require_one_quoting,
)
from reviews.headers import (
    Header,
    find_header,
    is_known_header,
    read_preamble,
)
from reviews.options import ReadingOptions
from reviews.positions import choose_by_position
from reviews.unfit import Unfit
from reviews.unread import doubt_of_dates
from schema.errors import InvalidInput
from schema.understood import Part

_LEAST_FIT, _GOOD_FIT = 0.5, 0.9


@dataclass(frozen=True)
class Table:
    """A delimited file as its first lines are understood.

    Attributes:
        reading: The dialect and the records.
        header: Where the names are, and which.
        roles: Role -> one of the names.
        rows: The cells of the records of the usual width behind the header.
        parts: The decisions on them.
    """

    reading: Reading
    header: Header
    roles: dict[str, str]
    rows: list[list[str]]
    parts: tuple[Part, ...]


def read_table(
    lines: Sequence[str], wanted: Mapping[str, str] | None, options: ReadingOptions, *, is_cut: bool
) -> Table:
    """Return what the first lines of a delimited file hold.

    Args:
        lines: With their ends.
        wanted: What `--columns` asks for.
        options: What else is set.
        is_cut: Whether the file goes on behind the lines.

    Raises:
        InvalidInput: When they are no table, when nothing decides how to read them, or when what is set contradicts
            them.
    """
    preamble = read_preamble(lines)
    delimiter = _asked_delimiter(options.delimiter, "--delimiter")
    said = delimiter or _asked_delimiter(preamble.delimiter, "On line 1, sep=")
    quote = _asked_quote(options.quote, [delimiter] if delimiter else [*DELIMITERS.values(), said])

    is_header = partial(is_known_header, wanted=wanted)
    choose = partial(choose_dialect, lines, preamble.n_lines, is_header, is_cut=is_cut, quote=quote)
    reading, why = choose(delimiter=said)
    if delimiter is None and reading.fit <= _LEAST_FIT:
        reading, why = choose()
    _require_fit(reading)
    if quote is None and len(reading.quote) == 1:
        require_one_quoting(reading, lines, preamble.n_lines)
    header = find_header(reading, preamble, wanted, options.header_line)
    rows = [one.cells for one in reading.rows if one.first > header.line]
    if not rows:
        raise Unfit(f"has a header on line {header.line}, but no row behind it. Expected reviews.")
    why = why or ("--delimiter" if delimiter else f"line 1 says sep={reading.delimiter}")
    roles, of_roles = _roles(header, rows, reading, wanted)
    parts = (
        Part("delimiter", name_of(reading.delimiter), why, "--delimiter", delimiter is not None, _misfits(reading)),
        _part_of_quote(reading, is_set=quote is not None),
        *_parts_before_rows(header, lines, reading, is_set=options.header_line is not None),
        *of_roles,
    )
    return Table(reading, header, roles, rows, parts)


def _asked_delimiter(asked: str | None, what: str) -> str | None:
    """Return the delimiter that an option or the file names."""
    if asked is None:
        return None
    delimiter = DELIMITERS.get(asked.lower(), asked.replace("\\t", "\t"))
    if delimiter not in DELIMITERS.values() and not _is_mark(delimiter):
        raise InvalidInput(
            f"{what} {asked!r} is none that is read; expected one of "
            f"{', '.join(DELIMITERS)}, or one ASCII character that is no letter, digit, quote or white space."
        )
    return delimiter


def _is_mark(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text.isprintable() and not text.isalnum() and text not in ' "\\'


def _asked_quote(quote: str | None, delimiters: Collection[str | None]) -> str | None:
    if quote is None or quote.lower() == "none":
        return quote and ""
    mark = quote.removeprefix("\\")
    if not (_is_mark(mark) or mark == '"') or mark in delimiters:
        raise InvalidInput(
            f"--quote {quote!r} is none that is read; expected none, or one ASCII character that is no letter, digit, "
            "white space or delimiter, behind a backslash if backslashes escape it within cells."
        )
    return quote


def _require_fit(reading: Reading) -> None:
    if reading.fit <= _LEAST_FIT:
        first = reading.records[0].cells if reading.records else []
        raise Unfit(
            f"is no table by the delimiter {name_of(reading.delimiter)}: of "
            f"{reading.n_lines:,} lines {reading.n_lines - reading.n_bad_lines if reading.width else 0:,} have as many "
            f"cells, two or more; the first holds {first[:3]}. Set --delimiter to what the file has, or leave it out."
        )


def _roles(
    header: Header, rows: Sequence[Sequence[str]], reading: Reading, wanted: Mapping[str, str] | None
) -> tuple[dict[str, str], tuple[Part, ...]]:
    doubt = ""
    if header.line or wanted is not None:
        roles = choose_by_name(header.names, wanted)
        why = "--columns" if wanted else f"the header on line {header.line}"
    else:
        roles, why, doubt = choose_by_position(rows[:1_000], reading.delimiter)
    for role in ("user", "item"):
        _require_bare([row[header.names.index(roles[role])] for row in rows], role)
    unread = {} if wanted else {name: [row[place] for row in rows] for place, name in enumerate(header.names)}
    return roles, parts_of_roles(roles, why, doubt, doubt_of_dates(roles, unread), is_set=wanted is not None)


def _require_bare(ids: Sequence[str], role: str) -> None:
    """Refuse ids of which most stand in quotes still."""
    wrapped = [one for one in map(str.strip, ids) if len(one) > 1 and one[0] == one[-1] and one[0] in "\"'"]
    if len(wrapped) * 2 > len(ids):
        raise Unfit(
            f"has {role} ids within quotes that enclose no cell, as {wrapped[0]!r}; expected none. "
            "Say what encloses cells with --quote, or mend the file."
        )


def _part_of_quote(reading: Reading, *, is_set: bool) -> Part:
    value = f"cells may stand in {reading.quote[-1]}" if reading.quote else "quotes are characters"
    why = "--quote" if is_set else _why_quote(reading)
    return Part("quote", value, why, "--quote", is_set=is_set)


def _why_quote(reading: Reading) -> str:
    n_over = reading.n_over_lines
    if not reading.quote:
        return "they do not balance, or more lines fit if they are"
    rule = "backslashes escape it within" if len(reading.quote) > 1 else "RFC 4180"
    return f"{rule}; {n_over:,} of the first records go over several lines" if n_over else rule


def _parts_before_rows(header: Header, lines: Sequence[str], reading: Reading, *, is_set: bool) -> tuple[Part, ...]:
    value = f"line {header.line}" if header.line else "none"
    parts = (Part("header", value, header.evidence, "--header-line", is_set, header.doubt),)
    skipped = [line for line in lines[: header.n_skipped] if line.strip()]
    if not skipped:
        return parts
    shown = f"skipped, beginning {skipped[0].strip()[:40]!r}"
    like_rows = [one for one in skipped if len(reading.cells_of(one)) == reading.width]
    doubt = (
        f"A line before the rows was skipped, but has as many cells: {like_rows[0].strip()[:80]!r}."
        if like_rows
        else ""
    )
    return Part("preamble", f"{header.n_skipped} lines", shown, "--header-line", doubt=doubt), *parts


def _misfits(reading: Reading) -> str:
    if reading.fit > _GOOD_FIT:
        return ""
    return f"Only {reading.fit:.0%} of the first {reading.n_lines:,} lines have {reading.width} cells as most have."
