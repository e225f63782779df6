import re

import pytest

from reviews.forms import Forms, find_forms
from reviews.options import ReadingOptions
from schema.errors import InvalidInput


def forms_of(times: list[str], ratings: list[str] | None = None, **options: object) -> Forms:
    ratings = ratings or ["5"] * len(times)
    rows = [{"rating": rating, "timestamp": time} for rating, time in zip(ratings, times, strict=True)]
    return find_forms(rows, ReadingOptions.model_validate(options), "reviews.csv")


@pytest.mark.parametrize(
    ("time", "form", "shown"),
    [
        ("1500000000", "s", "2017-07-14 02:40:00"),
        ("1500000000.75", "s", "2017-07-14 02:40:00"),
        ("1.5e9", "s", "2017-07-14 02:40:00"),
        (" 1500000000250 ", "ms", "2017-07-14 02:40:00"),
        ("1500000000000000", "us", "2017-07-14 02:40:00"),
        ("1500000000000000000", "ns", "2017-07-14 02:40:00"),
        ("2015-08-31", "iso", "2015-08-31"),
        ("2015-08-31 10:00", "iso", "2015-08-31 10:00"),
        ("2015-08-31T10:00:00.123456Z", "iso", "2015-08-31T10:00:00.123456Z"),
        ("2015-08-31 10:00:00 +02:00", "iso", "2015-08-31 10:00:00 +02:00"),
        ("2015-08-31 10:00:00 UTC", "iso", "2015-08-31 10:00:00 UTC"),
        ("1.400111234e+18", "ns", "2014-05-14 23:47:14"),
    ],
)
def test_unit_of_timestamps_is_found_by_their_size_and_dates_by_their_form(time, form, shown):
    found = forms_of([time] * 3)
    assert (found.time, found.first_rows[0]["timestamp"]) == (form, shown)


@pytest.mark.parametrize(
    "time",
    [
        *("03/14/2015", "14.03.2015", "2015-31-12", "09 13, 2009", "Fri Aug 25 13:55:02 -0700 2017"),
        *("20150314", "2015", "42005.5", "5e20", "soon"),
        *("2014051423", "201405142343", "20140514234320", "1.40011E+12", "1.40E+09"),
    ],
)
def test_timestamps_of_other_forms_are_refused_with_what_to_do(time):
    with pytest.raises(InvalidInput, match=re.escape(f"a form that is not read, as {time!r}")):
        forms_of([time] * 5)


@pytest.mark.parametrize("time", ["140514234320", "635356646000000000", "130445846000000000", "528881469"])
def test_numbers_that_would_be_times_before_1995_are_refused_but_may_be_said_to_be_such(time):
    with pytest.raises(InvalidInput, match=f"timestamps as '{time}', which as .* lie before 1995"):
        forms_of([time] * 5)
    assert forms_of(["528881469"] * 5, timestamp_unit="s").time == "s"


@pytest.mark.parametrize("other", ["1500000000000", "2015-08-31"])
def test_timestamps_of_two_forms_are_refused_but_a_few_stray_ones_are_left_to_the_checks(other):
    with pytest.raises(InvalidInput, match=f"more than one form, as '1500000000' and '{other}'"):
        forms_of(["1500000000"] * 6 + [other] * 4)
    assert forms_of(["1500000000"] * 40 + [other] * 2).time == "s"


def test_small_timestamps_are_seconds_with_a_doubt():
    assert "before 1973" in forms_of(["1", "2", "70000"]).parts[-1].doubt
    assert forms_of([str(n * 1000) for n in range(60)]).time == "s"


def test_days_of_a_spreadsheet_may_be_said_to_be_seconds():
    assert forms_of(["42005"] * 3, timestamp_unit="s").time == "s"


def test_decimal_commas_are_found_in_ratings_and_timestamps():
    found = forms_of(["1500000000,25"] * 4, ["4,5", "3", "1,0", "bad"])
    assert (found.decimal, found.time) == (",", "s")
    assert found.first_rows[0] == {"rating": "4.5", "timestamp": "2017-07-14 02:40:00"}


@pytest.mark.parametrize(
    ("ratings", "options", "message"),
    [
        (["4,5"] * 3 + ["4.5"] * 2, {}, "numbers as '4.5'; expected the decimal comma that most have"),
        (["4.5"] * 3, {"decimal": "comma"}, "that --decimal sets"),
        (["1,250"] * 3, {}, "may stand for a fraction or for thousands"),
    ],
)
def test_numbers_that_leave_the_decimal_open_are_refused(ratings, options, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        forms_of(["1500000000"] * len(ratings), ratings, **options)


def test_thousands_may_be_said_to_be_fractions():
    assert forms_of(["1500000000"] * 3, ["1,250"] * 3, decimal="comma").decimal == ","


def test_options_on_what_a_file_has_not_are_refused():
    options = ReadingOptions.model_validate({"timestamp_unit": "ms"})
    with pytest.raises(InvalidInput, match="no column of timestamps"):
        find_forms([{"user": "a", "item": "b"}], options, "reviews.csv")
    options = ReadingOptions.model_validate({"decimal": "comma"})
    with pytest.raises(InvalidInput, match="no numbers written as text"):
        find_forms([{"user": "a", "item": "b", "rating": "4.5"}], options, frozenset({"rating"}))
