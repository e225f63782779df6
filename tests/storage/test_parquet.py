from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import parquet
from storage.parquet import write_parquet

SCHEMA = pa.schema([("n", pa.int32()), ("name", pa.string())])


def rows(values: list[int]) -> pa.Table:
    return pa.table({"n": pa.array(values, pa.int32()), "name": [f"name {value % 7}" for value in values]}, SCHEMA)


def cut(table: pa.Table, cuts: list[int]) -> list[pa.Table]:
    """Return the table in pieces, cut at the rows given."""
    bounds = [0, *sorted(cut % (len(table) + 1) for cut in cuts), len(table)]
    return [table.slice(start, stop - start) for start, stop in pairwise(bounds)]


@settings(max_examples=50)
@given(values=st.lists(st.integers(0, 99), max_size=30), cuts=st.lists(st.integers(0, 30), max_size=6))
def test_how_rows_are_cut_into_tables_and_chunks_does_not_show(tmp_path_factory, values, cuts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "ROW_GROUP_ROWS", 4)
        folder = tmp_path_factory.mktemp("canonical")
        pieces = cut(rows(values), cuts)
        for name, tables in (("whole", [rows(values)]), ("cut", pieces), ("chunked", [pa.concat_tables(pieces)])):
            assert write_parquet(tables, folder / name, SCHEMA) == len(values)
    whole = (folder / "whole").read_bytes()
    assert (folder / "cut").read_bytes() == (folder / "chunked").read_bytes() == whole
    assert pq.read_table(folder / "cut").to_pydict() == rows(values).to_pydict()


def test_every_row_group_but_the_last_is_full(tmp_path):
    write_parquet(cut(rows([7] * 300_000), [5, 200_000]), tmp_path / "file", SCHEMA)
    with pq.ParquetFile(tmp_path / "file") as file:
        sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sizes == [131_072, 131_072, 37_856]


def test_pages_of_many_rows_do_not_follow_the_cut(tmp_path):
    schema = pa.schema([("name", pa.string())])
    many = pa.table({"name": [f"{value * 7_919 % 99_991:015d}" for value in range(100_000)]}, schema)
    for name, cuts in (("whole", []), ("cut", list(range(777, 100_000, 777)))):
        write_parquet(cut(many, cuts), tmp_path / name, schema)
    assert (tmp_path / "cut").read_bytes() == (tmp_path / "whole").read_bytes()


def test_columns_are_picked_and_cast_and_metadata_is_left_out(tmp_path):
    table = pa.table({"name": ["a"], "more": [0.5], "n": pa.array([1], pa.int64())})
    write_parquet(
        [table.replace_schema_metadata({"made": "today"})], tmp_path / "file", SCHEMA.with_metadata({"a": "b"})
    )
    assert pq.read_metadata(tmp_path / "file").metadata is None
    assert pq.read_schema(tmp_path / "file").equals(SCHEMA, check_metadata=True)


def test_no_rows_give_a_file_with_columns(tmp_path):
    assert write_parquet([], tmp_path / "file", SCHEMA) == 0
    assert pq.read_table(tmp_path / "file").schema.equals(SCHEMA)


def test_a_file_that_was_not_finished_leaves_nothing(tmp_path):
    with pytest.raises(KeyError):
        write_parquet([rows([1]), pa.table({"n": [1]})], tmp_path / "file", SCHEMA)
    assert list(tmp_path.iterdir()) == []
