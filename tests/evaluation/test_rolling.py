"""Events of a rolling split by hand: what was known before the day of each, and how they become figures."""

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from evaluation.assess import Measured, assess_cold_users, measure_lists, score_oracle
from evaluation.assignment import split_rolling
from evaluation.rolling import Events, hold_out_events, refit_days
from evaluation.significance import means_by_owner
from schema.metric import Metric

DAY = 86_400
NDCG = Metric("ndcg", 10)
LEARNT = [(0, 0, 0), (0, 1, 1), (1, 1, 0)]
HELD = [(0, 2, 3), (0, 4, 3), (1, 0, 3), (1, 4, 5), (2, 1, 5), (2, 0, 6)]
"""User, item and day."""
LISTS = [[2, 3, 4], [2, 3, 4], [0, 2, 3], [2, 4, 3], [0, 1, 2], [0, 2, 4]]


def rows(triples: list[tuple[int, int, int]], second: int = 0) -> pa.Table:
    user, item, day = np.array(triples).T
    kinds = {"user_idx": pa.int32(), "item_idx": pa.int32(), "rating": pa.float32(), "timestamp": pa.int64()}
    columns = (user, item, np.full(len(user), 4.0), day * DAY + second)
    return pa.table([pa.array(values, kind) for values, kind in zip(columns, kinds.values(), strict=True)], list(kinds))


@pytest.fixture
def events() -> Events:
    return hold_out_events(rows(LEARNT), rows(HELD), n_users=3, n_items=5)


def lists_of(events: Events, wanted: NDArray[np.int64]) -> NDArray[np.int32]:
    lists = np.full((len(wanted), 10), -1, np.int32)
    lists[:, :3] = np.array(LISTS)[wanted]
    return lists


def measure(events: Events) -> Measured:
    measured = Measured()
    measure_lists(measured, lists_of(events, events.users), events, ("als", {}, "test"), (1, 10))
    return measured


def test_histories_are_what_users_had_before_the_day_in_whichever_part(events):
    asked = list(zip(events.query_day.tolist(), events.query_user.tolist(), strict=True))
    assert asked == [(3, 0), (3, 1), (5, 1), (5, 2), (6, 2)]
    assert [events.histories.take(np.array([one])).items.tolist() for one in range(5)] == [[0, 1], [1], [0, 1], [], [1]]
    assert events.query.tolist() == [0, 0, 1, 2, 3, 4]


def test_events_without_history_are_cold_and_counted_apart(events):
    assert (events.users.tolist(), events.cold.tolist()) == ([0, 1, 2, 3, 5], [4])
    expected = {"n_users": 3, "n_warm_users": 3, "n_cold_users": 0, "n_events": 5, "n_cold_events": 1}
    assert events.counts == expected
    alone = hold_out_events(rows(LEARNT), rows(HELD[:-1]), n_users=3, n_items=5)
    assert (alone.counts["n_users"], alone.counts["n_cold_users"]) == (2, 1)


def test_a_figure_is_the_mean_over_events_worked_out_by_hand(events):
    [found] = [row for row in measure(events).rows if row.key == NDCG]
    second, third = 1 / np.log2(3), 1 / np.log2(4)
    assert found.value == pytest.approx((1 + third + 1 + second + 1) / 5)
    assert (found.n_users, found.low <= found.value <= found.high) == (3, True)


def test_each_user_has_one_value_whose_mean_is_the_figure_and_which_tells_the_user_mean(events):
    table = measure(events).users
    assert table is not None
    assert (table["user_idx"].to_pylist(), table["n_events"].to_pylist()) == ([0, 1, 2], [2, 2, 1])
    values = np.asarray(table["ndcg_10"])
    assert values.mean() == pytest.approx((1 + 0.5 + 1 + 1 / np.log2(3) + 1) / 5)
    means = means_by_owner(values, np.asarray(table["n_events"]))
    assert means == pytest.approx([(1 + 0.5) / 2, (1 + 1 / np.log2(3)) / 2, 1])


def test_the_use_of_the_catalogue_is_that_of_one_list_of_each_user_the_last(events):
    assert events.one_list_each.tolist() == [1, 3, 4]
    [found] = [row for row in measure(events).rows if row.key == Metric("coverage", 1)]
    assert (found.value, found.n_users) == (2 / 5, 3)  # 2, 2 and 0 of five


def test_cold_events_and_segments_are_counted_by_user(events):
    [ndcg, _] = assess_cold_users(lists_of(events, events.cold), events)
    assert (ndcg.value, ndcg.n_users) == (pytest.approx(1 / np.log2(3)), 1)
    heavy = {one.segment: one for one in measure(events).segments if one.group == "user activity"}
    assert (heavy["light"].n_users, heavy["light"].value > 0.8) == (3, True)


def test_an_oracle_has_one_list_for_all_that_a_user_does_in_a_day(events):
    of_users = score_oracle(events, 10)[NDCG]
    assert of_users.mean() == pytest.approx((1 + 1 / np.log2(3) + 1 + 1 + 1) / 5)


def test_the_order_of_rows_changes_nothing(events):
    shuffled = hold_out_events(*(rows(each[::-1]) for each in (LEARNT, HELD)), n_users=3, n_items=5)
    assert measure(shuffled).rows == measure(events).rows
    assert shuffled.histories.items.tolist() == events.histories.items.tolist()


def test_the_time_of_day_says_nothing_and_days_before_1970_are_days(events):
    late = hold_out_events(rows(LEARNT, DAY - 1), rows(HELD), n_users=3, n_items=5)
    assert measure(late).rows == measure(events).rows
    before = [[(user, item, day - 900) for user, item, day in each] for each in (LEARNT, HELD)]
    early = hold_out_events(*map(rows, before), n_users=3, n_items=5)
    assert measure(early).rows == measure(events).rows
    assert early.query_day.tolist() == (events.query_day - 900).tolist()


def test_a_sample_is_of_users_with_all_their_events():
    some = hold_out_events(rows(LEARNT), rows(HELD), n_users=3, n_items=5, most_users=2)
    kept = set(some.user[some.users].tolist())
    assert (len(kept), some.counts["n_warm_users"]) == (2, 3)
    assert some.users.tolist() == [event for event in (0, 1, 2, 3, 5) if some.user[event] in kept]


def test_an_item_that_was_had_before_may_be_neither_held_out_nor_listed(events):
    with pytest.raises(ValueError, match="both in train and held out"):
        measure(hold_out_events(rows(LEARNT), rows([(0, 1, 3)]), n_users=3, n_items=5))
    wrong = lists_of(events, events.users)
    wrong[0, 0] = 1
    with pytest.raises(ValueError, match="was recommended item 1"):
        events.evaluate(wrong, (10,))


def test_parts_are_whole_days_and_never_hold_more_than_their_share():
    day = np.array([0, 1, 2, 3, 4, 4, 5, 5, 6, 7])
    assert split_rolling(day * DAY + 5, 0.3).tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]
    assert split_rolling(day[::-1] * DAY + 5, 0.3).tolist() == split_rolling(day * DAY + 5, 0.3).tolist()[::-1]


@pytest.mark.parametrize(
    ("n", "days"), [(1, [1]), (2, [1, 4]), (3, [1, 3, 4]), (None, [1, 3, 4, 9]), (7, [1, 3, 4, 9])]
)
def test_models_are_fitted_again_at_equal_distances_in_days_with_events(n, days):
    timestamp = np.array([9, 1, 3, 4, 4, 4, 1]) * DAY + 7
    assert refit_days(timestamp, n).tolist() == days
