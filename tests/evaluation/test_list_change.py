"""What changes for users where one model's lists take the place of another's."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import list_change
from evaluation.list_change import PERSISTENCE, compare_lists, count_changes, find_change
from reports.verdicts import say_finding

LISTS = st.lists(st.permutations(range(6)), min_size=1, max_size=5)


def arrange(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, dtype=np.int32)


def overlap_by_the_formula(one: list[int], other: list[int], k: int) -> float:
    shares = [len({*one[:depth]} & {*other[:depth]}) / depth for depth in range(1, k + 1)]
    p = PERSISTENCE
    return shares[-1] * p**k + (1 - p) / p * sum(share * p**depth for depth, share in enumerate(shares, 1))


@given(LISTS, st.integers(1, 6), st.data())
def test_lists_are_compared_as_the_formulas_say(rows, k, data):
    others = [data.draw(st.permutations(range(3, 9))) for _ in rows]
    found = compare_lists(arrange(rows), arrange(others), k)
    pairs = [({*one[:k]}, {*other[:k]}) for one, other in zip(rows, others, strict=True)]
    assert found.kept == pytest.approx(np.mean([len(one & other) for one, other in pairs]))
    assert found.jaccard == pytest.approx(np.mean([len(one & other) / len(one | other) for one, other in pairs]))
    overlaps = [overlap_by_the_formula(one, other, k) for one, other in zip(rows, others, strict=True)]
    assert found.overlap == pytest.approx(np.mean(overlaps))
    assert found.n_changed == sum(one[:k] != other[:k] for one, other in zip(rows, others, strict=True))


@given(LISTS, st.integers(1, 6))
def test_equal_lists_are_all_the_same_also_short_ones(rows, n_left):
    lists = arrange(rows)
    lists[:, n_left:] = -1
    found = compare_lists(lists, lists, 6)
    assert (found.n_changed, found.jaccard, found.overlap) == (0, 1, pytest.approx(1))
    assert found.kept == n_left


def test_blocks_change_nothing(monkeypatch):
    generator = np.random.default_rng(1)
    before, after = (np.argsort(generator.random((7, 9)), axis=1).astype(np.int32) for _ in range(2))
    whole = compare_lists(before, after, 4)
    monkeypatch.setattr(list_change, "BLOCK_LISTS", 2)
    assert asdict(compare_lists(before, after, 4)) == pytest.approx(asdict(whole))


@given(st.lists(st.floats(-1, 1), max_size=30))
def test_every_user_is_counted_once_by_the_change_of_the_metric(rises):
    bins = count_changes(np.array(rises))
    assert sum(one.n_users for one in bins) == len(rises)
    assert [one.n_users for one in bins if one.low == one.high == 0] == [rises.count(0)]
    assert sum(one.n_users for one in bins if one.high > 0) == sum(one > 0 for one in rises)


def test_a_change_says_for_how_many_users_it_is_better_and_for_how_many_worse():
    before, after = arrange([[0, 1], [2, 3], [4, 5], [6, 7]]), arrange([[0, 1], [3, 2], [5, 8], [6, 7]])
    was, becomes = np.array([0.5, 0.0, 1.0, 0.0]), np.array([0.5, 0.4, 0.2, 0.2])
    said = say_finding(find_change(before, after, 2, was, becomes, "ndcg_10"))
    assert said.replace("\xa0", " ") == (
        "2 of the 4 (50.0 %) lists would differ: of 2 items 1.8 stay on average (Jaccard 0.83, rank-biased overlap "
        "0.84). NDCG@10 rises for 2 users, by 0.3000 on average, falls for 1, by 0.8000, stays for 1."
    )
