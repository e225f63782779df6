"""Recommendations that are counted as they were written; without Spark, Dask and Prefect."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sample_artifacts import publish_folder

from models.base import Interactions
from models.popularity import Popularity
from storage import layout
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.options import PlaceOptions, RecommendOptions
from tasks.recommend import have_same_lists, publish_recommendations, recommend_block

TABLES = {
    layout.INTERACTIONS: {"user_idx": [0, 0, 1, 2, 2], "item_idx": [0, 1, 0, 0, 1]},
    layout.USER_MAP: {"user_idx": [0, 1, 2], "user_id": ["a", "b", "c"]},
    layout.ITEM_MAP: {"item_idx": [0, 1], "item_id": ["x", "y"]},
}


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    return PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")


def publish(places: PlaceOptions, name: str, **changed: dict[str, list[Any]]) -> tuple[Manifest, Manifest]:
    """Publish popularity of a dataset of two items, with that dataset, of which tables may be changed."""
    folder, kind = places.work_dir / name, Popularity()
    tables = {table: columns | changed.get(table.split(".")[0], {}) for table, columns in TABLES.items()}
    n_rows = len(tables[layout.INTERACTIONS]["user_idx"])
    tables[layout.INTERACTIONS] |= {"rating": [5.0] * n_rows, "timestamp": [0] * n_rows}
    for table_name, columns in tables.items():
        table = pa.table({c: pa.array(v, pa.int32()) if c.endswith("_idx") else v for c, v in columns.items()})
        write_parquet([table], folder / "dataset" / table_name, table.schema)
    dataset = publish_folder(places.open_store(), folder / "dataset", layout.DATASETS, f"d-{name}")
    fitted = kind.fit(Interactions.of(3, 2, item_idx=tables[layout.INTERACTIONS]["item_idx"]), {})
    fitted.save(folder / "model" / kind.folder)
    about = {"parameters": {"model": kind.name}, "counts": {"n_users": 3, "n_items": 2}}
    return publish_folder(places.open_store(), folder / "model", artifact_id=f"m-{name}", **about), dataset


def test_users_who_have_every_item_are_counted_as_users_without_a_list(places: PlaceOptions, tmp_path: Path) -> None:
    model, dataset = publish(places, "one")
    options = RecommendOptions(top_n=5, recommend_block_users=2)
    parts = [recommend_block.fn(places, model, dataset, options, first) for first in (0, 2)]
    made = publish_recommendations.fn(places, model, options, parts)
    assert made.counts == {"n_users": 1, "n_users_without_list": 2, "n_rows": 1, "top_n": 5, "n_parts": 2}
    lists = tmp_path / "store" / made.kind / made.id / layout.LISTS
    assert pq.read_table(lists).to_pylist() == [
        {"user_idx": 1, "user_id": "b", "rank": 1, "item_idx": 1, "item_id": "y", "score": 2.0}
    ]


@pytest.mark.parametrize(
    ("changed", "is_same"),
    [
        ({}, True),
        ({"interactions": {"user_idx": [0, 0, 1, 2], "item_idx": [0, 1, 0, 0]}}, False),  # another item is unseen
        ({"item_map": {"item_id": ["x", "z"]}}, False),
        ({"user_map": {"user_id": ["a", "b", "d"]}}, False),
        ({"item_map": {"item_id": ["z", "y"]}}, True),  # nobody gets the item that is called otherwise
    ],
)
def test_models_have_the_same_lists_if_every_user_gets_the_same_items(
    places: PlaceOptions, changed: dict[str, Any], *, is_same: bool
) -> None:
    served = [publish(places, "one"), publish(places, "other", **changed)]
    assert have_same_lists(places, served, n=5, block_users=2) is is_same
