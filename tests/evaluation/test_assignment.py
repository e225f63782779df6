from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.assignment import TEST, TRAIN, VALIDATION, hash_pairs, leave_last, split_at_time, split_random

PAIRS = st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 9)), st.integers(0, 6), min_size=1, max_size=40)


def as_columns(times_by_pair):
    users, items = (np.array(column) for column in zip(*times_by_pair, strict=True))
    return users, items, np.array(list(times_by_pair.values()))


@settings(deadline=None)
@given(PAIRS, st.integers(1, 3))
def test_leave_last_holds_out_the_last_of_each_user_who_has_enough(times_by_pair, n):
    users, items, times = as_columns(times_by_pair)
    part = leave_last(users, items, times, n, seed=1)
    for user in set(users):
        mine = users == user
        held_out = n if mine.sum() >= 2 * n + 1 else 0
        assert (part[mine] == TEST).sum() == (part[mine] == VALIDATION).sum() == held_out
        parts_in_time = [times[mine & (part == p)] for p in (TRAIN, VALIDATION, TEST)]
        for earlier, later in pairwise(parts_in_time):
            assert earlier.max(initial=-1) <= later.min(initial=99)


@settings(deadline=None)
@given(PAIRS, st.randoms())
def test_assignments_do_not_depend_on_the_order_of_rows(times_by_pair, random):
    users, items, times = as_columns(times_by_pair)
    shuffled = np.array(random.sample(range(len(users)), len(users)))
    for assign in (
        lambda u, i, t: leave_last(u, i, t, 1, seed=3),
        lambda u, i, _: split_random(u, i, 0.3, 0.3, seed=3),
        lambda _u, _i, t: split_at_time(t, 0.3, 0.3),
    ):
        part = assign(users, items, times)
        again = assign(users[shuffled], items[shuffled], times[shuffled])
        assert part[shuffled].tolist() == again.tolist()


def test_leave_last_breaks_ties_by_seed_and_not_by_item():
    users, items, times = np.repeat(np.arange(300), 5), np.tile(np.arange(5), 300), np.zeros(1500, int)
    held_out = [items[leave_last(users, items, times, 1, seed) == TEST] for seed in (1, 2)]
    assert (held_out[0] != held_out[1]).any()
    for drawn in held_out:
        counts = np.bincount(drawn, minlength=5)
        assert counts.sum() == 300
        assert counts.min() > 30


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_split_at_time_holds_out_at_most_the_share_and_not_a_second_less(times, share):
    times = np.array(times)
    is_test = split_at_time(times, share, 0.2) == TEST
    allowed = int(share * len(times))
    assert is_test.sum() <= allowed
    assert times[~is_test].max(initial=-1) < times[is_test].min(initial=99)
    latest_before = times[~is_test].max(initial=-1)
    assert (times >= latest_before).sum() > allowed


def test_split_at_time_takes_the_moment_given():
    part = split_at_time(np.array([10, 20, 30, 40, 50]), 0.2, 0.5, test_from=40)
    assert part.tolist() == [TRAIN, TRAIN, VALIDATION, TEST, TEST]
    assert split_at_time(np.array([10, 20]), 0.2, 0.5, test_from=5).tolist() == [TEST, TEST]


@settings(deadline=None)
@given(st.integers(1, 200), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_split_random_draws_the_numbers_of_rows_it_says(n, test_share, validation_share):
    part = split_random(np.arange(n), np.arange(n), test_share, validation_share, seed=0)
    n_test = round(test_share * n)
    expected = [n_test, round(validation_share * (n - n_test))]
    assert [(part == TEST).sum(), (part == VALIDATION).sum()] == expected


def test_split_random_draws_other_rows_for_another_seed():
    index = np.arange(1000)
    one, two = (split_random(index, index, 0.2, 0.2, seed) == TEST for seed in (1, 2))
    assert (one & two).sum() == pytest.approx(40, abs=25)
    assert index[one].mean() == pytest.approx(500, abs=80)


@settings(deadline=None)
@given(st.sets(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)), min_size=2))
def test_hash_of_different_pairs_differs(pairs):
    columns = np.array(list(pairs))
    assert len(set(hash_pairs(columns[:, 0], columns[:, 1], seed=5).tolist())) == len(pairs)
