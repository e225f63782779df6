"""Exploration of rows at the edges: no times, no ratings, one user, one moment, repeats, ids that differ in blanks."""

import numpy as np
import pyarrow as pa
import pytest
from pydantic import TypeAdapter

from reviews.cores import size_cores, take_core
from reviews.explore import explore
from reviews.indexed import IndexedReviews, index_reviews
from reviews.links import count_copurchases
from reviews.looking_up import look_up_item, look_up_user
from reviews.summaries import count_popularity, summarise, summarise_ratings
from reviews.times import count_moments, find_seasons, measure_lifetimes, trace_growth
from schema.errors import InvalidInput
from schema.exploration import Core, Exploration, Month, Season

DAY = 86_400
SQUARE = {
    "user_id": ["a", "a", "b", "b", "c", "a"],
    "item_id": ["x", "y", "x", "y", "y", "z"],
    "rating": [5.0, 4.0, 3.0, 2.0, 1.0, 5.0],
    "timestamp": [40 * DAY + 1, 40 * DAY + 1, 75 * DAY, 75 * DAY + 9, 40 * DAY, 100 * DAY],
}
N = len(SQUARE["user_id"])


def index(**columns) -> IndexedReviews:
    """Index the square with other columns; without those that are None."""
    return index_reviews(pa.table({name: one for name, one in {**SQUARE, **columns}.items() if one is not None}))


def test_the_square_by_hand():
    found = explore(index())
    assert (found.summary.n_interactions, found.summary.density, found.summary.span_days) == (6, 6 / 9, 61)
    assert found.cores[1:3] == (Core(2, 2, 2, 4), Core(3, 0, 0, 0))
    assert found.months == (
        Month("1970-02", 3, 2, 2, 2, 2, 3, 3),
        Month("1970-03", 2, 1, 2, 1, 0, 2, 0),
        Month("1970-04", 1, 1, 1, 0, 1, 0, 1),
    )
    assert found.moments.share_of_shared_second == 2 / 6
    assert found.moments.share_of_shared_day == 4 / 6
    assert (found.moments.share_with_past, found.moments.share_at_midnight) == (1 / 6, 3 / 6)
    users, items = found.lifetimes
    assert (users.days.greatest, users.share_of_one_day, users.gaps.mean) == (60, pytest.approx(2 / 3), 60)
    assert (items.days.greatest, items.gaps.n) == (35, 2)
    assert [(link.item, link.other, link.n_users) for link in found.co_purchases.strongest] == [
        *(("x", "y", 2), ("x", "z", 1), ("y", "z", 1)),
    ]
    assert (found.co_purchases.n_components, found.co_purchases.largest_component) == (1, 3)


