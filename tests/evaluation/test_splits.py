from collections import Counter
from datetime import date
from itertools import chain
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from evaluation.options import SplitOptions
from evaluation.splits import NamedPairs, choose_method, share_to_evaluate, split_interactions
from evaluation.time_order import judge_time_order
from schema.items_by_user import pair_keys

SCHEMA = pa.schema(
    [("user_idx", pa.int32()), ("item_idx", pa.int32()), ("rating", pa.float32()), ("timestamp", pa.int64())]
)


def make_table(rows):
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)


@pytest.fixture
def interactions():
    """Two users with three rows each, in time order, and one with two."""
    first, second = [(0, 0, 5, 10), (0, 1, 4, 20), (0, 2, 3, 30)], [(1, 0, 5, 11), (1, 1, 4, 21), (1, 3, 1, 31)]
    return make_table([*first, *second, (2, 1, 4, 12), (2, 2, 2, 22)])


def without(interactions, column):
    place = SCHEMA.get_field_index(column)
    nulls = pa.nulls(interactions.num_rows, SCHEMA.field(column).type)
    return interactions.set_column(place, column, nulls)


@given(
    st.sets(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=25),
    st.sampled_from(["leave-last", "time", "random", "random-per-user"]),
)
def test_split_keeps_every_row_once_with_its_columns_and_order(pairs, method):
    table = make_table([(u, i, 3.0, u * 7 + i * 1000) for u, i in sorted(pairs)])
    split = split_interactions(table, SplitOptions(split=method, test_share=0.4, validation_share=0.4))
    parts = (split.train, split.validation, split.test)
    assert all(part.schema == table.schema for part in parts)
    rows = [part.to_pylist() for part in parts]
    key = itemgetter("user_idx", "item_idx")
    assert all(part == sorted(part, key=key) for part in rows)
    assert sorted(chain.from_iterable(rows), key=key) == table.to_pylist()


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 40)), min_size=20, unique_by=lambda r: r[:2]
    ),
    st.sampled_from(["leave-last", "time", "random"]),
    st.integers(1, 3),
)
def test_core_before_test_leaves_the_test_part_as_it_is_and_gives_each_user_and_item_k_rows(rows, method, k):
    table = make_table([(user, item, 3.0, day * DAY) for user, item, day in rows])
    usual, found = (
        split_or_none(table, SplitOptions(split=method, split_core=core), min_interactions=k)
        for core in ("all", "before-test")
    )
    assume(usual is not None and found is not None)
    assert (usual.counts.n_outside_core, usual.outside.num_rows, usual.test) == (0, 0, found.test)
    learnt, before = ([*one.train.to_pylist(), *one.validation.to_pylist()] for one in (found, usual))
    for name in ("user_idx", "item_idx"):
        assert min(Counter(row[name] for row in learnt).values()) >= k
    outside = found.outside.to_pylist()
    assert found.counts.n_outside_core == len(outside) == len(before) - len(learnt)
    assert all(row in before and row not in learnt for row in outside)
    core = before
    while (kept := [row for row in core if all(has_k_rows(row, core, name, k) for name in SCHEMA.names[:2])]) != core:
        core = kept
    assert len(core) == len(learnt)


def split_or_none(*about, **options):
    try:
        return split_interactions(*about, **options)
    except ValueError:
        return None


def has_k_rows(row, rows, name, k):
    return sum(other[name] == row[name] for other in rows) >= k


def test_users_outside_the_core_before_test_are_cold():
    busy = [(user, item, 3.0, item) for user in range(3) for item in range(4)]
    table = make_table([*busy, *[(3, item, 3.0, item) for item in range(3)]])
    found, usual = (
        split_interactions(table, SplitOptions(split_core=core), min_interactions=3).counts
        for core in ("before-test", "all")
    )
    assert (found.core, found.n_outside_core, found.test.n_users, found.test.n_cold_users) == ("before-test", 2, 4, 1)
    assert (usual.core, usual.n_outside_core, usual.test.n_users, usual.test.n_cold_users) == ("all", 0, 4, 0)


