"""Files of pairs against a dataset: the parts of a split, and lists that were made elsewhere."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from loguru import logger
from sample_artifacts import publish_folder

from evaluation.options import SplitOptions
from schema.errors import InvalidInput
from storage import layout
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.dataset import read_indices, split_dataset
from tasks.ingest import keep_file
from tasks.options import PlaceOptions
from tasks.store import read_table


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    return PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")


@pytest.fixture
def dataset(places: PlaceOptions) -> Manifest:
    """Users 01 and 02, who have the items 007 and 8."""
    folder = places.work_dir / "dataset"
    index, nothing = pa.array([0, 0, 1, 1], pa.int32()), pa.nulls(4, pa.float32())
    items = pa.array([0, 1, 0, 1], pa.int32())
    tables = {
        layout.INTERACTIONS: {
            "user_idx": index,
            "item_idx": items,
            "rating": nothing,
            "timestamp": nothing.cast(pa.int64()),
        },
        layout.USER_MAP: {"user_idx": pa.array([0, 1], pa.int32()), "user_id": ["01", "02"]},
        layout.ITEM_MAP: {"item_idx": pa.array([0, 1], pa.int32()), "item_id": ["007", "8"]},
    }
    for name, columns in tables.items():
        table = pa.table(columns)
        write_parquet([table], folder / name, table.schema)
    counts = {"n_users": 2, "n_items": 2, "has_ratings": False, "has_timestamps": False}
    return publish_folder(places.open_store(), folder, layout.DATASETS, "d", counts=counts)


def keep(places: PlaceOptions, name: str, content: bytes) -> Manifest:
    places.work_dir.mkdir(exist_ok=True)
    path = places.work_dir / name
    path.write_bytes(content)
    return keep_file.fn(places, path)


@pytest.fixture
def said() -> list[str]:
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING", format="{message}")
    yield lines
    logger.remove(sink)


def test_files_of_a_split_are_read_as_reviews_are(places, dataset, said):
    files = {
        "train_file": keep(places, "train.tsv", b"\xef\xbb\xbfuserId\tmovieId\n01\t007\n02\t 8\n"),
        "validation_file": keep(places, "validation.csv", "user_id;ISBN\n01;8\n".encode("utf-16")),
        "test_file": keep(places, "test.gz", gzip.compress(b'[{"user_id": "02",\n "parent_asin": "007"}]')),
    }
    options = SplitOptions(split="files", split_validation_file="v", split_test_file="t")
    split = split_dataset.fn(places, dataset, options, files)
    parts = {
        name: [tuple(row.values())[:2] for row in read_table(places, split, f"{name}.parquet").to_pylist()]
        for name in ("train", "validation", "test")
    }
    assert parts == {"train": [(0, 0), (1, 1)], "validation": [(0, 1)], "test": [(1, 0)]}
    assert "train.tsv: 1 ids have blanks at their ends, which are cut off.\n" in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"user_id,item_id\n1,007\n2,8\n", "lists.csv: no user_id of its 2 rows is in the dataset, as '1'"),
        (b"user_id,item_id\n01,7\n02,7\n", "lists.csv: no item_id of its 2 rows is in the dataset, as '7'"),
    ],
)
def test_pairs_of_which_all_users_or_all_items_are_unknown_are_refused(places, dataset, content, message):
    with pytest.raises(InvalidInput, match=message):
        read_indices(places, dataset, keep(places, "lists.csv", content))


def test_pairs_of_which_some_are_unknown_are_read(places, dataset):
    lists = keep(places, "lists.csv", b"user_id,item_id,rank\n01,007,1\n02,7,1\n3,8,2\n")
    ids, user_idx, item_idx = read_indices(places, dataset, lists)
    assert (user_idx.tolist(), item_idx.tolist(), ids["rank"].to_pylist()) == ([0, 1, -1], [0, -1, 1], [1, 1, 2])
