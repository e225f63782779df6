from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation.splits import SplitOptions
from flows.settings import Settings
from storage import artifacts, layout
from storage.manifest import Manifest
from tasks.places import PlaceOptions
from tasks.split import split_dataset
from tasks.tables import read_table, write_table

DAY = 86_400


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    return PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")


@pytest.fixture
def dataset(places: PlaceOptions, tmp_path: Path) -> Manifest:
    """Six users with five interactions each, one a day, users in step."""
    rows = pa.table(
        {
            "user_idx": np.repeat(np.arange(6, dtype=np.int32), 5),
            "item_idx": np.tile(np.arange(5, dtype=np.int32), 6),
            "rating": np.full(30, 5, dtype=np.float32),
            "timestamp": np.tile(np.arange(5) * DAY, 6),
        }
    )
    folder = tmp_path / "dataset"
    folder.mkdir()
    write_table(rows, folder / layout.INTERACTIONS)
    counts = {"n_users": 6, "n_items": 5, "has_ratings": True, "has_timestamps": True}
    return artifacts.publish(
        places.open_store(), layout.DATASETS, "0" * 16, folder, inputs={}, parameters={}, code_version="", counts=counts
    )


@pytest.mark.parametrize(
    ("flags", "n_test", "n_validation"),
    [
        ({"leave_last_n": "2"}, 12, 12),
        ({"split": "time", "split_at": "1970-01-05"}, 6, 0),
        ({"split": "time", "split_at": "1970-01-03", "validation_share": "0.5"}, 18, 6),
    ],
)
def test_leave_last_n_and_split_at_decide_the_split(
    flags: dict[str, str], n_test: int, n_validation: int, places: PlaceOptions, dataset: Manifest, prefect_api: str
) -> None:
    if not n_validation:
        flags |= {"validation_share": "0.3"}
        n_validation = 6
    options = Settings(**flags).part(SplitOptions)
    split = split_dataset(places, dataset, options)
    assert read_table(places, split, layout.TEST).num_rows == n_test
    assert read_table(places, split, layout.VALIDATION).num_rows == n_validation


def test_same_rows_in_other_chunks_give_the_same_bytes(tmp_path: Path) -> None:
    rows = pa.table({"user_idx": np.arange(300_000, dtype=np.int32)})
    write_table(rows, tmp_path / "a")
    write_table(pa.concat_tables([rows.slice(0, 7), rows.slice(7)]), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert pq.read_metadata(tmp_path / "a").row_group(0).num_rows == 131_072
