"""Find the forms of a file's numbers and timestamps, and show its first rows as they are understood."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from reviews.columns import count_on
from reviews.options import ReadingOptions, TimeForm
from reviews.time_forms import find_form, is_iso, name_of, require_form, show_time
from reviews.unfit import Unfit
from schema.understood import Part

Decimal = Literal[".", ","]
_WITH = {",": re.compile(r"\s*[+-]?\d+,\d+\s*"), ".": re.compile(r"\s*[+-]?\d*\.\d+\s*")}
_THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}[.,]\d{3}\s*")
_WHOLE = re.compile(r"\s*[+-]?\d{1,3}\s*")
_GUARDED = re.compile(r"=\s*\".*\"|'[^']+")
_WORDS: Mapping[str, Decimal] = {"point": ".", "comma": ","}
_NAMES = {mark: word for word, mark in _WORDS.items()}
_SHOWN_ROWS = 3


@dataclass(frozen=True)
class Forms:
    """How numbers and timestamps are written.

    Attributes:
        decimal: Character between the whole and the fraction of a number.
        time: Form of the timestamps.
        parts: The decisions.
        first_rows: Some rows as they are understood, role -> text.
    """

    decimal: Decimal
    time: TimeForm
    parts: tuple[Part, ...]
    first_rows: tuple[Mapping[str, str], ...]


def find_forms(rows: Sequence[Mapping[str, str]], options: ReadingOptions, numeric: Set[str] = frozenset()) -> Forms:
    """Return the forms in some rows.

    Args:
        rows: Role -> text, blank where nothing stands; one at least.
        options: What is set.
        numeric: Roles whose values the file has as numbers, not as text.

    Raises:
        InvalidInput: When forms are mixed or unknown, or contradict what is set.
    """
    written = [role for role in ("rating", "timestamp") if role not in numeric and role in rows[0]]
    _require_use(rows, written, options)
    numbers = [row[role] for row in rows for role in written]
    decimal, of_decimal = _find_decimal(numbers, options)
    times = [row["timestamp"].strip() for row in rows if row.get("timestamp", "").strip()]
    if "timestamp" in rows[0]:
        form, of_time = _find_time([_pointed(text, decimal) for text in times], options)
    else:
        form, of_time = "s", ()
    shown = tuple(_show(row, decimal, form) for row in rows[:_SHOWN_ROWS])
    return Forms(decimal, form, of_decimal + of_time, shown)


def _require_use(rows: Sequence[Mapping[str, str]], written: Sequence[str], options: ReadingOptions) -> None:
    """Refuse options on values that the file has not."""
    if options.timestamp_unit is not None and "timestamp" not in rows[0]:
        raise Unfit("has no column of timestamps that --timestamp-unit could be for. Leave it out.")
    if options.decimal is not None and not written:
        raise Unfit("has no numbers written as text that --decimal could be for. Leave it out.")


def require_ids(rows: Sequence[Mapping[str, str]], *, is_said: bool) -> None:
    """Refuse columns of users or items that hold something else.

    Args:
        rows: Role -> text.
        is_said: Whether names or `--columns` say which column is which, so that ids may look like row numbers.

    Raises:
        InvalidInput: When most ids are times or guarded as a spreadsheet guards text, or are numbers of the rows.
    """
    for role in ("user", "item"):
        ids = [row[role].strip() for row in rows]
        what = ""
        if sum(map(is_iso, ids)) * 2 > len(ids):
            what = "that are times"
        elif sum(_GUARDED.fullmatch(one) is not None for one in ids) * 2 > len(ids):
            what = "that a spreadsheet guards as text by signs before them"
        elif not is_said and count_on(ids):
            what = "that count the rows"
        if what:
            shown = ", ".join(map(repr, ids[:3]))
            raise Unfit(
                f"has in the column of the {role} values {what}, as {shown}; expected ids. Mend the file, or "
                "choose the columns with --columns."
            )


def _find_decimal(numbers: Sequence[str], options: ReadingOptions) -> tuple[Decimal, tuple[Part, ...]]:
    n_by = {mark: sum(pattern.fullmatch(text) is not None for text in numbers) for mark, pattern in _WITH.items()}
    asked = _WORDS[options.decimal] if options.decimal else None
    found: Decimal = "," if n_by[","] > n_by["."] else "."
    other = "." if (asked or found) == "," else ","
    if (asked and n_by[other] > n_by[asked]) or (not asked and n_by[other] * 10 > n_by[found]):
        example = next(text for text in numbers if _WITH[other].fullmatch(text)).strip()
        raise Unfit(
            f"has numbers as {example!r}; expected the decimal {options.decimal or _NAMES[found]} that "
            f"{'--decimal sets' if asked else 'most have'}. Write them alike, or set --decimal to what the file has."
        )
    marked = [text for text in numbers if _WITH[found].fullmatch(text)]
    may_be_thousands = found == "," or any(map(_WHOLE.fullmatch, numbers))
    if not asked and marked and may_be_thousands and all(map(_THOUSANDS.fullmatch, marked)):
        raise Unfit(
            f"has numbers as {marked[0].strip()!r}, each with three digits after its {_NAMES[found]}, which "
            f"may stand for a fraction or for thousands. Set --decimal {_NAMES[found]} for fractions; take the "
            f"{_NAMES[found]}s out for thousands."
        )
    if asked:
        return asked, (Part("decimal", _NAMES[asked], "--decimal", "--decimal", is_set=True),)
    if not n_by[found]:
        return ".", ()
    return found, (Part("decimal", _NAMES[found], f"{n_by[found]:,} numbers have it", "--decimal"),)


def _find_time(times: Sequence[str], options: ReadingOptions) -> tuple[TimeForm, tuple[Part, ...]]:
    flag = "--timestamp-unit"
    form = options.timestamp_unit
    if form is not None:
        require_form(form, times)
        return form, (Part("time form", name_of(form), flag, flag, is_set=True),)
    form, evidence, doubt = find_form(times)
    return form, (Part("time form", name_of(form), evidence, flag, doubt=doubt),)


def _pointed(text: str, decimal: Decimal) -> str:
    return text.replace(",", ".") if decimal == "," else text


def _show(row: Mapping[str, str], decimal: Decimal, form: TimeForm) -> dict[str, str]:
    shown = {role: text.strip() for role, text in row.items()}
    if "rating" in shown:
        shown["rating"] = _pointed(shown["rating"], decimal)
    if "timestamp" in shown:
        shown["timestamp"] = show_time(_pointed(shown["timestamp"], decimal), form)
    return shown