def test_an_empty_core_before_test_says_what_to_do(interactions):
    with pytest.raises(
        ValueError, match=r"the 3-core of the 6 rows .* 0 for train .*--split-core all.*--min-interactions"
    ):
        split_interactions(interactions, SplitOptions(split_core="before-test"), min_interactions=3)


def test_the_core_is_of_the_rows_before_test_where_that_is_a_stretch_of_time_and_keeps_half_of_it():
    kept = [(user, item, 3.0, item * DAY) for user in range(8) for item in range(10)]
    thin = [(user, user + item, 3.0, (9 * (item > 1) + item) * DAY) for user in range(10, 18) for item in range(4)]
    cores = {
        (name, options.split): split_interactions(make_table(rows), options, min_interactions=4).counts.core
        for name, rows in (("kept", kept), ("thin", thin))
        for options in (
            SplitOptions(split="time", test_share=0.3, validation_share=0.4),
            SplitOptions(split="leave-last"),
            SplitOptions(split="random"),
        )
    }
    assert cores == {
        ("kept", "time"): "before-test",
        ("kept", "leave-last"): "all",
        ("kept", "random"): "all",
        ("thin", "time"): "all",
        ("thin", "leave-last"): "all",
        ("thin", "random"): "all",
    }


def test_a_split_by_files_is_as_the_files_say(interactions):
    named = named_pairs(None, [(0, 1)], [(1, 3)])
    counts = split_interactions(interactions, SplitOptions(split="files"), named, min_interactions=3).counts
    assert (counts.core, counts.train.n_rows) == ("all", 6)


def test_rolling_is_the_default_where_timestamps_can_be_trusted():
    table = make_table([(user, item, 3.0, (40 * user + item) * DAY) for user in range(2) for item in range(40)])
    split = split_interactions(table, SplitOptions())
    assert (split.counts.method, split.counts.test.n_rows, split.counts.validation.n_rows) == ("rolling", 8, 8)
    assert split.test["item_idx"].to_pylist() == list(range(32, 40))


@pytest.mark.parametrize("n_new", [3, 9])
def test_leave_last_is_the_default_where_a_rolling_split_has_too_little_to_evaluate(n_new):
    old = [(user, item, 3.0, item * DAY) for user in range(2) for item in range(40)]
    new = [(2 + n, item, 3.0, (40 + n) * DAY) for n in range(n_new) for item in range(3)]  # all on their first day
    table = make_table([*old, *new])
    columns = table["user_idx"].to_numpy(), table["timestamp"].to_numpy()
    assert judge_time_order(*columns).is_trusted
    assert share_to_evaluate(*columns, 0.1) < 0.5
    assert split_interactions(table, SplitOptions()).counts.method == "leave-last"


def test_leave_last_is_the_default_where_timestamps_cannot_be_trusted(interactions):
    split = split_interactions(interactions, SplitOptions())
    assert split.counts.method == "leave-last"
    assert split.test["item_idx"].to_pylist() == [2, 3]
    assert split.validation["item_idx"].to_pylist() == [1, 1]


def test_random_is_the_default_where_there_are_none(interactions):
    split = split_interactions(without(interactions, "timestamp"), SplitOptions())
    assert split.counts.method == "random"
    assert split.test.num_rows == 2


def test_counts_are_those_of_the_parts_and_name_the_cold(interactions):
    counts = split_interactions(interactions, SplitOptions()).counts
    assert (counts.train.n_rows, counts.train.n_users, counts.train.n_items) == (4, 3, 3)
    assert (counts.train.n_cold_users, counts.train.n_cold_items) == (0, 0)
    assert (counts.validation.n_rows, counts.validation.n_items) == (2, 1)
    assert counts.validation.n_cold_items == 0
    assert (counts.test.n_users, counts.test.n_items) == (2, 2)
    assert (counts.test.n_cold_users, counts.test.n_cold_items) == (0, 1)


