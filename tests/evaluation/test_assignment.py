from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.assignment import (
    LEFT_OUT,
    TEST,
    TRAIN,
    VALIDATION,
    assign_from_pairs,
    hash_pairs,
    leave_last,
    rolling_windows,
    split_at_time,
    split_random,
    split_random_per_user,
)
from schema.items_by_user import pair_keys

PAIRS = st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 9)), st.integers(0, 6), min_size=1, max_size=40)


def as_columns(times_by_pair):
    users, items = (np.array(column) for column in zip(*times_by_pair, strict=True))
    return users, items, np.array(list(times_by_pair.values()))


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


@given(PAIRS, st.randoms())
def test_assignments_do_not_depend_on_the_order_of_rows(times_by_pair, random):
    users, items, times = as_columns(times_by_pair)
    shuffled = np.array(random.sample(range(len(users)), len(users)))
    for assign in (
        lambda u, i, t: leave_last(u, i, t, 1, seed=3),
        lambda u, i, _: split_random(u, i, 0.3, 0.3, seed=3),
        lambda _u, _i, t: split_at_time(t, 0.3, 0.3),
        lambda _u, _i, t: split_at_time(t, 0.3, 0.3, until=6, gap_seconds=1),
        lambda u, i, _: split_random_per_user(u, i, 0.3, 0.3, seed=3),
        lambda u, i, _: assign_from_pairs(u, i, np.array([1, 2]), np.array([2, 3]), np.array([4]))[0],
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


def test_a_gap_leaves_out_the_rows_before_validation_and_before_test():
    part = split_at_time(np.array([10, 19, 20, 29, 30, 39, 40]), 0.2, 0.5, test_from=40, gap_seconds=11)
    assert part.tolist() == [LEFT_OUT, LEFT_OUT, VALIDATION, LEFT_OUT, LEFT_OUT, LEFT_OUT, TEST]
    part = split_at_time(np.array([10, 19, 20, 29, 30, 39, 40]), 0.2, 0.34, test_from=40, gap_seconds=1)
    assert part.tolist() == [TRAIN, TRAIN, TRAIN, LEFT_OUT, VALIDATION, LEFT_OUT, TEST]


def test_until_ends_test_and_the_share_is_of_the_rows_before_it():
    times = np.array([10, 20, 30, 40, 50, 60, 70])
    assert split_at_time(times, 0.2, 0.25, until=60).tolist() == [0, 0, 0, 1, 2, 3, 3]
    assert split_at_time(times, 0.2, 0.25, test_from=50, until=61).tolist() == [0, 0, 0, 1, 2, 2, 3]


@given(
    st.lists(st.integers(0, 30), max_size=40),
    st.floats(0.05, 0.95),
    st.none() | st.integers(0, 31),
    st.none() | st.integers(0, 32),
    st.integers(0, 8),
)
def test_parts_of_a_time_split_are_in_order_and_a_gap_apart(times, share, test_from, until, gap):
    times = np.array(times, dtype=np.int64)
    part = split_at_time(times, share, 0.3, test_from, until=until, gap_seconds=gap)
    assert set(part.tolist()) <= {TRAIN, VALIDATION, TEST, LEFT_OUT}
    for earlier, later in ((TRAIN, VALIDATION), (VALIDATION, TEST), (TRAIN, TEST)):
        assert times[part == earlier].max(initial=-99) + gap < times[part == later].min(initial=99)
    assert times[part != LEFT_OUT].max(initial=-1) < (33 if until is None else until)
    if not gap and until is None:
        assert (part != LEFT_OUT).all()


@given(st.sets(st.integers(0, 30), min_size=1, max_size=30), st.floats(0.05, 0.95), st.integers(1, 8))
def test_a_gap_and_an_end_leave_out_what_a_row_by_row_reading_says(seconds, share, gap):
    times = sorted(seconds)
    earlier = [t for t in times if t < 20 - gap]
    n_validation = int(share * len(earlier))
    validation_from = earlier[-n_validation] if n_validation else max(earlier, default=-1) + 1

    def read_row(t):
        if t >= 20:
            return TEST if t < 25 else LEFT_OUT
        if t >= 20 - gap:
            return LEFT_OUT
        if t >= validation_from:
            return VALIDATION
        return TRAIN if t < validation_from - gap else LEFT_OUT

    part = split_at_time(np.array(times), 0.2, share, test_from=20, until=25, gap_seconds=gap)
    assert part.tolist() == [read_row(t) for t in times]


def test_rolling_windows_follow_one_another_to_the_end_of_the_data():
    times = np.array([70, 10, 20, 30, 40, 50, 60, 80, 90, 100])
    assert rolling_windows(times, 3, 0.2) == [(50, 70), (70, 90), (90, 101)]
    tests = [
        split_at_time(times, 0.5, 0.3, first, until=after) == TEST for first, after in rolling_windows(times, 3, 0.2)
    ]
    assert [sorted(times[test].tolist()) for test in tests] == [[50, 60], [70, 80], [90, 100]]


@given(st.lists(st.integers(0, 100), min_size=1, max_size=60), st.integers(1, 4), st.floats(0.05, 0.6))
def test_rolling_windows_are_whole_filled_and_end_like_a_time_split(times, n_windows, share):
    times = np.array(times)
    try:
        windows = rolling_windows(times, n_windows, share)
    except ValueError:
        return
    assert len(windows) == n_windows
    assert all(after == first for (_, after), (first, _) in pairwise(windows))
    assert windows[-1][1] == times.max() + 1
    assert all(((times >= first) & (times < after)).any() for first, after in windows)
    assert (times < windows[0][0]).any()
    np.testing.assert_array_equal(times >= windows[-1][0], split_at_time(times, share, 0.3) == TEST)


@pytest.mark.parametrize(
    ("times", "n_windows", "share"),
    [
        ([1, 2, 3, 4], 4, 0.25),
        ([1, 2, 3, 4], 0, 0.25),
        ([1, 2, 3, 4], 1, 0.2),
        ([1, 2, 2, 2, 2, 9], 2, 0.17),
        ([5, 5, 5, 5], 1, 0.5),
        ([], 1, 0.5),
    ],
)
def test_windows_that_leave_no_train_or_hold_no_row_are_refused(times, n_windows, share):
    with pytest.raises(ValueError, match=rf"{n_windows} windows of .* do not fit into {len(times)} rows"):
        rolling_windows(np.array(times, dtype=np.int64), n_windows, share)


def held_out_counts(n, test_share, validation_share):
    """Numbers of validation and test rows of one user with n rows."""
    part = split_random_per_user(np.zeros(n, int), np.arange(n), test_share, validation_share, seed=1)
    return (part == VALIDATION).sum(), (part == TEST).sum()


@pytest.mark.parametrize("n", [*range(10, 201), 860, 1620])
def test_random_per_user_at_a_tenth_each_is_the_mmrec_protocol(n):
    held = int(0.2 * n)
    assert held_out_counts(n, 0.1, 0.1) == (held // 2, held - held // 2)


def test_random_per_user_takes_one_of_each_where_there_are_few():
    assert [held_out_counts(n, 0.1, 0.1) for n in range(1, 10)] == [(0, 0)] * 2 + [(1, 1)] * 7


def test_random_per_user_obeys_both_shares():
    assert held_out_counts(20, 0.3, 0.1) == (2, 6)
    assert held_out_counts(20, 0.1, 0.3) == (6, 2)


def test_random_per_user_draws_from_each_user_and_by_the_seed():
    users, items = np.repeat(np.arange(200), 12), np.tile(np.arange(12), 200)
    one, two = (split_random_per_user(users, items, 0.1, 0.1, seed) for seed in (1, 2))
    assert (np.bincount(users[one == TEST], minlength=200) == 1).all()
    assert (one != two).any()
    assert np.bincount(items[one == TEST], minlength=12).min() > 5


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.2), (0.0, 0.1), (0.1, 0.0)])
def test_random_per_user_refuses_shares_that_leave_no_train_or_hold_nothing_out(shares):
    with pytest.raises(ValueError, match=r"expected each above 0, and less than 1 together"):
        split_random_per_user(np.zeros(10, int), np.arange(10), *shares, seed=1)


