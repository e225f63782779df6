import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import drift
from evaluation.drift import (
    ReviewProfile,
    beyond,
    bin_activity,
    bin_ratings,
    compare_reviews,
    population_stability_index,
    profile_reviews,
)
from evaluation.options import DriftLimits
from reports.drift_table import COLUMNS, say_beyond, tabulate_drift
from schema.drift import DriftFigure

DAY = 86_400
Row = tuple[str, str, float | None, int | None]
BEFORE: list[Row] = [("a", "x", 5, 10 * DAY), ("a", "y", 4, 11 * DAY), ("b", "x", 5, 12 * DAY), ("c", "y", 1, 9 * DAY)]


def batch(rows: Sequence[Row]) -> pa.RecordBatch:
    users, items, ratings, timestamps = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.record_batch(
        {
            "user_id": pa.array(users, pa.string()),
            "item_id": pa.array(items, pa.string()),
            "rating": pa.array(ratings, pa.float32()),
            "timestamp": pa.array(timestamps, pa.int64()),
        }
    )


def profile(rows: Sequence[Row], n_quarantined: int = 0) -> ReviewProfile:
    return profile_reviews([batch(rows)], n_quarantined)


def figures(before: ReviewProfile, now: ReviewProfile, **limits: float) -> dict[str, DriftFigure]:
    return {figure.name: figure for figure in compare_reviews(before, now, DriftLimits(**limits))}


def counted(table: pa.Table) -> dict[str, int]:
    return dict(zip(table["id"].to_pylist(), table["rows"].to_pylist(), strict=True))


def test_profile_counts_what_is_there():
    found = profile(BEFORE, n_quarantined=1)
    assert counted(found.users) == {"a": 2, "b": 1, "c": 1}
    assert counted(found.items) == {"x": 2, "y": 2}
    assert found.ratings == {5.0: 2, 4.0: 1, 1.0: 1}
    assert (found.newest, found.n_rows, found.quarantined_share, found.mean_rating) == (12 * DAY, 4, 0.2, 3.75)


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), max_size=8), st.integers(1, 5))
def test_profile_is_the_same_in_whatever_batches_the_rows_come(batches, merge_rows):
    rows: list[list[Row]] = [[(user, user.upper(), 3.0, ord(user)) for user in users] for users in batches]
    whole = profile_reviews([batch([row for part in rows for row in part])], 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drift, "MERGE_ROWS", merge_rows)
        parts = profile_reviews(map(batch, rows), 0)
    assert counted(parts.users) == counted(whole.users)
    assert counted(parts.items) == counted(whole.items)
    assert (parts.ratings, parts.newest, parts.n_rows) == (whole.ratings, whole.newest, whole.n_rows)


def test_the_same_reviews_are_no_drift():
    found = figures(profile(BEFORE, 3), profile(list(reversed(BEFORE)), 3))
    changes = {name: figure.change for name, figure in found.items()}
    assert changes.pop("rows") == 1
    assert set(changes.values()) == {0}
    assert beyond(list(found.values())) == []


def test_each_figure_of_a_small_table_is_as_by_hand():
    now: list[Row] = [("a", "x", 5, 13 * DAY), ("d", "x", 5, 8 * DAY), ("d", "z", 5, 8 * DAY)]
    found = figures(profile(BEFORE), profile(now, n_quarantined=1))
    changes = {name: figure.change for name, figure in found.items()}
    assert changes["rows"] == 3 / 4
    assert changes["new users"] == 1 / 2
    assert changes["rows of new users"] == 2 / 3
    assert changes["gone users"] == 2 / 3
    assert changes["new items"] == 1 / 2
    assert changes["rows of new items"] == 1 / 3
    assert changes["gone items"] == 1 / 2
    assert changes["newest review"] == 1
    assert changes["quarantine"] == 1 / 4
    ratings = (1 - 0.5) * np.log(1.0001 / 0.5001) + 2 * (0 - 0.25) * np.log(0.0001 / 0.2501)
    assert changes["ratings"] == pytest.approx(ratings)
    activity = (1 / 2 - 2 / 3) * np.log(0.5001 / (2 / 3 + 0.0001)) + (1 / 2 - 1 / 3) * np.log(0.5001 / (1 / 3 + 0.0001))
    assert changes["interactions per user"] == pytest.approx(activity)


def test_a_limit_that_is_met_is_not_passed_and_one_below_it_is():
    before, now = profile(BEFORE), profile(BEFORE[:3])
    assert not figures(before, now, drift_min_row_ratio=0.75)["rows"].is_beyond
    assert figures(before, now, drift_min_row_ratio=0.76)["rows"].is_beyond
    assert not figures(before, now, drift_max_gone_share=0.34)["gone users"].is_beyond
    assert figures(before, now, drift_max_gone_share=0.33)["gone users"].is_beyond
    back = figures(before, profile(BEFORE[:2]), drift_max_days_back=1)["newest review"]
    assert (back.change, back.is_beyond) == (-1, False)
    assert figures(before, profile(BEFORE[:2]), drift_max_days_back=0.9)["newest review"].is_beyond


