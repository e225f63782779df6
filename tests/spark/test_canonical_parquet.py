from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark import canonical
from spark.canonical import write_canonical

SCHEMA = pa.schema([("n", pa.int32())])


def written(folder: Path, values: list[int], cuts: list[int]) -> bytes:
    """Cut the values into parts at the positions given, and return the bytes of the one file made of them."""
    bounds = [0, *sorted(cut % (len(values) + 1) for cut in cuts), len(values)]
    parts = []
    for number, (start, stop) in enumerate(pairwise(bounds)):
        parts.append(folder / f"part-{number}.parquet")
        pq.write_table(pa.table([values[start:stop]], schema=SCHEMA), parts[-1])
    assert write_canonical(parts, folder / "all.parquet", SCHEMA) == len(values)
    return (folder / "all.parquet").read_bytes()


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.integers(0, 99), max_size=30), cuts=st.lists(st.integers(0, 30), max_size=6))
def test_write_canonical_does_not_show_where_the_parts_were_cut(
    tmp_path_factory: pytest.TempPathFactory, values: list[int], cuts: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "ROW_GROUP_ROWS", 4)
        folder = tmp_path_factory.mktemp("canonical")
        assert written(folder, values, cuts) == written(folder, values, [])


def test_write_canonical_fills_each_row_group_but_the_last(tmp_path: Path) -> None:
    written(tmp_path, [7] * 300_000, [5, 200_000])
    with pq.ParquetFile(tmp_path / "all.parquet") as file:
        sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sizes == [131_072, 131_072, 37_856]
