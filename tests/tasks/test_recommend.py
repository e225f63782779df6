"""Recommendations that are counted as they were written; without Spark, Dask and Prefect."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sample_artifacts import publish_folder

from models.base import Interactions
from models.popularity import Popularity
from storage import layout
from storage.parquet import write_parquet
from tasks.options import PlaceOptions, RecommendOptions
from tasks.recommend import publish_recommendations, recommend_block

TABLES = {
    layout.INTERACTIONS: {"user_idx": [0, 0, 1, 2, 2], "item_idx": [0, 1, 0, 0, 1]},
    layout.USER_MAP: {"user_idx": [0, 1, 2], "user_id": ["a", "b", "c"]},
    layout.ITEM_MAP: {"item_idx": [0, 1], "item_id": ["x", "y"]},
}


def test_users_who_have_every_item_are_counted_as_users_without_a_list(tmp_path: Path) -> None:
    places = PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")
    for name, columns in TABLES.items():
        table = pa.table({c: pa.array(v, pa.int32()) if c.endswith("_idx") else v for c, v in columns.items()})
        write_parquet([table], tmp_path / "dataset" / name, table.schema)
    dataset = publish_folder(places.open_store(), tmp_path / "dataset", layout.DATASETS, "d")
    kind = Popularity()
    fitted = kind.fit(Interactions.of(3, 2, item_idx=TABLES[layout.INTERACTIONS]["item_idx"]), {})
    fitted.save(tmp_path / "model" / kind.folder)
    counts = {"n_users": 3, "n_items": 2}
    model = publish_folder(places.open_store(), tmp_path / "model", parameters={"model": kind.name}, counts=counts)
    options = RecommendOptions(top_n=5, recommend_block_users=2)
    parts = [recommend_block.fn(places, model, dataset, options, first) for first in (0, 2)]
    made = publish_recommendations.fn(places, model, options, parts)
    assert made.counts == {"n_users": 1, "n_users_without_list": 2, "n_rows": 1, "top_n": 5, "n_parts": 2}
    lists = tmp_path / "store" / made.kind / made.id / layout.LISTS
    assert pq.read_table(lists).to_pylist() == [
        {"user_idx": 1, "user_id": "b", "rank": 1, "item_idx": 1, "item_id": "y", "score": 2.0}
    ]