def test_split_at_is_midnight_utc_and_users_who_come_later_are_cold():
    table = make_table([(0, 0, 5, 86_398), (0, 1, 5, 86_399), (1, 0, 5, 86_400)])
    options = SplitOptions(split="time", split_at=date(1970, 1, 2), validation_share=0.5)
    split = split_interactions(table, options)
    assert split.test["timestamp"].to_pylist() == [86_400]
    assert split.counts.test.n_cold_users == 1


@pytest.mark.parametrize(
    ("options", "held_out"),
    [
        (SplitOptions(leave_last_n=2), [3, 4]),
        (SplitOptions(split="time", test_share=0.4, validation_share=0.4), [3, 4]),
        (SplitOptions(split="random", test_share=0.6, validation_share=0.4), 3),
    ],
)
def test_every_option_is_obeyed(options, held_out):
    table = make_table([(0, item, 5, 10 + item) for item in range(5)])
    test = split_interactions(table, options).test["item_idx"].to_pylist()
    assert (test if isinstance(held_out, list) else len(test)) == held_out


def test_validation_share_and_seed_are_obeyed():
    table = make_table([(u, i, 5, 1) for u in range(10) for i in range(10)])
    splits = [
        split_interactions(table, SplitOptions(split="random", validation_share=0.5, split_seed=seed))
        for seed in (1, 2)
    ]
    assert [split.validation.num_rows for split in splits] == [40, 40]
    assert splits[0].test != splits[1].test


DAY = 86_400


@pytest.fixture
def daily():
    """One row a day for eight days, of one user."""
    return make_table([(0, item, 5, item * DAY) for item in range(8)])


def test_gap_and_until_leave_rows_in_no_part_and_count_them(daily):
    options = SplitOptions(
        split="time", split_at=date(1970, 1, 6), split_until=date(1970, 1, 8), split_gap_days=1, validation_share=0.25
    )
    split = split_interactions(daily, options)
    parts = (split.train, split.validation, split.test)
    assert [part["item_idx"].to_pylist() for part in parts] == [[0, 1], [3], [5, 6]]
    assert split.counts.n_left_out == 3
    assert split.counts.test.n_cold_items == 2


def test_rows_in_no_part_make_nothing_warm():
    table = make_table([(0, 0, 5, 0), (1, 0, 5, DAY), (2, 9, 5, 2 * DAY), (2, 9, 5, 3 * DAY)])
    options = SplitOptions(split="time", split_at=date(1970, 1, 4), split_gap_days=1, validation_share=0.5)
    with pytest.raises(ValueError, match=r"\(2 in no part\).*--split-gap-days and --split-until leave rows out"):
        split_interactions(table, options)
    table = pa.concat_tables([make_table([(3, 0, 5, -DAY)]), table])
    counts = split_interactions(table, options).counts
    assert (counts.n_left_out, counts.test.n_cold_users, counts.test.n_cold_items) == (2, 1, 1)


def test_splits_that_leave_nothing_out_say_so(interactions):
    counts = split_interactions(interactions, SplitOptions()).counts
    assert (counts.n_left_out, counts.n_leaked) == (0, 0)


def test_random_per_user_holds_out_of_each_user_without_timestamps(interactions):
    split = split_interactions(without(interactions, "timestamp"), SplitOptions(split="random-per-user"))
    assert split.counts.method == "random-per-user"
    assert split.test["user_idx"].to_pylist() == split.validation["user_idx"].to_pylist() == [0, 1]


def named_pairs(train, validation, test):
    keys = [None if rows is None else pair_keys(*np.array(rows).T) for rows in (train, validation, test)]
    return NamedPairs(*keys)


