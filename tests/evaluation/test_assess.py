import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from evaluation.assess import HeldOut, Measured, assess_cold_users, hold_out, measure_lists
from schema.metric import RANKING_METRICS

CATALOGUE = ("coverage", "gini", "personalisation")
PER_USER = (*RANKING_METRICS, "novelty", "popularity")


def interactions(*rows: tuple[int, int, int | None]) -> pa.Table:
    users, items, times = zip(*rows, strict=True)
    types = (pa.int32(), pa.int32(), pa.int64())
    columns = [pa.array(values, kind) for values, kind in zip((users, items, times), types, strict=True)]
    return pa.table(columns, names=["user_idx", "item_idx", "timestamp"])


LEARNT = interactions((0, 0, 10), (0, 1, 20), (1, 0, 30), (2, 0, 40), (2, 2, 50))
HELD = interactions((0, 3, 60), (1, 1, 60), (2, 1, 60), (3, 0, 60))
LISTS = np.full((3, 10), -1, np.int32)
LISTS[:, :2] = [[3, 2], [2, 1], [3, -1]]


@pytest.fixture
def held_out() -> HeldOut:
    return hold_out(LEARNT, HELD, n_users=4, n_items=5)


def measure(lists: NDArray[np.int32], held_out: HeldOut, *ks: int) -> Measured:
    measured = Measured()
    measure_lists(measured, lists, held_out, ("als", {}, "test"), ks)
    return measured


def test_users_without_anything_to_learn_from_are_cold(held_out):
    assert held_out.users.tolist() == [0, 1, 2]
    assert held_out.cold.tolist() == [3]
    assert held_out.item_counts.tolist() == [3, 1, 1, 0, 0]
    assert held_out.n_warm == 3


def test_a_larger_sample_has_the_users_of_a_smaller_one():
    rows = pa.table({name: np.arange(200) for name in ("user_idx", "item_idx", "timestamp")})
    few, many = (set(hold_out(rows, rows, 200, 200, most_users=n).users.tolist()) for n in (20, 120))
    assert (len(few), len(many), few <= many) == (20, 120, True)


def test_sample_of_users_is_the_same_each_time_and_told(held_out):
    some = hold_out(LEARNT, HELD, 4, 5, most_users=2)
    assert set(some.users) < set(held_out.users)
    assert some.users.tolist() == hold_out(LEARNT, HELD, 4, 5, most_users=2).users.tolist()
    assert (len(some.users), some.n_warm) == (2, 3)
    assert len(hold_out(LEARNT, HELD, 4, 5, most_users=3).users) == 3


def test_first_timestamps_are_there_only_where_all_rows_have_one(held_out):
    assert held_out.first_timestamp is not None
    assert held_out.first_timestamp[:3].tolist() == [10, 30, 40]
    assert hold_out(interactions((0, 0, None), (0, 1, 20)), HELD, 4, 5).first_timestamp is None


def test_every_metric_has_a_row_at_every_cut_off(held_out):
    assessed = measure(LISTS, held_out, 2, 10)
    measured = {(row.metric, row.k): row for row in assessed.rows}
    assert measured.keys() == {(name, k) for name in (*CATALOGUE, *PER_USER, "diversity") for k in (2, 10)}
    assert {(row.model, row.split, row.n_users) for row in assessed.rows} == {("als", "test", 3)}
    assert all(row.low <= row.value <= row.high for row in assessed.rows)


def test_values_are_those_worked_out_by_hand(held_out):
    rows = measure(LISTS, held_out, 2, 10).rows
    value = {row.metric: row.value for row in rows if row.k == 2}
    assert value["recall"] == pytest.approx(2 / 3)  # item 3 of user 0 and item 1 of user 1 are found
    assert value["coverage"] == pytest.approx(3 / 5)  # items 1, 2 and 3 of five
    assert value["popularity"] == pytest.approx((0.5 + 1 + 0) / 3)  # of 3 and 2, of 2 and 1, and of 3
    assert value["novelty"] == pytest.approx(np.log2(3))  # each of them is of one user in three, or of none


def test_segments_are_of_items_and_of_users(held_out):
    segments = measure(LISTS, held_out, 10).segments
    found = {(one.group, one.segment): one.value for one in segments if one.metric.name == "recall"}
    assert found["item popularity", "cold"] == 1.0  # item 3, which nobody has
    assert {group for group, _ in found} == {"item popularity", "user activity", "user age"}


def test_without_timestamps_there_are_no_old_and_new_users():
    held_out = hold_out(LEARNT.drop(["timestamp"]), HELD, 4, 5)
    segments = measure(LISTS, held_out, 10).segments
    assert "user age" not in {one.group for one in segments}


def test_cold_users_are_measured_apart(held_out):
    lists = np.full((1, 10), -1, np.int32)
    lists[0, 0] = 0
    [ndcg, recall] = assess_cold_users(lists, held_out)
    assert (ndcg.group, ndcg.value, recall.value, ndcg.n_users) == ("users without history", 1.0, 1.0, 1)
    assert assess_cold_users(lists[:0], hold_out(LEARNT, HELD.slice(0, 3), 4, 5)) == []


def test_one_list_says_nothing_of_the_catalogue():
    held_out = hold_out(LEARNT, HELD.slice(0, 1), 4, 5)
    rows = measure(LISTS[:1], held_out, 10).rows
    assert {row.metric for row in rows} == {*PER_USER, "diversity"}
