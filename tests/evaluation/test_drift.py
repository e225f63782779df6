from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import review_profile
from evaluation.drift import beyond, compare_reviews
from evaluation.options import DriftLimits
from evaluation.review_profile import ReviewProfile, profile_reviews
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


def test_profile_counts_what_is_there() -> None:
    found = profile(BEFORE, n_quarantined=1)
    assert counted(found.users) == {"a": 2, "b": 1, "c": 1}
    assert counted(found.items) == {"x": 2, "y": 2}
    assert found.ratings == {5.0: 2, 4.0: 1, 1.0: 1}
    assert (found.newest, found.n_rows, found.quarantined_share, found.mean_rating) == (12 * DAY, 4, 0.2, 3.75)


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), max_size=8), st.integers(1, 5))
def test_profile_is_the_same_in_whatever_batches_the_rows_come(batches: list[list[str]], merge_rows: int) -> None:
    rows: list[list[Row]] = [[(user, user.upper(), 3.0, ord(user)) for user in users] for users in batches]
    whole = profile_reviews([batch([row for part in rows for row in part])], 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(review_profile, "_MERGE_ROWS", merge_rows)
        parts = profile_reviews(map(batch, rows), 0)
    assert counted(parts.users) == counted(whole.users)
    assert counted(parts.items) == counted(whole.items)
    assert (parts.ratings, parts.newest, parts.n_rows) == (whole.ratings, whole.newest, whole.n_rows)


def test_the_same_reviews_are_no_drift() -> None:
    found = figures(profile(BEFORE, 3), profile(list(reversed(BEFORE)), 3))
    changes = {name: figure.change for name, figure in found.items()}
    assert changes.pop("rows") == 1
    assert set(changes.values()) == {0}
    assert beyond(list(found.values())) == []


def test_each_figure_of_a_small_table_is_as_by_hand() -> None:
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


def test_a_limit_that_is_met_is_not_passed_and_one_below_it_is() -> None:
    before, now = profile(BEFORE), profile(BEFORE[:3])
    assert not figures(before, now, drift_min_row_ratio=0.75)["rows"].is_beyond
    assert figures(before, now, drift_min_row_ratio=0.76)["rows"].is_beyond
    assert not figures(before, now, drift_max_gone_share=0.34)["gone users"].is_beyond
    assert figures(before, now, drift_max_gone_share=0.33)["gone users"].is_beyond
    back = figures(before, profile(BEFORE[:2]), drift_max_days_back=1)["newest review"]
    assert (back.change, back.is_beyond) == (-1, False)
    assert figures(before, profile(BEFORE[:2]), drift_max_days_back=0.9)["newest review"].is_beyond


@pytest.mark.parametrize("gone", ["rating", "timestamp"])
def test_a_column_that_went_away_or_came_is_beyond(gone: str) -> None:
    without: list[Row] = [
        (user, item, None if gone == "rating" else rating, None if gone == "timestamp" else moment)
        for user, item, rating, moment in BEFORE
    ]
    name = {"rating": "ratings", "timestamp": "newest review"}[gone]
    assert figures(profile(BEFORE), profile(without))[name].is_beyond
    assert figures(profile(without), profile(BEFORE))[name].is_beyond
    assert not figures(profile(without), profile(without))[name].is_beyond


def test_nothing_before_and_nothing_now_divide_by_nothing() -> None:
    assert figures(profile([]), profile(BEFORE))["rows"].change is None
    assert beyond(list(figures(profile([]), profile([])).values())) == []


def test_table_has_a_row_for_each_figure_and_says_what_passed_its_limit() -> None:
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


def test_sentence_on_what_went_away_names_its_limit() -> None:
    before, now = profile(BEFORE), profile([(user, item, rating, None) for user, item, rating, _ in BEFORE])
    said = say_beyond(figures(before, now)["newest review"])
    assert said == (
        "newest review: 1970-01-13 00:00 before, \u2013 now; expected at least -1.0 days (--drift-max-days-back)"
    )