def test_named_pairs_make_the_parts(interactions):
    named = named_pairs(None, [(0, 1)], [(0, 2), (2, 1), (9, 9)])
    split = split_interactions(without(interactions, "timestamp"), SplitOptions(split="files"), named)
    assert split.test["user_idx"].to_pylist() == [0, 2]
    assert (split.train.num_rows, split.counts.n_left_out, split.counts.n_leaked) == (5, 0, 0)


def test_pairs_named_for_two_parts_are_counted_and_rows_of_none_left_out(interactions):
    named = named_pairs([(0, 0), (0, 2)], [(0, 1), (0, 2)], [(0, 1), (1, 1)])
    split = split_interactions(interactions, SplitOptions(split="files"), named)
    assert split.train["item_idx"].to_pylist() == [0, 2]
    assert split.validation["item_idx"].to_pylist() == [1]
    assert split.test["user_idx"].to_pylist() == [1]
    assert (split.counts.n_left_out, split.counts.n_leaked) == (4, 2)


def test_files_that_name_nothing_known_are_refused(interactions):
    with pytest.raises(ValueError, match=r"leaves 8 for train, 0 for validation and 0 for test.*name pairs"):
        split_interactions(interactions, SplitOptions(split="files"), named_pairs(None, [(9, 9)], [(9, 8)]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"split_gap_days": 3}, r"split_gap_days is 3, which only split 'time' obeys; the split is 'leave-last'"),
        (
            {"rolling_refits": 3},
            r"rolling_refits is 3, which only split 'rolling' obeys; .* leave --rolling-refits out",
        ),
        ({"split": "time", "rolling_share": 0.2}, "Use --split rolling"),
        ({"split": "rolling", "rolling_share": 0.05}, "0 for test .*choose another --rolling-share"),
        ({"split": "random", "split_until": date(2014, 1, 1)}, "leave --split-until out"),
        ({"split": "time", "split_test_file": "test.csv"}, "Use --split files"),
        ({"split_train_file": "train.csv"}, "split_train_file is train.csv"),
        ({"split_validation_file": "v.csv"}, "split_validation_file is v.csv"),
        ({"split": "files"}, "Name the files with --split-validation-file and --split-test-file"),
        ({"split": "time", "split_at": date(1970, 1, 1)}, "leaves 0 for train, 0 for validation and 8 for test"),
        ({"split": "time", "leave_last_n": 2}, r"only split 'leave-last' obeys"),
        ({"leave_last_n": 2}, r"leaves 8 for train.*each user needs 5 interactions"),
    ],
)
def test_options_that_do_not_fit_the_split_or_the_data_are_refused_and_not_ignored(interactions, values, message):
    with pytest.raises(ValueError, match=message):
        split_interactions(interactions, SplitOptions(**values))


@pytest.mark.parametrize("method", ["leave-last", "time"])
def test_time_splits_without_timestamps_say_what_to_do(interactions, method):
    with pytest.raises(ValueError, match=r"8 have none\. Use --split random"):
        choose_method(without(interactions, "timestamp"), SplitOptions(split=method))


def test_a_split_does_not_need_ratings(interactions):
    assert split_interactions(without(interactions, "rating"), SplitOptions()).test.num_rows == 2


def test_some_missing_timestamps_are_refused_and_not_guessed(interactions):
    some = pa.concat_tables([interactions, make_table([(3, 0, 5, None)])])
    with pytest.raises(ValueError, match="1 have none"):
        split_interactions(some, SplitOptions())


def test_an_empty_table_is_refused():
    with pytest.raises(ValueError, match="leaves 0 for train"):
        split_interactions(SCHEMA.empty_table(), SplitOptions())


@pytest.mark.parametrize(
    "values", [{"test_share": 1.0}, {"leave_last_n": 0}, {"split": "temporal"}, {"seed": 1}, {"split_gap_days": -1}]
)
def test_options_refuse_what_cannot_be_obeyed(values):
    with pytest.raises(ValidationError):
        SplitOptions(**values)
