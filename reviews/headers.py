"""Find what stands before the rows of a delimited file: comments, titles, blank lines, and the header."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reviews.cells import Record
from reviews.columns import HOW_TO_NAME, choose_by_name, count_on, has_user_and_item, show
from reviews.dialects import Reading
from reviews.unfit import Unfit
from reviews.unknown_headers import MAY_BE_ROW, why_header

FIRST_RECORDS = 20
_SEPARATOR = re.compile(r"\"?sep=(::|.)\"?", re.IGNORECASE)
_COMMENT = re.compile(r"\s*(#|%|//)+")
_ANY_DELIMITER = re.compile(r"::|[,;|\s]")


@dataclass(frozen=True)
class Preamble:
    """The lines before the table that no dialect is needed to tell.

    Attributes:
        n_lines: How many.
        delimiter: The one that Excel's `sep=` says, if any.
        comments: Those of the lines that are comments, with their numbers from 1.
    """

    n_lines: int
    delimiter: str | None
    comments: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Header:
    """The header of a delimited file.

    Attributes:
        line: 1-based line on which it ends; 0 where there is none.
        n_skipped: Lines before it or, without one, before the first row.
        names: The column labels; 1-based numbers where there is no header.
        evidence: Why, in words.
        cells: What stands in it; empty where there is none.
        doubt: What is only probable about it; empty where nothing is.
    """

    line: int
    n_skipped: int
    names: tuple[str, ...]
    evidence: str
    cells: tuple[str, ...] = ()
    doubt: str = ""


def read_preamble(lines: Sequence[str]) -> Preamble:
    """Return the blank lines, comments and `sep=` at the beginning; none where all lines look so."""
    delimiter, comments = None, []
    for number, line in enumerate(lines):
        text = line.strip("\r\n")
        if separator := _SEPARATOR.fullmatch(text.rstrip(" ,;\t|") or text):
            delimiter = separator[1]
        elif _SEPARATOR.fullmatch(text):
            delimiter = text.strip('"')[4:]
        elif _COMMENT.match(text):
            comments.append((number + 1, _COMMENT.sub("", text, count=1).strip()))
        elif text.strip():
            return Preamble(number, delimiter, tuple(comments))
    return Preamble(0, None, ())


def find_header(reading: Reading, preamble: Preamble, wanted: Mapping[str, str] | None, line: int | None) -> Header:
    """Return the header: the first record that names a user and an item, or what `--columns` names.

    Args:
        reading: The records after the preamble.
        preamble: What was skipped; a comment of it may be the header.
        wanted: What `--columns` asks for.
        line: Where `--header-line` says it is; 0 for none.

    Raises:
        InvalidInput: When the first row is a header of unknown names, a header has not as many names as the rows, or
            there is none, or another, where `--header-line` says it is.
    """
    commented = _commented(preamble, reading)
    first = (*commented, *reading.records[:FIRST_RECORDS])
    known = next((one for one in first if is_known_header(one.cells, wanted)), None)
    if line is None:
        header = _find_header(reading, preamble, known, wanted)
    else:
        header = _set_header(reading, preamble, known, (*commented, *reading.records), wanted, line)
    return header if wanted is None or is_by_name(wanted) else replace(header, names=number_columns(reading))


def _commented(preamble: Preamble, reading: Reading) -> list[Record]:
    """Return the comments as records, without their sign, where they have as many cells as the rows."""
    read = (Record(number, number, reading.cells_of(text)) for number, text in preamble.comments)
    return [one for one in read if len(one.cells) == reading.width]


def _find_header(
    reading: Reading, preamble: Preamble, known: Record | None, wanted: Mapping[str, str] | None
) -> Header:
    if any(text.startswith("MatrixMarket") for _, text in preamble.comments):
        size = reading.records[0]
        raise Unfit(
            f"is of Matrix Market, whose line {size.last} holds the matrix's size, {show(size.cells)}. Say "
            f"--header-line {size.last}, and which column is which, as --columns user=1,item=2,rating=3."
        )
    if known:
        return _at(known, reading, wanted)
    _require_one_delimiter(reading)
    first = reading.rows[0]
    if is_by_name(wanted):
        choose_by_name([cell.strip() for cell in first.cells], wanted)  # which lacks one
    reason = why_header([cell.strip() for cell in first.cells], reading)
    if reason is None:
        return Header(0, preamble.n_lines, number_columns(reading), "no name of a column among the first rows")
    if reason == MAY_BE_ROW:
        raise Unfit(
            f"has {show(first.cells)} on line {first.last}: {reason}. Say --header-line {first.last} if it "
            "counts them, or --header-line 0 if it is a row."
        )
    if wanted is None:
        raise Unfit(
            f"has a header of unknown names on line {first.last}: {show(first.cells)} ({reason}). "
            f"{HOW_TO_NAME} after these names; or say --header-line 0 if it is a row."
        )
    doubt = f"Line {first.last}, {show(first.cells)}, is taken for a header, as {reason}. If not: --header-line 0."
    return Header(first.last, first.first - 1, number_columns(reading), reason, tuple(first.cells), doubt)


def _require_one_delimiter(reading: Reading) -> None:
    """Refuse a file whose header is delimited by another character than its rows."""
    for record in reading.records[:FIRST_RECORDS]:
        names = _ANY_DELIMITER.split(reading.delimiter.join(record.cells))
        if len(record.cells) != reading.width and has_user_and_item(names):
            raise Unfit(
                f"has a header on line {record.last}, {show(record.cells)}, that is delimited otherwise than "
                f"the rows, as {show(reading.rows[0].cells)}. Delimit both alike."
            )


def _set_header(
    reading: Reading,
    preamble: Preamble,
    known: Record | None,
    records: Sequence[Record],
    wanted: Mapping[str, str] | None,
    line: int,
) -> Header:
    if known is not None and not known.first <= line <= known.last:
        raise Unfit(
            f"has a header on line {known.last}, {show(known.cells)}, but --header-line says {line}. "
            f"Leave the flag out, or set it to {known.last}."
        )
    if line == 0:
        return Header(0, preamble.n_lines, number_columns(reading), "--header-line")
    record = next((one for one in records if one.first <= line <= one.last), None)
    if record is None:
        raise Unfit(f"has no text on line {line}, where --header-line says the header is. Count from 1.")
    return replace(_at(record, reading, wanted), evidence="--header-line")


def is_known_header(cells: Sequence[str], wanted: Mapping[str, str] | None) -> bool:
    """Return whether cells are a header: they name a user and an item, or what is asked for by name."""
    names = list(map(_bare, cells))
    if wanted is not None and is_by_name(wanted):
        return set(wanted.values()) <= set(names)
    return has_user_and_item(names)


def number_columns(reading: Reading) -> tuple[str, ...]:
    """Return the labels of columns without names: 1-based numbers."""
    return tuple(str(i) for i in range(1, reading.width + 1))


def is_by_name(wanted: Mapping[str, str] | None) -> bool:
    """Return whether `--columns` names columns by what a header calls them, not by number."""
    return wanted is not None and not all(name.isdecimal() for name in wanted.values())


def _at(record: Record, reading: Reading, wanted: Mapping[str, str] | None) -> Header:
    """Return a record as the header; its names may be fewer only where columns are known by number."""
    names = tuple(map(_bare, record.cells))
    if len(names) == reading.width - 1 and not any(row.cells[-1].strip() for row in reading.rows):
        if count_on([row.cells[0] for row in reading.rows if row.first > record.last]):
            raise Unfit(
                f"has a header of {len(names)} names, {show(names)}, over rows whose first cell counts them, "
                f"as {show(reading.rows[1].cells)}. Name the row numbers too, or take them out."
            )
        names = (*names, "")  # each row ends with a delimiter
    if len(names) != reading.width and (wanted is None or is_by_name(wanted)):
        raise Unfit(
            f"has a header of {len(names)} names on line {record.last}, {show(names)}, but most rows have "
            f"{reading.width} cells, as {show(reading.rows[0].cells)}; expected as many. Mend the header, or name the "
            f"columns by 1-based numbers with --columns."
        )
    return Header(record.last, record.first - 1, names, f"line {record.last} names {show(names)}", names)


def _bare(cell: str) -> str:
    """Return a name without blanks and quotes around it.

    Example:
        >>> _bare(' "user id" ')
        'user id'
    """
    text = cell.strip()
    return text[1:-1].strip() if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text
