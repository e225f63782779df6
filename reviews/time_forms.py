"""Find the form of timestamps: seconds or parts of them since 1970, or dates and date-times of ISO 8601."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from reviews.columns import is_number
from reviews.options import UNITS_PER_SECOND, TimeForm
from reviews.unfit import Unfit

ISO_8601 = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?))?)?"
_ISO_8601 = re.compile(ISO_8601, re.IGNORECASE)
_DATE_OF_DIGITS = re.compile(
    r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])([0-5]\d([0-5]\d)?)?)?(\.0*)?"
)
_ROUNDED = re.compile(r"\d([.,]\d{1,5})?[eE]\+\d\d")  # six digits are what a spreadsheet shows of a long number
EARLIEST_REVIEW = 1e8  # Unix seconds: 1973, before any review, after any count of days, above any rating
_FIRST_REVIEW = 788_918_400  # 1995-01-01
_LATEST = 1e10  # 2286
_FIRST_DAY, _LAST_DAY = 30_000, 60_000  # 1982 to 2064, in days since 1899-12-30
_NAMES: dict[TimeForm, str] = {
    "s": "seconds since 1970",
    "ms": "milliseconds since 1970",
    "us": "microseconds since 1970",
    "ns": "nanoseconds since 1970",
    "iso": "ISO 8601",
}
_HOW_TO = (
    "Expected Unix time in s, ms, us or ns, or dates as 2015-08-31 or 2015-08-31T10:00:00Z. Write them so, leave the "
    "column out with --columns, or set --timestamp-unit if they are such a number."
)


_CALENDAR = {
    "date": "a date without hyphens?",
    "year": "a year?",
    "day": "a day as spreadsheets count them?",
    "rounded": "rounded by a spreadsheet?",
}


def name_of(form: TimeForm) -> str:
    """Return a form in words."""
    return _NAMES[form]


def is_iso(text: str) -> bool:
    """Return whether a text is a date or date-time as ISO 8601 writes them, with a blank or T between.

    Example:
        >>> is_iso("2015-08-31"), is_iso("2015-08-31 10:00:00.5+02:00"), is_iso("2015-31-08"), is_iso("08/31/2015")
        (True, True, False, False)
    """
    if not _ISO_8601.fullmatch(text):
        return False
    try:
        datetime.strptime(text[:10], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def find_form(values: Sequence[str]) -> tuple[TimeForm, str, str]:
    """Return the form of timestamps, the evidence, and what is only probable about it.

    Args:
        values: Some of the file's timestamps, blank ones left out, numbers with a point; some may be broken.

    Raises:
        InvalidInput: When most have no known form, or some have another than most.
    """
    if not values:
        return "s", "no timestamp among the first rows", ""
    votes = Counter(map(_classify, values))
    for form in _CALENDAR:
        if votes[form] < 0.9 * len(values):
            votes["small"] += votes.pop(form, 0)
    (form, n_votes), *others = votes.most_common()
    rivals = [other for other, n in others if other not in ("unknown", "small") and n >= 3 and n > 0.1 * len(values)]
    if rivals:
        shown = " and ".join(f"{_example(values, one)!r}" for one in (form, *rivals))
        raise Unfit(f"has timestamps of more than one form, as {shown}. {_HOW_TO}")
    if form == "unknown" or form in _CALENDAR or n_votes * 2 <= len(values):
        what = f" ({_CALENDAR[form]})" if form in _CALENDAR else ""
        raise Unfit(f"has timestamps of a form that is not read, as {_example(values, form)!r}{what}. {_HOW_TO}")
    evidence = f"{n_votes:,} of {len(values):,} values, as {_example(values, form)}"
    if form == "small":
        first = _example(values, form)
        return "s", evidence, f"Timestamps are small, as {first}: taken as seconds they lie before 1973."
    unit = cast("TimeForm", form)
    if unit != "iso":
        _require_late([value for value in values if _classify(value) == form], unit)
    return unit, evidence, ""


def _require_late(values: Sequence[str], form: TimeForm) -> None:
    """Refuse numbers that are times before any review on the web, if they are times at all."""
    early = [value for value in values if abs(float(value)) < _FIRST_REVIEW * UNITS_PER_SECOND[form]]
    if len(early) * 2 > len(values):
        raise Unfit(
            f"has timestamps as {early[0][:40]!r}, which as {name_of(form)} lie before 1995, as no review "
            f"on the web does: {show_time(early[0], form)}. {_HOW_TO}"
        )


def _example(values: Sequence[str], form: str) -> str:
    same = (form, *_CALENDAR) if form == "small" else (form,)
    return next(value for value in values if _classify(value) in same)[:40]


def _classify(value: str) -> str:
    text = value.strip()
    if is_iso(text):
        return "iso"
    if not is_number(text):
        return "unknown"
    if _DATE_OF_DIGITS.fullmatch(text):
        return "date"
    if _ROUNDED.fullmatch(text):
        return "rounded"
    number = abs(float(text))
    for unit, per_second in UNITS_PER_SECOND.items():
        if EARLIEST_REVIEW * per_second <= number < _LATEST * per_second:
            return unit
    if re.fullmatch(r"(19|20)\d\d", text):
        return "year"
    if _FIRST_DAY < number < _LAST_DAY:
        return "day"
    return "small" if number < EARLIEST_REVIEW else "unknown"


def require_form(form: TimeForm, values: Sequence[str]) -> None:
    """Raise InvalidInput where most values cannot be of the form that is asked for."""
    wrong = [value for value in values if not _can_be(value, form)]
    if len(wrong) * 2 > len(values):
        raise Unfit(
            f"has timestamps as {wrong[0][:40]!r}; expected {name_of(form)}, as --timestamp-unit {form} says. "
            f"Leave the flag out, or set it to what the file has."
        )


def _can_be(value: str, form: TimeForm) -> bool:
    text = value.strip()
    if form == "iso" or not is_number(text):
        return form == "iso" and is_iso(text)
    number = abs(float(text)) / UNITS_PER_SECOND[form]
    return number < _LATEST and (form == "s" or _classify(text) != "s")


def show_time(value: str, form: TimeForm) -> str:
    """Return a timestamp as people read it, in UTC; as it is where it is none of that form.

    Example:
        >>> show_time("1500000000250", "ms"), show_time("2015-08-31", "iso")
        ('2017-07-14 02:40:00', '2015-08-31')
    """
    if form == "iso" or not is_number(value):
        return value.strip()
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(value) // UNITS_PER_SECOND[form])
    except (OverflowError, ValueError):
        return value.strip()
    return f"{moment:%Y-%m-%d %H:%M:%S}"