@pytest.mark.parametrize(
    "columns",
    [
        {"timestamp": None},
        {"rating": None},
        {"rating": None, "timestamp": None},
        {"user_id": ["a"] * N},
        {"item_id": ["x"] * N},
        {"user_id": ["a"] * N, "item_id": ["x"] * N},
        {"timestamp": [DAY] * N},
        {"rating": [5.0] * N},
        {"rating": [None] * 5 + [2.0], "timestamp": [DAY] + [None] * 5},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("error")
def test_everything_is_found_without_a_warning_and_comes_back_from_json(columns):
    reviews, exploration = index(**columns), TypeAdapter(Exploration)
    found = explore(reviews)
    assert exploration.validate_json(exploration.dump_json(found)) == found
    assert sum(one.n_found for one in found.suspects) == 0
    name = reviews.user_ids[0].as_py()
    assert look_up_user(reviews, name).n_rows == (np.array(columns.get("user_id", SQUARE["user_id"])) == name).sum()


def test_without_timestamps_there_is_nothing_over_time():
    undated = index(timestamp=None)
    assert (trace_growth(undated), find_seasons(undated), measure_lifetimes(undated)) == ((), None, ())
    assert (count_moments(undated), summarise(undated).first, summarise_ratings(undated).years) == (None, None, ())
    assert (summarise(undated).n_without_timestamp, summarise(undated).span_days) == (6, 0)
    assert [event.timestamp for event in look_up_item(undated, "y").history] == [None] * 3


def test_without_ratings_there_is_no_summary_of_them():
    unrated = index(rating=None)
    assert (summarise_ratings(unrated), summarise(unrated).n_without_rating) == (None, 6)
    assert (look_up_item(unrated, "y").mean_rating, look_up_item(unrated, "y").bars) == (None, ())


def test_more_than_twenty_ratings_are_shown_in_twenty_ranges():
    ratings = [*np.linspace(-10, 10, 100), *[10] * 6]
    rows = {"user_id": [*"ab"] * 53, "item_id": ["x"] * 106, "rating": ratings}
    found = summarise_ratings(index_reviews(pa.table(rows)))
    assert [bar.n for bar in found.bars] == [5] * 19 + [11]
    assert (found.bars[0].low, found.bars[-1].high) == (-10, 10)


def test_one_moment_of_one_user_holds_no_order():
    moments = count_moments(index(user_id=["a"] * N, timestamp=[DAY] * N))
    assert (moments.share_of_shared_second, moments.share_with_past, moments.largest_day) == (1, 0, 1)
    assert (moments.n_interactions, moments.per_second, moments.per_day) == (3, ((3, 1),), ((3, 1),))


def test_repeated_rows_count_once_where_pairs_count():
    twice = index(**{name: values * 2 for name, values in SQUARE.items()})
    found = summarise(twice)
    assert (found.n_rows, found.n_interactions, found.n_repeated, found.n_identical) == (12, 6, 6, 6)
    once = index()
    for count in (count_popularity, count_copurchases, size_cores, count_moments):
        assert count(twice) == count(once)


def test_ids_that_differ_in_blanks_only_are_two_and_are_told():
    found = summarise(index(user_id=["a", " a", "a ", "b", "c d", "cd"]))
    assert (found.n_users, found.n_users_alike, found.n_items_alike) == (6, 3, 0)


def test_a_sample_of_items_is_compared_with_all_where_all_take_too_long():
    rng = np.random.default_rng(1)
    rows = {"user_id": [f"u{x}" for x in rng.integers(0, 200, 4000)], "item_id": rng.integers(0, 400, 4000).astype(str)}
    reviews = index_reviews(pa.table(rows))
    every, some = count_copurchases(reviews), count_copurchases(reviews, most_work=20_000)
    assert every.n_items_asked == len(reviews.item_ids)
    assert 50 < some.n_items_asked < 200
    assert some.links[0].others.mean == pytest.approx(every.links[0].others.mean, rel=0.05)
    assert some.n_components == every.n_components
    one = count_copurchases(reviews, most_work=1)
    [asked] = set.intersection(*({link.item, link.other} for link in one.strongest))
    assert one.n_items_asked == 1
    assert [link.n_users for link in one.strongest] == [near.n_common for near in look_up_item(reviews, asked).by_count]


def test_groups_of_items_that_nobody_joins():
    found = count_copurchases(index_reviews(pa.table({"user_id": [*"aabbc"], "item_id": [*"wxxyz"]})))
    assert (found.n_components, found.largest_component, found.n_users_of_several) == (2, 3, 2)
    assert found.links[0].share_of_items == 0.75


def test_months_are_judged_over_whole_years_alone():
    days = [*np.arange(np.datetime64("2011-01-01"), "2013-01-01"), *[np.datetime64("2013-02-03")] * 500]
    times = [int(day.astype(int)) * DAY for day in np.array(days)]
    rows = pa.table({"user_id": ["a"] * len(times), "item_id": ["x"] * len(times), "timestamp": times})
    assert {round(one.index, 9) for one in find_seasons(index_reviews(rows)).months} == {1.0}
    part = index_reviews(rows.slice(1, 360))
    assert {one.index for one in find_seasons(part).months} == {None}
    assert find_seasons(index_reviews(rows.slice(0, 3))).weekdays[0] == Season("Monday", 1, None)


@pytest.mark.parametrize(
    ("look_up", "name", "near"),
    [(look_up_user, "A ", "'a'"), (look_up_item, "xq", "'x'"), (look_up_item, "Q", "3 items\\.")],
)
def test_an_unknown_id_is_refused_with_those_that_are_like_it(look_up, name, near):
    with pytest.raises(InvalidInput, match=f"has the id '{name}'.*{near}"):
        look_up(index(), name)


def test_summaries_of_a_core_are_of_what_is_left_of_it():
    core = take_core(index_reviews(pa.table({"user_id": [*"aabbca"], "item_id": [*"xyxyyz"]})), 2)
    assert (core.user_ids.to_pylist(), core.item_ids.to_pylist()) == (["a", "b"], ["x", "y"])
    assert (count_popularity(core).counts, count_popularity(core).gini) == (((2, 2),), 0)
    assert len(take_core(core, 3).user_ids) == 0
