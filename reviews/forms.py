"""Find the forms of a file's numbers and timestamps, and show its first rows as they are understood."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reviews.options import ReadingOptions, TimeForm
from reviews.time_forms import find_form, name_of, require_form, show_time
from schema.errors import InvalidInput
from schema.understood import Part

Decimal = Literal[".", ","]
_WITH = {",": re.compile(r"\s*[+-]?\d+,\d+\s*"), ".": re.compile(r"\s*[+-]?\d*\.\d+\s*")}
_THOUSANDS = re.compile(r"\s*[+-]?\d{1,3},\d{3}\s*")
_WORDS: Mapping[str, Decimal] = {"point": ".", "comma": ","}
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


def find_forms(rows: Sequence[Mapping[str, str]], options: ReadingOptions, source: str) -> Forms:
    """Return the forms in some rows.

    Args:
        rows: Role -> text, blank where nothing stands.
        options: What is set.
        source: The file, for messages.

    Raises:
        InvalidInput: When forms are mixed or unknown, or contradict what is set.
    """
    numbers = [row[role] for row in rows for role in ("rating", "timestamp") if role in row]
    decimal, of_decimal = _find_decimal(numbers, options, source)
    times = [row["timestamp"].strip() for row in rows if row.get("timestamp", "").strip()]
    if rows and "timestamp" in rows[0]:
        form, of_time = _find_time([_pointed(text, decimal) for text in times], options, source)
    else:
        form, of_time = "s", ()
    shown = tuple(_show(row, decimal, form) for row in rows[:_SHOWN_ROWS])
    return Forms(decimal, form, of_decimal + of_time, shown)


def _find_decimal(numbers: Sequence[str], options: ReadingOptions, source: str) -> tuple[Decimal, tuple[Part, ...]]:
    n_by = {mark: sum(pattern.fullmatch(text) is not None for text in numbers) for mark, pattern in _WITH.items()}
    asked = _WORDS[options.decimal] if options.decimal else None
    found: Decimal = "," if n_by[","] > n_by["."] else "."
    other = "." if (asked or found) == "," else ","
    if (asked and n_by[other] > n_by[asked]) or (not asked and n_by[other] * 10 > n_by[found]):
        example = next(text for text in numbers if _WITH[other].fullmatch(text)).strip()
        raise InvalidInput(
            f"{source} has numbers as {example!r}; expected the decimal {options.decimal or _name(found)} that "
            f"{'--decimal sets' if asked else 'most have'}. Write them alike, or set --decimal to what the file has."
        )
    if (
        not asked
        and found == ","
        and n_by[","]
        and all(map(_THOUSANDS.fullmatch, filter(_WITH[","].fullmatch, numbers)))
    ):
        raise InvalidInput(
            f"{source} has numbers as {next(filter(_WITH[','].fullmatch, numbers)).strip()!r}, each with three digits "
            "after its comma, which may stand for a fraction or for thousands. Set --decimal comma for fractions; "
            "take the commas out for thousands."
        )
    if asked:
        return asked, (Part("decimal", _name(asked), "--decimal", "--decimal", is_set=True),)
    if not n_by[found]:
        return ".", ()
    return found, (Part("decimal", _name(found), f"{n_by[found]:,} numbers have it", "--decimal"),)


def _name(mark: Decimal) -> str:
    return next(word for word, one in _WORDS.items() if one == mark)


def _find_time(times: Sequence[str], options: ReadingOptions, source: str) -> tuple[TimeForm, tuple[Part, ...]]:
    flag = "--timestamp-unit"
    form = options.timestamp_unit
    if form is not None:
        require_form(form, times, source)
        return form, (Part("time form", name_of(form), flag, flag, is_set=True),)
    form, evidence, doubt = find_form(times, source)
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
