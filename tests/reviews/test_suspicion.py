"""Suspicious users and items: what was planted is found, what chance makes is not, and the formulas are those told."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews.indexed import IndexedReviews, index_reviews
from reviews.suspicion import FALSE_ALARMS, expect_above, find_suspicious_items, find_suspicious_users

DAY, START = 86_400, 1_300_000_000
SHARES = {1.0: 0.06, 2.0: 0.05, 3.0: 0.08, 4.0: 0.2, 5.0: 0.61}


def draw(rng: np.random.Generator, n_users: int = 300, n_items: int = 100, n: int = 6000) -> dict[str, list[object]]:
    """Rows that are independent of one another; users and items differ in how many they have."""
    return {
        "user_id": [f"u{x}" for x in (n_users * rng.beta(1, 1.5, n)).astype(int)],
        "item_id": [f"i{x}" for x in (n_items * rng.beta(1, 1.5, n)).astype(int)],
        "rating": rng.choice(list(SHARES), n, p=list(SHARES.values())).tolist(),
        "timestamp": (START + (1000 * rng.beta(3, 1, n)).astype(int) * DAY).tolist(),
    }


def plant(rows, **columns) -> IndexedReviews:
    """Index rows and more of them; what is given once goes to each."""
    n = max(len(values) for values in columns.values() if isinstance(values, list))
    more = {name: values if isinstance(values, list) else [values] * n for name, values in columns.items()}
    return index_reviews(pa.table({name: [*values, *more[name]] for name, values in rows.items()}))


def by_reason(found):
    return {one.reason: one for one in found}


def test_rows_without_any_suspicion_are_flagged_no_oftener_than_is_said():
    n_found = {}
    for seed in range(40):
        reviews = index_reviews(pa.table(draw(np.random.default_rng(seed))))
        for one in (*find_suspicious_users(reviews), *find_suspicious_items(reviews)):
            assert one.n_expected <= FALSE_ALARMS
            assert one.n_tested > 50
            n_found[one.side, one.reason] = n_found.get((one.side, one.reason), 0) + one.n_found
    assert len(n_found) == 4
    assert max(n_found.values()) <= 5  # of 40 files 2 are expected; more than 5 have a chance of 2 %


def test_a_burst_of_ratings_is_found_with_its_item_its_days_and_its_mean():
    rows = draw(np.random.default_rng(1))
    times = [START + 700 * DAY + n * DAY // 20 for n in range(40)]
    reviews = plant(rows, user_id=[f"new{n}" for n in range(40)], item_id="i90", rating=5.0, timestamp=times)
    found = by_reason(find_suspicious_items(reviews))["burst"]
    [item] = found.worst
    assert (item.id, found.n_found, found.side) == ("i90", 1, "items")
    assert 40 <= item.n_suspicious <= 41
    assert (
        item.n_interactions
        == len(set(zip(rows["user_id"], rows["item_id"], strict=True)) & {(user, "i90") for user in rows["user_id"]})
        + 40
    )
    assert (item.first, item.last) == (times[0], times[-1])
    assert item.rating > 4.8
    assert item.n_expected <= FALSE_ALARMS
    assert by_reason(find_suspicious_users(reviews))["burst"].n_found == 0


def test_an_item_that_came_out_just_before_the_end_has_no_burst():
    rows, users = draw(np.random.default_rng(9)), [f"u{n}" for n in range(40)]
    reviews = plant(rows, user_id=users, item_id="new", rating=5.0, timestamp=max(rows["timestamp"]) - DAY)
    assert by_reason(find_suspicious_items(reviews))["burst"].n_found == 0


def test_the_more_ratings_a_burst_has_and_the_fewer_days_it_could_have_begun_on_the_worse_it_is():
    rows = draw(np.random.default_rng(10), n_items=400, n=9000)
    days = {
        "1 few": [0] + [400] * 15 + list(range(10, 140, 10)),
        "2 many days": [0] + [400] * 30 + list(range(10, 290, 10)),
        "3 many": [0] + [400] * 30 + [10, 150] * 14,
    }
    reviews = plant(
        rows,
        user_id=[f"u{n}" for own in days.values() for n in range(len(own))],
        item_id=[name for name, own in days.items() for _ in own],
        rating=5.0,
        timestamp=[START + day * DAY for own in days.values() for day in own],
    )
    found = by_reason(find_suspicious_items(reviews))["burst"]
    assert [one.id for one in found.worst] == sorted(days, reverse=True)


def test_what_the_tail_lets_expect_by_hand():
    scores = np.array([0.0] * 180 + [*range(1, 19), 500.0, 600.0])  # of a tail of 20 the lowest 18 are fitted
    mean = (sum(range(18)) + 2 * 17 + 1) / 18
    assert expect_above(scores)[[0, 180, 197]] == pytest.approx([200, 20, 20 * (mean / (1 + mean)) ** 17])


def test_an_item_that_everybody_rates_when_the_file_is_busiest_is_no_burst():
    rows = draw(np.random.default_rng(2))
    busy = [START + 500 * DAY] * 900
    users = [f"u{n % 300}" for n in range(900)]
    reviews = plant(rows, user_id=users, item_id=[f"i{n // 9}" for n in range(900)], rating=5.0, timestamp=busy)
    assert by_reason(find_suspicious_items(reviews))["burst"].n_found == 0


def test_a_user_with_a_busy_day_is_found_and_one_who_is_always_busy_is_not():
    rows, items = draw(np.random.default_rng(3)), [f"i{n}" for n in range(30)]
    reviews = plant(rows, user_id="rush", item_id=items, rating=3.0, timestamp=START + 400 * DAY)
    found = by_reason(find_suspicious_users(reviews))["burst"]
    assert [(one.id, one.n_interactions, one.n_suspicious) for one in found.worst] == [("rush", 30, 30)]
    assert (found.worst[0].first, found.worst[0].last) == (START + 400 * DAY,) * 2
    steady = plant(rows, user_id="calm", item_id=items, rating=3.0, timestamp=[START + n * 9 * DAY for n in range(30)])
    assert by_reason(find_suspicious_users(steady))["burst"].n_found == 0


def test_where_everybody_does_all_on_one_day_nobody_has_a_burst():
    rows = draw(np.random.default_rng(4))
    first = dict(zip(rows["user_id"], rows["timestamp"], strict=True))
    at_once = {**rows, "timestamp": [first[user] for user in rows["user_id"]]}
    assert by_reason(find_suspicious_users(index_reviews(pa.table(at_once))))["burst"].n_found == 0
    of_one_day = index_reviews(pa.table({**rows, "timestamp": [START] * len(rows["user_id"])}))
    assert "burst" not in by_reason(find_suspicious_users(of_one_day))
    assert by_reason(find_suspicious_items(of_one_day))["burst"].n_found == 0


def test_a_user_with_one_rating_throughout_is_found_by_the_chance_of_it():
    rows, items = draw(np.random.default_rng(5)), [f"i{n}" for n in range(12)]
    reviews = plant(rows, user_id="grim", item_id=items, rating=1.0, timestamp=START)
    found = by_reason(find_suspicious_users(reviews))["identical ratings"]
    latest = reviews.interactions
    share = float((latest.ratings == 1).mean())
    [user] = found.worst
    assert (user.id, user.rating, user.n_suspicious, user.first) == ("grim", 1.0, 12, None)
    assert user.n_expected == pytest.approx(found.n_tested * 5 * share**12)
    sizes = np.bincount(latest.user_idx)
    chances = [np.mean(latest.ratings == value) ** n for value in SHARES for n in sizes[sizes >= 10]]
    flagged = [chance for chance in chances if found.n_tested * 5 * chance <= FALSE_ALARMS]
    assert found.n_expected == pytest.approx(sum(flagged))
    happy = plant(rows, user_id="glad", item_id=items, rating=5.0, timestamp=START)
    assert by_reason(find_suspicious_users(happy))["identical ratings"].n_found == 0, "twelve fives are nothing rare"


def test_an_item_rated_unlike_the_rest_is_found_and_one_that_is_a_little_worse_is_not():
    rows = draw(np.random.default_rng(6))
    users = [f"u{n}" for n in range(40)]
    for name, ratings, is_found in (("bad", [1.0] * 40, True), ("fair", [4.0] * 40, False)):
        reviews = plant(rows, user_id=users, item_id=name, rating=ratings, timestamp=START)
        found = by_reason(find_suspicious_items(reviews))["ratings unlike the rest"]
        assert [(one.id, one.rating) for one in found.worst] == [("bad", 1.0)] * is_found


def test_repeated_rows_are_no_burst():
    rows = draw(np.random.default_rng(7))
    reviews = plant(rows, user_id=["u1"] * 50, item_id="i1", rating=1.0, timestamp=START + 400 * DAY)
    for one in (*find_suspicious_users(reviews), *find_suspicious_items(reviews)):
        assert one.n_found == 0


def test_the_worst_20_are_listed_and_all_are_counted():
    rows = draw(np.random.default_rng(8))
    users = [f"bot{n:02d}" for n in range(25) for _ in range(20)]
    items = [f"i{n}" for _ in range(25) for n in range(20)]
    ratings = [1.0 + n % 2 for n in range(25) for _ in range(20)]
    found = by_reason(find_suspicious_users(plant(rows, user_id=users, item_id=items, rating=ratings, timestamp=START)))
    identical = found["identical ratings"]
    assert (identical.n_found, len(identical.worst)) == (25, 20)
    assert [one.n_expected for one in identical.worst] == sorted(one.n_expected for one in identical.worst)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 1000))
def test_fewer_are_expected_the_higher_the_score(scores, more):
    values = np.array([*scores, max(scores) + more], dtype=float)
    expected = expect_above(values)
    order = np.argsort(values)
    assert (np.diff(expected[order]) <= 0).all()
    assert ((expected > 0) & (expected <= len(values))).all() or more > 50


def test_where_items_differ_by_nature_one_that_many_rate_is_held_to_how_far_the_others_are_apart():
    rng = np.random.default_rng(11)
    rows = draw(rng, n_users=2000)
    nature = {f"i{n}": rng.normal(0, 0.5) for n in range(100)}
    natural = [nature[item] + rating for item, rating in zip(rows["item_id"], rows["rating"], strict=True)]
    users = [f"u{n}" for n in range(1900)]
    worse = [rating - 0.8 for rating in rng.choice(list(SHARES), 1900, p=list(SHARES.values()))]
    reviews = plant({**rows, "rating": natural}, user_id=users, item_id="known", rating=worse, timestamp=START)
    assert by_reason(find_suspicious_items(reviews))["ratings unlike the rest"].n_found == 0


@pytest.mark.parametrize(("n", "n_found"), [(4, 0), (5, 1)])
def test_a_burst_has_five_interactions_or_more(n, n_found):
    rows = [(f"u{user}", f"i{place}", place * DAY) for user in range(400) for place in range(6)]
    rows += [("quick", f"i{place}", START) for place in range(n)] + [("quick", "i9", START + DAY)]
    user_id, item_id, timestamp = zip(*rows, strict=True)
    found = find_suspicious_users(
        index_reviews(pa.table({"user_id": user_id, "item_id": item_id, "timestamp": timestamp}))
    )
    assert [one.n_found for one in found] == [n_found]


def test_ratings_of_as_many_values_as_there_are_rows_take_no_more_memory_for_users_who_differ_in_how_many_they_have():
    rng, sizes = np.random.default_rng(11), np.arange(10, 160)
    users = np.repeat(np.arange(len(sizes)), sizes)
    items = np.concatenate([np.arange(n) for n in sizes])
    ratings = rng.random(len(users))
    rows = {"user_id": users.astype(str), "item_id": items.astype(str), "rating": ratings}
    reviews = index_reviews(pa.table(rows))
    tracemalloc.start()
    found = by_reason(find_suspicious_users(reviews))["identical ratings"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.n_tested, found.n_found) == (len(sizes), 0)
    assert peak < 20 * ratings.nbytes