@pytest.mark.parametrize("gone", ["rating", "timestamp"])
def test_a_column_that_went_away_or_came_is_beyond(gone):
    without: list[Row] = [
        (user, item, None if gone == "rating" else rating, None if gone == "timestamp" else moment)
        for user, item, rating, moment in BEFORE
    ]
    name = {"rating": "ratings", "timestamp": "newest review"}[gone]
    assert figures(profile(BEFORE), profile(without))[name].is_beyond
    assert figures(profile(without), profile(BEFORE))[name].is_beyond
    assert not figures(profile(without), profile(without))[name].is_beyond


def test_nothing_before_and_nothing_now_divide_by_nothing():
    assert figures(profile([]), profile(BEFORE))["rows"].change is None
    assert beyond(list(figures(profile([]), profile([])).values())) == []


def test_table_has_a_row_for_each_figure_and_says_what_passed_its_limit():
    found = compare_reviews(profile(BEFORE), profile(BEFORE[:1]), DriftLimits())
    rows = tabulate_drift(found).to_records()
    assert [tuple(row) for row in rows] == [COLUMNS] * len(found)
    verdicts: dict[str, Any] = {row["figure"]: row["verdict"] for row in rows}
    assert verdicts["rows"] == "beyond"
    assert verdicts["new users"] == "within"
    assert verdicts["rows of new users"] == "for information"
    text = tabulate_drift(found).to_text(width=120)
    assert "0.25 times as many" in text
    assert "1970-01-13 00:00" in text


def test_sentence_on_what_went_away_names_its_limit():
    before, now = profile(BEFORE), profile([(user, item, rating, None) for user, item, rating, _ in BEFORE])
    said = say_beyond(figures(before, now)["newest review"])
    assert said == (
        "newest review: 1970-01-13 00:00 before, \u2013 now; expected at most 1.0 days earlier (--drift-max-days-back)"
    )


pairs = st.lists(st.tuples(*[st.integers(0, 10_000)] * 2), min_size=1, max_size=12)


def split(bins: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [before for before, _ in bins], [now for _, now in bins]


def test_index_of_filled_bins_is_that_of_the_textbook_to_three_decimals():
    by_hand = (0.8 - 0.5) * math.log(0.8 / 0.5) + (0.2 - 0.5) * math.log(0.2 / 0.5)
    assert by_hand == pytest.approx(0.4159, abs=1e-4)
    assert population_stability_index([50, 50], [80, 20]) == pytest.approx(by_hand, abs=1e-3)


def test_bin_that_is_empty_on_one_side_counts_as_a_ten_thousandth():
    by_hand = (0.9 - 1) * math.log(0.9001 / 1.0001) + (0.1 - 0) * math.log(0.1001 / 0.0001)
    assert population_stability_index([10, 0], [9, 1]) == pytest.approx(by_hand, rel=1e-12)
    assert population_stability_index([10, 0, 0], [9, 1, 0]) == pytest.approx(by_hand, rel=1e-12)


def test_histogram_without_counts_is_far_from_any_other_and_no_distance_from_itself():
    assert population_stability_index([0, 0], [3, 3]) > 0.25
    assert population_stability_index([0, 0], [0, 0]) == 0
    assert population_stability_index([], []) == 0


@given(pairs)
def test_index_is_symmetric_and_never_negative(bins):
    before, now = split(bins)
    assert population_stability_index(before, now) == pytest.approx(population_stability_index(now, before), rel=1e-9)
    assert population_stability_index(before, now) >= 0


@given(pairs, st.integers(1, 50))
def test_index_is_zero_if_and_only_if_the_shares_are_equal(bins, times):
    before, now = split(bins)
    assert population_stability_index(before, [times * count for count in before]) == 0
    all_before, all_now = sum(before), sum(now)
    is_equal = all(one * all_now == other * all_before for one, other in bins) and bool(all_before) == bool(all_now)
    assert (population_stability_index(before, now) == 0) == is_equal


def test_many_ratings_are_put_into_ten_ranges():
    before, now = bin_ratings({float(value): 1 for value in range(21)}, {20.0: 7})
    assert before == [2, 2, 2, 2, 2, 2, 2, 2, 2, 3]
    assert now == [0, 0, 0, 0, 0, 0, 0, 0, 0, 7]


def test_twenty_ratings_keep_a_bin_each():
    before, _ = bin_ratings({float(value): 1 for value in range(20)}, {})
    assert before == [1] * 20


def test_ranges_of_activity_end_where_they_say():
    assert bin_activity([1, 2, 4, 5, 9, 10, 19, 20, 999, 1000]) == [1, 2, 2, 2, 1, 0, 0, 0, 1, 1]
