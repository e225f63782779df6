"""Read delimited text into the cells of its records, as Python's csv does."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

_STAND_IN = "\ud800"  # for '::', as csv takes one character; no text that was decoded holds it
_MAX_CELL_CHARACTERS = 2**24


class Record(NamedTuple):
    """One record.

    Attributes:
        first: Its first line, from 1.
        last: Its last line.
        cells: Its cells; none where it is blank or breaks the rules of quoting.
        error: By what it breaks them, in the words of csv.
    """

    first: int
    last: int
    cells: list[str]
    error: str = ""


def read_cells(lines: Iterable[str], delimiter: str, quote: str, *, strict: bool = False) -> Iterator[Record]:
    r"""Yield the records of lines, blank ones included.

    A quote opens behind blanks at a cell's start too, since what it encloses may hold line ends.

    Args:
        lines: With their ends; those that an open quote goes on in are one record.
        delimiter: One character, "::", or " " for runs of blanks.
        quote: One character, behind a backslash where that escapes it within cells; or empty for none.
        strict: Whether text behind a closing quote, and a quote that is never closed, break the record.

    Example:
        >>> [one.cells for one in read_cells(['a::"b::\n', 'c"::d\n', 'e  f\n'], "::", '"')]
        [['a', 'b::\nc', 'd'], ['e  f']]
    """
    is_long, is_blank = delimiter == "::", delimiter == " "
    if is_long:
        lines = (line.replace("::", _STAND_IN) for line in lines)
    elif is_blank:
        lines = (line.strip(" \t\r\n") + "\n" for line in lines)
    csv.field_size_limit(_MAX_CELL_CHARACTERS)
    reader = csv.reader(
        lines,
        delimiter=_STAND_IN if is_long else delimiter,
        quotechar=quote[-1:] or None,
        escapechar=quote[:-1] or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        skipinitialspace=is_blank or quote != "",
        strict=strict,
    )
    while True:
        first = reader.line_num + 1
        try:
            cells, error = next(reader), ""
        except StopIteration:
            return
        except csv.Error as broken:
            cells, error = [], str(broken)
        if is_long:
            cells = [one.replace(_STAND_IN, "::") for one in cells]
        yield Record(first, reader.line_num, cells, error)


def blanks_for_tabs(lines: Sequence[str], delimiter: str) -> Sequence[str]:
    """Return lines with blanks for tabs where runs of either separate cells."""
    return [line.replace("\t", " ") for line in lines] if delimiter == " " else lines
