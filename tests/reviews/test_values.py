from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.formats import Format
from reviews.values import convert, read_dates, read_numbers, trim_ids

CSV = Format("delimited", {"user": "1", "item": "2", "rating": "3", "timestamp": "4"}, ("1", "2", "3", "4"))
DATES = Format("delimited", CSV.roles, CSV.names, time_form="iso", decimal=",")


def of_text(*cells: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(cells, pa.string())])


def typed(rows: list[list[str]], file_format: Format):
    columns = zip(*rows, strict=True)
    cells = pa.table({role: of_text(*column) for role, column in zip(CSV.roles, columns, strict=True)})
    return convert(cells, np.arange(10, 10 + len(rows)), file_format)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4", 4.0), (" 4.50\t", 4.5), ("+.5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-Inf", -np.inf), ("1e999", np.inf),
        ("", None), (" ", None), ("4,5", None), ("1_0", None), ("0x1F", None), ("five", None), ("4 5", None),
        ("\uff14", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("neighbour", ["1", "good"])
def test_numbers_are_read_or_null_whatever_stands_beside_them(text, number, neighbour):
    assert read_numbers(of_text(text, neighbour)).to_pylist()[0] == number


def test_decimal_commas_are_read_and_points_are_not_where_commas_are_the_rule():
    assert read_numbers(of_text("4,5", "5", "1.000", "1,2,3", ""), ",").to_pylist() == [4.5, 5.0, None, None, None]


@pytest.mark.parametrize(
    "text",
    [
        "2017-07-01", "2017-07-01 10:00", "2017-07-01T10:00:09", "2017-07-01T10:00:09.25", "2017-07-01 10:00:09.123456",
        "2017-07-01T10:00:09Z", "2017-07-01T10:00:09+02:00", "2017-07-01T10:00:09.5-0730", "2017-07-01T10:00:09+02",
        "1969-12-31T23:59:59Z", "9999-12-31 23:59:59",
    ],
)  # fmt: skip
@pytest.mark.parametrize("neighbours", [(), ("never",), ("2015-02-30", "2015-01-01T00:00Z")])
def test_dates_are_read_as_python_reads_them_in_utc(text, neighbours):
    moment = datetime.fromisoformat(text)
    expected = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    assert read_dates(of_text(text, *neighbours)).to_pylist()[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "3/14/2015",
        "2015-3-4",
        "2015-02-30",
        "2015-01-01T25:00",
        "20150314",
        "1426325213",
        "2015",
        "2015-01-01 +01:00",
        "",
    ],
)
@pytest.mark.parametrize("neighbour", ["2015-01-01", "2015-01-01T00:00Z"])
def test_what_is_no_date_is_null(text, neighbour):
    assert read_dates(of_text(text, neighbour)).null_count == 1


def test_more_digits_than_microseconds_and_a_blank_before_the_zone_are_allowed():
    texts = ("1970-01-01 00:00:01.123456789 +00:00", "1970-01-01 00:00:01 UTC", "1970-01-01t00:00:01,5z")
    assert read_dates(of_text(*texts)).to_pylist() == [1.123456, 1.0, 1.5]


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60) | st.none())
def test_any_moment_is_read_as_written(moment, minutes):
    zone = UTC if minutes is None else timezone(timedelta(minutes=minutes))
    text = (moment if minutes is None else moment.replace(tzinfo=zone)).isoformat()
    (found,) = read_dates(of_text(text)).to_pylist()
    assert abs(found - moment.replace(tzinfo=zone).timestamp()) < 1e-6


@pytest.mark.parametrize(("unit", "time"), [("s", "5.25"), ("ms", "5250"), ("us", "5250000"), ("ns", "5250000000")])
def test_times_become_seconds_with_their_fractions(unit, time):
    shape = Format("delimited", CSV.roles, CSV.names, time_form=unit)
    assert typed([["A", "B", "4", time]], shape).reviews["timestamp"].to_pylist() == [5.25]


def test_rows_with_wrong_cells_are_told_apart_by_the_first_wrong_one():
    found = typed(
        [["A", "B", "4", "5"], ["A", "B", "bad", "bad"], ["A", " B", "", " "], ["A", "B", "4", "2015-01-01"]], CSV
    )
    assert found.reviews["line"].to_pylist() == [10, 12]
    assert found.reviews.slice(1).to_pylist() == [
        {"user_id": "A", "item_id": "B", "rating": None, "timestamp": None, "line": 12}
    ]
    assert found.failed.to_pydict() == {
        "line": [11, 13],
        "reason": ["rating is not a number", "timestamp is not a number"],
    }
    assert found.n_trimmed == 1


def test_dates_with_decimal_commas_in_ratings():
    found = typed([["A", "B", "4,5", "1970-01-02"], ["A", "B", "1", "86400"]], DATES)
    assert found.reviews.to_pylist() == [
        {"user_id": "A", "item_id": "B", "rating": 4.5, "timestamp": 86400.0, "line": 10}
    ]
    assert found.failed["reason"].to_pylist() == ["timestamp is not a date of ISO 8601"]


@pytest.mark.parametrize("text", [" A", "A\t", "\u00a0A", "A\r\n"])
def test_white_space_at_either_end_is_cut_off_ids(text):
    ids, n_trimmed = trim_ids(of_text("A B", text, None))
    assert (ids.to_pylist(), n_trimmed) == (["A B", "A", None], 1)
