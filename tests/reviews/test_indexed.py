"""Reviews as arrays: the same as pandas' categories, from a table or a file, however it is cut."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reviews import indexed
from reviews.indexed import NO_TIME, index_reviews
from schema.errors import InvalidInput

ROWS = {
    "user_id": ["u2", "u 2", "u1", "u2", "u10", "u2"],
    "item_id": ["B", "B", "é", "B", "A", "a"],
    "rating": [5.0, None, 1.0, 4.0, 3.5, 2.0],
    "timestamp": [20, 10, None, 20, 7, 5],
}


@pytest.mark.parametrize(("batch_rows", "merge_ids"), [(1, 0), (2, 1), (100, 100)])
@pytest.mark.parametrize("is_file", [True, False])
def test_ids_are_numbered_in_order_however_rows_are_cut_into_batches(
    tmp_path, monkeypatch, batch_rows, merge_ids, is_file
):
    monkeypatch.setattr(indexed, "BATCH_ROWS", batch_rows)
    monkeypatch.setattr(indexed, "MERGE_IDS", merge_ids)
    table = pa.table(ROWS)
    pq.write_table(table, tmp_path / "reviews.parquet")
    found = index_reviews(tmp_path / "reviews.parquet" if is_file else table)
    for ids, idx, name in (
        (found.user_ids, found.user_idx, "user_id"),
        (found.item_ids, found.item_idx, "item_id"),
    ):
        expected = pd.Categorical(ROWS[name], categories=sorted(set(ROWS[name])))
        assert (ids.to_pylist(), idx.tolist()) == (expected.categories.tolist(), expected.codes.tolist())
    assert found.user_ids.to_pylist() == ["u 2", "u1", "u10", "u2"], "ids that differ in blanks stay apart"
    assert [None if one != one else one for one in found.ratings.tolist()] == ROWS["rating"]
    assert [None if one == NO_TIME else one for one in found.timestamps.tolist()] == ROWS["timestamp"]


def test_columns_without_a_value_are_none_and_those_without_some_give_the_rows_that_have_one():
    found = index_reviews(pa.table({**ROWS, "rating": pa.nulls(6)}).drop_columns("timestamp"))
    assert (found.ratings, found.timestamps, found.with_ratings(), found.with_times()) == (None,) * 4
    found = index_reviews(pa.table(ROWS))
    assert (found.with_ratings().ratings.tolist(), found.with_times().timestamps.tolist()) == (
        [5.0, 1.0, 4.0, 3.5, 2.0],
        [20, 10, 20, 7, 5],
    )


def test_the_first_row_of_each_pair_stays_by_time_and_then_by_line():
    first = index_reviews(pa.table(ROWS)).interactions
    pairs = zip(first.user_idx.tolist(), first.item_idx.tolist(), first.ratings.tolist(), strict=True)
    assert [pair for pair in pairs if pair[2] == pair[2]] == [(1, 3, 1.0), (2, 0, 3.5), (3, 1, 5.0), (3, 2, 2.0)]
    times = [None, 9, 8]
    undated = pa.table({"user_id": [*"uuu"], "item_id": [*"iii"], "rating": [1.0, 2.0, 3.0], "timestamp": times})
    assert index_reviews(undated).interactions.ratings.tolist() == [3.0]
    assert index_reviews(undated.drop_columns("timestamp")).interactions.ratings.tolist() == [1.0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"user": ["a"], "item_id": ["b"]}), r"lack column\(s\) \['user_id'\]"),
        (pa.table({"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())}), "no rows"),
        (pa.table({"user_id": ["a", None], "item_id": ["b", "b"]}), "1 rows have no id"),
    ],
)
def test_what_is_no_reviews_is_refused(table, message):
    with pytest.raises(InvalidInput, match=message):
        index_reviews(table)
