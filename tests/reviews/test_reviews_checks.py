import pyarrow as pa
import pytest
from pandera.errors import SchemaErrors
from pydantic import ValidationError

from reviews.checks import CHECKS, Check, Limits, run_check
from reviews.options import UNITS_PER_SECOND, IngestOptions

LIMITS = Limits(1, 5, latest_timestamp=1_750_000_000)  # June 2025


def reason_of(column: str, value: object, limits: Limits = LIMITS) -> str | None:
    """Return why a value fails the check of its column; None where it passes."""
    kind = pa.string() if column.endswith("_id") else pa.float64()
    table = pa.table({column: pa.array([value], kind), "line": pa.array([9], pa.int64())})
    check = next(check for check in CHECKS if check.name == column)
    (failures,) = run_check(check, [table], limits)
    assert set(failures["line"].to_pylist()) <= {9}
    assert failures.num_rows <= 1
    return failures["reason"][0].as_py() if failures.num_rows else None


@pytest.mark.parametrize(
    "value", ["A1", "0528881469", 'say "hi", you', "🎧", "é", "x" * 256, "a b", "9780130000000", "1e10", "1.5"]
)
@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_odd_but_sane_ids_pass(column, value):
    assert reason_of(column, value) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "user id is missing"),
        ("", "user id is blank"),
        (" \u3000\u00a0", "user id is blank"),
        *((value, "user id holds a control character") for value in ("a\nb", "a\u2028b", "\x00")),
        *((v, "user id is a number that a spreadsheet has rounded") for v in ("9.78013E+12", "9,78E+12", "1e+06")),
        *(
            (value, "user id is a word for a missing one, as NULL")
            for value in ("NULL", "NaN", "none", "\\N", "undefined", "#NAME?", "-", "?")
        ),
        *(("x" * length, "user id is longer than 256 characters") for length in (257, 10_000)),
    ],
)
def test_ids_that_are_no_ids_fail(value, reason):
    assert reason_of("user_id", value) == reason
    assert reason_of("item_id", value) == reason.replace("user", "item")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *((value, None) for value in (1.0, 3.5, 5.0)),
        (None, "rating is missing or NaN"),
        (float("nan"), "rating is missing or NaN"),
        *((value, "rating outside 1 to 5 (--min-rating, --max-rating)") for value in (float("inf"), 0.0, -1.0, 5.5)),
    ],
)
def test_ratings_must_be_within_bounds(value, reason):
    assert reason_of("rating", value) == reason


def test_rating_bounds_are_those_of_the_limits():
    assert reason_of("rating", 9.5, Limits(0.5, 10)) is None
    assert reason_of("rating", 0.0, Limits(0.5, 10)) == "rating outside 0.5 to 10 (--min-rating, --max-rating)"
    counts = Limits(0)
    assert reason_of("rating", 1e6, counts) is None
    for wrong in (-1.0, float("inf")):
        assert reason_of("rating", wrong, counts) == "rating outside 0 or more (--min-rating, --max-rating)"


def test_lowest_rating_above_the_highest_is_refused():
    with pytest.raises(ValidationError, match="min_rating 5 is above max_rating 1"):
        IngestOptions(min_rating=5, max_rating=1)


LOOKS_LIKE = {
    unit: f"timestamp looks like {name} (use --timestamp-unit {unit})"
    for unit, name in {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}.items()
}


@pytest.mark.parametrize(
    ("unit", "value", "reason"),
    [
        ("s", 1_393_545_600, None),
        ("s", 1, None),
        ("s", 1_750_000_000, None),
        ("s", None, "timestamp is missing or NaN"),
        ("s", 1_393_545_600.5, None),
        ("s", 0, "timestamp is not after 1970"),
        ("s", -5, "timestamp is not after 1970"),
        ("s", 1_750_000_001, "timestamp is in the future"),
        ("s", 1_393_545_600_000, LOOKS_LIKE["ms"]),
        ("s", 1_393_545_600_000_000, LOOKS_LIKE["us"]),
        ("s", 1.3935456e18, LOOKS_LIKE["ns"]),
        ("s", 1e25, "timestamp is in the future"),
        ("ms", 1_393_545_600_123, None),
        ("ms", 1_393_545_600, LOOKS_LIKE["s"]),
        ("ms", 1_393_545_600_000_000, LOOKS_LIKE["us"]),
        ("us", 1_393_545_600_000_001, None),
        ("us", 1_393_545_600_000, LOOKS_LIKE["ms"]),
        ("iso", 1_393_545_600, None),
        ("iso", 1_393_545_600_000, "timestamp is in the future"),
    ],
)
def test_timestamps_must_be_past_and_in_the_unit_given(unit, value, reason):
    seconds = None if value is None else value / UNITS_PER_SECOND.get(unit, 1)
    assert reason_of("timestamp", seconds, Limits(latest_timestamp=1_750_000_000, time_form=unit)) == reason


def test_each_failing_line_is_told_once_per_reason_in_line_order():
    table = pa.table({"user_id": ["\n" * 300, "fine", None], "line": pa.array([3, 5, 8], pa.int64())})
    (failures,) = run_check(CHECKS[0], [table], LIMITS)
    assert failures.to_pylist() == [
        {"line": 3, "reason": "user id is blank"},
        {"line": 3, "reason": "user id holds a control character"},
        {"line": 3, "reason": "user id is longer than 256 characters"},
        {"line": 8, "reason": "user id is missing"},
    ]


def test_value_that_fails_is_told_in_each_line_of_each_partition_that_has_it():
    tables = [
        pa.table({"user_id": ["\n", "fine", "\n"], "line": pa.array([1, 2, 3], pa.int64())}),
        pa.table({"user_id": ["fine", "other"], "line": pa.array([4, 5], pa.int64())}),
        pa.table({"user_id": ["NULL", None, "\n", None], "line": pa.array([6, 7, 8, 9], pa.int64())}),
    ]
    blank = ["user id is blank", "user id holds a control character"]
    first, second, third = run_check(CHECKS[0], tables, LIMITS)
    assert first.to_pydict() == {"line": [1, 1, 3, 3], "reason": blank * 2}
    assert second.num_rows == 0
    assert third.to_pydict() == {
        "line": [6, 7, 8, 8, 9],
        "reason": ["user id is a word for a missing one, as NULL", "user id is missing", *blank, "user id is missing"],
    }


def test_check_of_a_column_that_the_file_lacks_finds_nothing():
    table = pa.table({"user_id": ["a"], "line": pa.array([1], pa.int64())})
    assert [run_check(check, [table], LIMITS)[0].num_rows for check in CHECKS] == [0, 0, 0, 0]


def test_rule_that_breaks_is_an_error_not_a_bad_row():
    broken = Check("user_id", lambda _options: {"reason": lambda ids: ids.no_such_method()})
    with pytest.raises(SchemaErrors, match="no_such_method"):
        run_check(broken, [pa.table({"user_id": ["a"], "line": [1]})], LIMITS)