def test_named_pairs_are_assigned_and_the_rest_is_train_or_in_no_part():
    users, items = np.array([0, 0, 1, 1]), np.array([5, 6, 5, 6])
    keys = pair_keys(users, items)
    assert assign_from_pairs(users, items, keys[[1]], keys[[2]])[0].tolist() == [TRAIN, VALIDATION, TEST, TRAIN]
    part, n_leaked = assign_from_pairs(users, items, keys[[1]], keys[[2]], train_keys=keys[[3]])
    assert (part.tolist(), n_leaked) == ([LEFT_OUT, VALIDATION, TEST, TRAIN], 0)


@given(*[st.sets(st.integers(0, 9))] * 4)
def test_a_pair_named_twice_goes_to_the_earlier_part_and_is_counted(rows, train, validation, test):
    users, items = np.zeros(len(rows), int), np.array(sorted(rows), dtype=int)
    named = [np.array(sorted(keys), dtype=np.int64) for keys in (validation, test, train)]
    part, n_leaked = assign_from_pairs(users, items, *named)
    parts = ((TRAIN, train), (VALIDATION, validation), (TEST, test))
    assert part.tolist() == [next((p for p, keys in parts if i in keys), LEFT_OUT) for i in sorted(rows)]
    assert n_leaked == sum(sum(i in keys for _, keys in parts) > 1 for i in rows)


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


@given(st.sets(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)), min_size=2))
def test_hash_of_different_pairs_differs(pairs):
    columns = np.array(list(pairs))
    assert len(set(hash_pairs(columns[:, 0], columns[:, 1], seed=5).tolist())) == len(pairs)
