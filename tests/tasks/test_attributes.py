"""What products say of items, from their file through a split to the links of a model; without Spark and Prefect."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loguru import logger
from sample_artifacts import publish_folder

from evaluation.options import SplitOptions
from models.base import Interactions
from models.item_item import ItemItemModel
from models.registry import KINDS, Candidate
from schema.errors import InvalidInput
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from spark.options import DatasetOptions, SparkOptions
from storage import layout
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks import room
from tasks.attributes import add_new_items, products_of, read_content, read_raw_products
from tasks.dataset import build_dataset, split_dataset
from tasks.fit import fit, load_model
from tasks.ingest import keep_file
from tasks.options import EvaluationOptions, PlaceOptions
from tasks.score import Scored, read_ranked, score
from tasks.store import read_table

ITEMS = ["first", "second", "unknown", "newest"]
PRODUCTS = (
    '{"asin": "second", "brand": "Arbora", "categories": [["Shop", "Lenses"]]}',
    '{"asin": "newest", "brand": "Arbora", "also_view": ["second", "first"]}',
    '{"asin": "elsewhere", "brand": "Arbora"}',
)
KNN = Candidate(model="item-knn", parameters={"knn_shrinkage": 0.0, "knn_room": 1.0})
DAY = 86_400


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    return PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")


@pytest.fixture
def dataset(places: PlaceOptions) -> Manifest:
    """Eight users have the first and the second item by turns, and on later days some another one."""
    folder = places.work_dir / "dataset"
    users, items = [*np.repeat(np.arange(8), 2), 7, 6, 5], [*np.tile([0, 1], 8), 2, 3, 3]
    days = [*np.tile([1, 2], 8), 3, 4, 5]
    columns = {"user_idx": pa.array(users, pa.int32()), "item_idx": pa.array(items, pa.int32())}
    columns |= {"rating": pa.nulls(19, pa.float32()), "timestamp": pa.array(np.array(days) * DAY, pa.int64())}
    maps = pa.table({"item_idx": pa.array(range(4), pa.int32()), "item_id": ITEMS})
    for name, table in ((layout.INTERACTIONS, pa.table(columns)), (layout.ITEM_MAP, maps)):
        write_parquet([table], folder / name, table.schema)
    counts = {"n_users": 8, "n_items": 4, "has_ratings": False, "has_timestamps": True}
    return publish_folder(places.open_store(), folder, layout.DATASETS, "d", counts=counts)


@pytest.fixture
def products(places: PlaceOptions, tmp_path: Path) -> Manifest:
    path = tmp_path / "products.json"
    path.write_text("\n".join(PRODUCTS))
    return keep_file.fn(places, path)


def test_products_that_a_dataset_lacks_come_after_its_items(places, products, tmp_path):
    item_map = pa.table({"item_idx": pa.array([0, 1], pa.int32()), "item_id": ["second", "zoom"]})
    write_parquet([item_map], tmp_path / layout.ITEM_MAP, item_map.schema)
    assert add_new_items(places, products, tmp_path) == 2
    found = pq.read_table(tmp_path / layout.ITEM_MAP)
    assert found.to_pydict() == {"item_idx": [0, 1, 2, 3], "item_id": ["second", "zoom", "elsewhere", "newest"]}


def test_products_whose_ids_an_ingest_would_refuse_are_left_out_and_counted(places, tmp_path):
    ids = ["good", "A\ud800", "B" * 257, "a\nb", "a\0", " "]
    path = tmp_path / "products.json"
    path.write_text("\n".join(json.dumps({"asin": one, "brand": "Arbora"}) for one in ids))
    item_map = pa.table({"item_idx": pa.array([0], pa.int32()), "item_id": ["second"]})
    write_parquet([item_map], tmp_path / layout.ITEM_MAP, item_map.schema)
    said: list[str] = []
    sink = logger.add(said.append, level="WARNING")
    assert add_new_items(places, keep_file.fn(places, path), tmp_path) == 1
    logger.remove(sink)
    assert pq.read_table(tmp_path / layout.ITEM_MAP)["item_id"].to_pylist() == ["second", "good"]
    assert "4 products left out" in "".join(said)
    assert "1 records are no product with an id" in "".join(said)


def test_what_is_only_probable_of_products_is_said(places, tmp_path):
    path = tmp_path / "products.csv"
    path.write_bytes("asin,title\nB1,Caf\xe9\nB2,Th\xe9\n".encode("latin-1"))
    said: list[str] = []
    sink = logger.add(said.append, level="WARNING")
    assert read_raw_products(places, keep_file.fn(places, path)).titles == {"B1": "Café", "B2": "Thé"}
    logger.remove(sink)
    assert "The encoding is only probably windows-1252" in "".join(said)


def test_new_items_without_products_are_refused_before_any_work(places, dataset):
    with pytest.raises(InvalidInput, match="--products"):
        build_dataset.fn(places, dataset, DatasetOptions(new_items="on"), SparkOptions())


def split_by_time(places: PlaceOptions, dataset: Manifest, products: Manifest | None, **options) -> Manifest:
    chosen = SplitOptions(**{"split": "time", "test_share": 0.15, "validation_share": 0.1, **options})
    return split_dataset.fn(places, dataset, chosen, products=products)


def test_a_split_keeps_what_products_say_of_the_items_of_its_dataset(places, dataset, products):
    split = split_by_time(places, dataset, products)
    rows = read_table(places, split, layout.ATTRIBUTES).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (1, "brand", "Arbora"),
        (1, "category", "Lenses"),
        (1, "category", "Shop"),
        (3, "brand", "Arbora"),
        (3, "viewed", "first"),
        (3, "viewed", "newest"),
        (3, "viewed", "second"),
    ]
    content = read_content(places, split)
    assert content["brand"].counts.tolist() == [0, 1, 0, 1]
    assert content["viewed"].take(np.array([3])).items.tolist() == [0, 1, 2]
    assert split.counts["n_items_described"] == 2
    assert products_of(places, split.id) == products


def test_a_split_without_products_is_another_one_and_says_nothing_of_items(places, dataset, products):
    split = split_by_time(places, dataset, None)
    assert split.id != split_by_time(places, dataset, products).id
    assert read_content(places, split) is None
    assert products_of(places, split.id) is None


def test_a_fit_links_the_new_item_to_what_its_product_is_like(places, dataset, products):
    with_products = split_by_time(places, dataset, products)
    history = Histories.of(ItemsByUser(np.array([0, 1]), np.array([0], np.int32)))
    scores = {}
    for split in (split_by_time(places, dataset, None), with_products):
        model = load_model(places, fit.fn(places, split, ("train",), KNN, SparkOptions()))
        assert isinstance(model, ItemItemModel)
        scores[split.id] = model.score_histories(history)[0].tolist()
    without, found = scores.values()
    assert without == pytest.approx([0, 1, 0, 0])  # all eight users have both items
    assert found == pytest.approx([0, 1, 0, 1])  # the newest, of the brand of the second, is as near as that one


def test_the_daily_models_of_a_rolling_split_know_products(places, dataset, products):
    found = []
    for known in (None, products):
        split = split_by_time(places, dataset, known, split="rolling", rolling_share=0.15)
        fitted = fit.fn(places, split, ("train", "validation"), KNN, SparkOptions())
        found.append(read_ranked(places, score.fn(places, split, fitted, KNN, "test", EvaluationOptions())))
    assert [lists[:, :2].tolist() for lists in found] == [[[2, 3]] * 2, [[3, 2]] * 2]


def test_the_price_of_room_is_shown(places, dataset, products, monkeypatch):
    """What is held out is the newest item; the other one that users lack is linked with 1 / sqrt(8)."""
    shown: list[dict[str, str]] = []
    said: list[str] = []
    monkeypatch.setattr(
        room, "create_table_artifact", lambda rows, description, **_: shown.extend(rows) or said.append(description)
    )
    split = split_by_time(places, dataset, products)
    half = KNN.model_copy(update={"parameters": {**KNN.parameters, "knn_room": 0.5}})
    priced = []
    for one in room.other_rooms(split, half):
        fitted = fit.fn(places, split, ("train", "validation"), one, SparkOptions())
        priced.append(Scored(one, fitted, score.fn(places, split, fitted, one, "test", EvaluationOptions())))
    room.show_room.fn(places, priced)
    scores = replace(priced[0].scores, counts={**priced[0].scores.counts, "n_warm_users": 5000})
    room.show_room.fn(places, [replace(priced[0], scores=scores)])
    assert shown.pop()["room"] == "0"
    assert [", on a sample of 2 users" in one for one in said] == [False, True]
    others = dict.fromkeys(("tail", "torso", "head"), "none held out")
    second, first = f"{1 / np.log2(3):.4f}", "1.0000"
    assert shown == [
        {"room": of, "all": value, "cold": value, **others}
        for of, value in (("0", second), ("0.5", first), ("1", first))
    ]


def test_the_room_that_is_priced_is_one_that_can_be_fitted_and_tells_candidates_apart(places, dataset, products):
    split, about = split_by_time(places, dataset, products), dict.fromkeys(("item-graph", "item-knn", "ease"), 60.0)
    for model, own in about.items():
        room_name = str(KINDS[model].room)
        rooms = room.other_rooms(split, Candidate(model=model, parameters={room_name: own}))
        assert [one.parameters[room_name] for one in rooms] == [0, 60, 100]
        assert len({one.label for one in rooms}) == 3
        assert KINDS[model].fit(Interactions.of(1, 2, user_idx=[0], item_idx=[0], timestamp=[1]), rooms[-1].parameters)
        [*_, most] = rooms
        assert [one.parameters[room_name] for one in room.other_rooms(split, most)] == [0, 100]
        assert room.other_rooms(split, Candidate(model=model, parameters={})) == []


def test_without_products_or_room_there_is_no_price(places, dataset, products):
    of_none = KNN.model_copy(update={"parameters": {"knn_room": 0.0}})
    assert room.other_rooms(split_by_time(places, dataset, None), KNN) == []
    assert room.other_rooms(split_by_time(places, dataset, products), of_none) == []
    assert (
        room.other_rooms(split_by_time(places, dataset, products), Candidate(model="popularity", parameters={})) == []
    )
