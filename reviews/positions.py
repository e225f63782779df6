"""Choose the columns of a file without a header by what they hold."""

import re
from collections.abc import Sequence
from typing import Literal

from reviews.columns import HOW_TO_NAME, is_number, show
from reviews.dialects import name_of
from reviews.time_forms import EARLIEST_REVIEW, is_iso
from reviews.unfit import Unfit

Side = Literal["user", "item"]
_SHAPES: dict[Side, re.Pattern[str]] = {
    "user": re.compile(r"A[A-Z0-9]{9,}|(?i:u_?\d\w*|(usr|user|customer|reviewer|visitor|member)([ _:.-]\w+|\d\w*))"),
    "item": re.compile(
        r"B[A-Z0-9]{9}|(?i:i_?\d\w*|(item|product|prod|movie|book|asin|game|song|artist)([ _:.-]\w+|\d\w*))"
    ),
}
_CLEAR_SHARE, _STRAY_SHARE = 0.8, 0.05
_USER_FIRST_BY_CUSTOM = ("::", "\t", " ")
_USER_FIRST: tuple[Side, Side] = ("user", "item")
_ITEM_FIRST: tuple[Side, Side] = ("item", "user")


def choose_by_position(rows: Sequence[Sequence[str]], delimiter: str) -> tuple[dict[str, str], str, str]:
    """Return role -> 1-based column number, the evidence, and what is only probable about it.

    Two to four columns are understood: two ids, then a rating, a timestamp or both. Ids that say what they are decide
    which comes first: Amazon's (users A…, items B…), and those as u12 and i7; one side is enough. Otherwise "::", tabs
    and blanks with a rating behind are MovieLens' way, user first.

    Raises:
        InvalidInput: When the columns are of another kind, or nothing decides which of the ids is the user.
    """
    width = len(rows[0])
    tail = _roles_of_numbers([[row[i] for row in rows] for i in range(2, width)])
    if not 2 <= width <= 4 or tail is None:
        raise Unfit(
            f"has no header and {width} columns, the first row being {show(rows[0])}; expected "
            f"a header with known names, or user, item, rating and timestamp. {HOW_TO_NAME}, by 1-based numbers."
        )
    if order := _order_of_ids(rows):
        side = order.index("user")
        roles = _number((*order, *tail))
        return roles, f"ids as {rows[0][side]} and {rows[0][1 - side]}, no header", _doubt_of_ratings(roles, rows)
    if delimiter in _USER_FIRST_BY_CUSTOM and "rating" in tail:
        roles = _number((*_USER_FIRST, *tail))
        doubt = (
            "Nothing says which column holds the users: the first is taken, as in MovieLens. If not: "
            f"{_flag(_number((*_ITEM_FIRST, *tail)))}."
        )
        return roles, f"no header; first by custom of files with {name_of(delimiter)}", doubt
    raise Unfit(_both_readings(rows, tail))


def _doubt_of_ratings(roles: dict[str, str], rows: Sequence[Sequence[str]]) -> str:
    """Return a doubt where no name says that numbers are ratings, and they are not those of half or whole stars."""
    if "rating" not in roles:
        return ""
    numbers = _numbers([row[int(roles["rating"]) - 1] for row in rows])
    if all(0.5 <= number <= 5 and number * 2 % 1 == 0 for number in numbers):
        return ""
    without = {role: number for role, number in roles.items() if role != "rating"}
    return (
        f"Nothing says that column {roles['rating']}, of numbers from {min(numbers):g} to {max(numbers):g}, holds "
        f"ratings: it is taken for them. If not: {_flag(without)}."
    )


def _number(roles: Sequence[str]) -> dict[str, str]:
    return {role: str(i) for i, role in enumerate(roles, start=1)}


def _flag(roles: dict[str, str]) -> str:
    return "--columns " + ",".join(f"{role}={roles[role]}" for role in sorted(roles, key=lambda role: role != "user"))


def _both_readings(rows: Sequence[Sequence[str]], tail: Sequence[str]) -> str:
    readings = [_number((*order, *tail)) for order in (_USER_FIRST, _ITEM_FIRST)]
    telling = ([row for row in rows if row[0].strip() != row[1].strip()] or list(rows))[:3]
    left, right = ([_row(roles, row) for row in telling] for roles in readings)
    size = max(map(len, left))
    lines = "\n".join(f"  {one:<{size}}   or   {other}" for one, other in zip(left, right, strict=True))
    return (
        f"has no header, and nothing in it says which column holds the users and which the items. "
        f"Some of its first rows, read both ways:\n{lines}\n"
        f"Choose with {_flag(readings[0])} or {_flag(readings[1])}."
    )


def _row(roles: dict[str, str], row: Sequence[str]) -> str:
    cells = {role: row[int(number) - 1].strip()[:40] for role, number in roles.items()}
    return ", ".join(f"{role} {cells[role]}" for role in sorted(cells, key=lambda role: role != "user"))


def _roles_of_numbers(columns: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """Return the roles of the columns behind the ids, or None where they are not what is expected."""
    kinds = tuple(_kind(column) for column in columns)
    return kinds if None not in kinds and len(set(kinds)) == len(kinds) else None  # type: ignore[return-value]


def _kind(column: Sequence[str]) -> str | None:
    filled = [cell.strip() for cell in column if cell.strip()]
    numbers = _numbers(filled)
    n_isbn = sum(cell[0] == "0" and cell.isdecimal() and len(cell) > 8 for cell in filled)
    n_late = sum(number > EARLIEST_REVIEW for number in numbers) - n_isbn + sum(map(is_iso, filled))
    if n_late * 2 > len(filled):
        return "timestamp"
    return "rating" if len(numbers) * 2 > len(filled) else None


def _numbers(cells: Sequence[str]) -> list[float]:
    pointed = (cell.replace(",", ".") for cell in cells)
    return [float(text) for text in pointed if is_number(text)]


def _order_of_ids(rows: Sequence[Sequence[str]]) -> tuple[Side, Side] | None:
    """Return which ids come first where their shapes leave no doubt: those of one column are enough."""
    clear, stray = _sides(rows, _CLEAR_SHARE), _sides(rows, _STRAY_SHARE)
    fits: list[tuple[Side, Side]] = [
        (first, second)
        for first, second in (_USER_FIRST, _ITEM_FIRST)
        if (first in clear[0] and first not in stray[1]) or (second in clear[1] and second not in stray[0])
    ]
    return fits[0] if len(fits) == 1 else None


def _sides(rows: Sequence[Sequence[str]], share: float) -> tuple[set[Side], set[Side]]:
    """Return of the first two columns whose ids at least a share of theirs look like."""

    def sides_of(column: int) -> set[Side]:
        n_by = {
            side: sum(shape.fullmatch(row[column].strip()) is not None for row in rows)
            for side, shape in _SHAPES.items()
        }
        return {side for side, n in n_by.items() if n >= share * len(rows)}

    return sides_of(0), sides_of(1)
