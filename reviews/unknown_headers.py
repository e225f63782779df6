"""Tell a header of names that nobody knows from a row of values."""

import re
from collections import Counter
from collections.abc import Sequence

from reviews.columns import is_number
from reviews.dialects import Reading
from reviews.time_forms import is_iso

_DIGIT = re.compile(r"\d")
_DIGITS = re.compile(r"\d+")
_AMAZON = re.compile(r"A[A-Z0-9]{9,}|B[A-Z0-9]{9}|\d{9}[\dX]")
_TELLING_ROWS = 5
MAY_BE_ROW = "it may count the columns, or be a row"
_NAME = re.compile(r"(?i:user|item|product|customer|rating|\bid\b|_id$)|Id$|ID$")


def why_header(first: Sequence[str], reading: Reading) -> str | None:
    """Return why the first row names columns instead of holding values; None where it does not."""
    rows = reading.rows[1:1_000]
    columns = [[cell.strip() for cell in column] for column in zip(*(row.cells for row in rows), strict=True)]
    if tuple(first) in _counted(len(first)):
        return MAY_BE_ROW if len(first) < 4 and columns and first[0] == columns[0][0] else "it counts the columns"
    if not rows:
        return None
    pairs = list(zip(first, columns, strict=True))
    others = [(cell, column) for cell, column in pairs if not (_is_value(cell) and _n_values(column) * 2 > len(rows))]
    if len(others) < len(pairs):
        is_name = len(others) > 1 and len(rows) >= _TELLING_ROWS and all(_is_unlike(*pair) for pair in others)
        return "it looks unlike all other rows" if is_name else None
    if any(_fits(cell, column) for cell, column in pairs):
        return None
    if any(_n_values(column) * 2 > len(rows) for column in columns):
        return "it has no number where the rows have"
    if any(_share(column, _DIGIT) > 0.9 for column in columns) and not any(map(_DIGIT.search, first)):
        return "it has no digit where the rows have"
    if any(_NAME.search(cell) and _share(column, _NAME) < 0.1 for cell, column in pairs):
        return "it says what the columns hold"
    if len(rows) >= _TELLING_ROWS and _look_alike(columns):
        return "it looks unlike all other rows"
    return None


def _is_value(cell: str) -> bool:
    return is_number(cell) or is_iso(cell)


def _n_values(column: Sequence[str]) -> int:
    return sum(map(_is_value, column))


def _is_unlike(cell: str, column: Sequence[str]) -> bool:
    """Return whether a cell looks unlike all others of a column that look alike or are numbers."""
    is_even = _look_alike([column]) or _n_values(column) > 0.9 * len(column)
    return bool(cell) and is_even and not _is_value(cell) and not _fits(cell, column)


def _fits(cell: str, column: Sequence[str]) -> bool:
    """Return whether more than one in a hundred of a column's cells look like one of the first row."""
    return bool(cell) and sum(_look(other) == _look(cell) for other in column) > len(column) // 100


def _look_alike(columns: Sequence[Sequence[str]]) -> bool:
    """Return whether the cells of some column look alike, as u12 and u7."""
    votes = [Counter(map(_look, column)) for column in columns]
    return any(max(one.values()) > 0.9 * one.total() for one in votes)


def _look(cell: str) -> str:
    """Return a cell with its digits alike; Amazon's ids all alike."""
    return "A…" if _AMAZON.fullmatch(cell) else _DIGITS.sub("0", cell)


def _share(column: Sequence[str], pattern: re.Pattern[str]) -> float:
    return sum(pattern.search(cell) is not None for cell in column) / len(column)


def _counted(width: int) -> set[tuple[str, ...]]:
    """Return the rows that count columns: from 0 (behind one without a name, if any), or from 1."""
    from_0, from_1 = tuple(map(str, range(width))), tuple(map(str, range(1, width + 1)))
    return {from_0, ("", *from_0[:-1]), from_1} if width > 2 else set()
