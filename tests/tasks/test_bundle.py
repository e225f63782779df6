"""The bundle of a model, from a dataset of three users that a reader can check by hand; without Spark and Prefect."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sample_artifacts import problems, publish, publish_folder

from models.base import Interactions
from models.popularity import Popularity
from reviews.catalogue import SAMPLE_PREFIX
from schema.bundle import Bundle
from schema.metric import MetricRow
from storage import layout
from storage.inventory import newest_bundle
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.bundle import publish_bundle, require_bundle
from tasks.ingest import keep_file
from tasks.options import PlaceOptions

USERS, ITEMS = [f"{SAMPLE_PREFIX}1", "b", "c"], ["x", "y", "z"]
DAY = 86_400
PRODUCTS = (
    '{"asin": "z", "title": "A lens", "brand": "Arbora", "categories": [["Shop", "Cameras", "Lenses"]]}',
    '{"asin": "x", "title": "A hub &amp; a cable", "category": ["Shop", "Audio"]}',
    '{"asin": "other", "title": "Not of the dataset", "brand": "Nobody"}',
)


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    return PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")


def write(folder: Path, name: str, **columns: Any) -> None:
    table = pa.table({c: pa.array(v, pa.int32()) if c.endswith("_idx") else v for c, v in columns.items()})
    write_parquet([table], folder / name, table.schema)


def publish_dataset(places: PlaceOptions, *, is_bare: bool = False) -> Manifest:
    """Publish interactions of which the rows do not stand by user and item; if bare, without ratings and times."""
    folder, store = places.work_dir / "dataset", places.open_store()
    nothing = pa.nulls(4, pa.int64()) if is_bare else None
    ratings = pa.nulls(4, pa.float32()) if is_bare else pa.array([2.0, 5.0, 1.0, 4.0], pa.float32())
    write(
        folder,
        layout.INTERACTIONS,
        user_idx=[2, 0, 0, 1],
        item_idx=[0, 2, 0, 0],
        rating=ratings,
        timestamp=nothing if is_bare else [40 * DAY, 30 * DAY, 400 * DAY, 10 * DAY],
    )
    write(folder, layout.USER_MAP, user_idx=[0, 1, 2], user_id=USERS)
    write(folder, layout.ITEM_MAP, item_idx=[0, 1, 2], item_id=ITEMS)
    publish(store, layout.RAW, "ab" * 32, files={"reviews.json.gz": b"rows"})
    publish(store, layout.REVIEWS_KIND, "1111", {"raw": "ab" * 32})
    counts = {"n_users": 3, "n_items": 3, "has_ratings": not is_bare, "has_timestamps": not is_bare}
    return publish_folder(store, folder, layout.DATASETS, "2222", inputs={"reviews": "1111"}, counts=counts)


def publish_model(places: PlaceOptions, model_id: str = "6666") -> Manifest:
    folder, kind = places.work_dir / model_id, Popularity()
    kind.fit(Interactions.of(3, 3, item_idx=[0, 2, 0, 0]), {}).save(folder / kind.folder)
    made_of = {"shares": [{"model": "popularity", "parameters": {}, "weight": 2.0}]}
    rows = [
        vars(MetricRow("popularity", made_of, split, "ndcg", 10, 0.3, 0.2, 0.4, 3)) for split in ("validation", "test")
    ]
    (folder / layout.METRICS).write_text(json.dumps({"rows": rows, "guard": None, "lead": {"leader": "popularity"}}))
    about = {"parameters": {"model": kind.name, "select_by": "ndcg_10"}, "counts": {"n_users": 3, "n_items": 3}}
    return publish_folder(places.open_store(), folder, artifact_id=model_id, inputs={"dataset": "2222"}, **about)


def publish_lists(places: PlaceOptions) -> Manifest:
    folder = places.work_dir / "recommendations"
    write(folder / layout.LISTS, "part-00000.parquet", user_idx=[0], rank=[1], item_idx=[1], score=[0.5])
    write(
        folder / layout.LISTS, "part-00001.parquet", user_idx=[1, 1], rank=[1, 2], item_idx=[2, 1], score=[0.75, 0.25]
    )
    about = {"inputs": {"model": "6666"}, "counts": {"top_n": 2}}
    return publish_folder(places.open_store(), folder, layout.RECOMMENDATIONS, "7777", **about)


def keep_products(places: PlaceOptions) -> Manifest:
    path = places.work_dir / "products.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(PRODUCTS))
    return keep_file.fn(places, path)


def load(places: PlaceOptions, bundle: Manifest) -> Bundle:
    return Bundle.load(Path(places.store_uri) / layout.BUNDLES / bundle.id / layout.SERVED)


def test_a_bundle_has_all_that_is_known_of_users_and_items_by_their_indices(places: PlaceOptions) -> None:
    dataset, model = publish_dataset(places), publish_model(places)
    published = publish_bundle.fn(places, model, dataset, publish_lists(places), keep_products(places))
    bundle = load(places, published)
    assert published.id.startswith("6666-")
    assert len(published.id) == len("6666-") + 8
    assert ([bundle.user_ids[n] for n in range(3)], [bundle.item_ids[n] for n in range(3)]) == (USERS, ITEMS)
    assert [one.tolist() for one in bundle.histories] == [[0, 2, 3, 4], [0, 2, 0, 0]]
    assert bundle.rating.tolist() == [1.0, 5.0, 4.0, 2.0]
    assert (bundle.timestamp // DAY).tolist() == [400, 30, 10, 40]
    assert (bundle.first_seen // DAY).tolist() == [10, -1, 30]
    assert [bundle.titles[n] for n in range(3)] == ["A hub & a cable", "", "A lens"]
    assert [bundle.brands.of_item(n) for n in range(3)] == [[], [], ["Arbora"]]
    assert [bundle.categories.of_item(n) for n in range(3)] == [["Shop", "Audio"], [], ["Shop", "Cameras", "Lenses"]]
    assert list(bundle.popular) == ["popularity", "recent-popularity"]
    assert bundle.popular["popularity"].tolist() == [3.0, 0.0, 1.0]
    assert bundle.lists is not None
    assert bundle.lists[0].tolist() == [[1, -1], [2, 1], [-1, -1]]
    assert bundle.lists[1].tolist() == [[0.5, -np.inf], [0.75, 0.25], [-np.inf, -np.inf]]
    assert problems(places.open_store()) == []


def test_a_bundle_says_what_the_model_is_and_leads_back_to_the_raw_file(places: PlaceOptions) -> None:
    dataset, model = publish_dataset(places), publish_model(places)
    products = keep_products(places)
    about = load(places, publish_bundle.fn(places, model, dataset, None, products)).about
    assert (about["model_id"], about["model"], about["parameters"]) == ("6666", "popularity", {})
    [row] = about["metrics"]
    assert (row["split"], row["value"], row["parameters"]["shares"][0]["weight"]) == ("test", 0.3, 2.0)
    assert about["verdicts"] == {"guard": None, "lead": {"leader": "popularity"}}
    assert about["is_sample_data"]
    named = [(row["role"], row["kind"], row["id"], row["name"]) for row in about["lineage"]]
    assert named == [
        ("model", "models", "6666", None),
        ("dataset", "datasets", "2222", None),
        ("reviews", "reviews", "1111", None),
        ("raw", "raw", "ab" * 32, "reviews.json.gz"),
        ("products", "raw", products.id, "products.json"),
    ]


def test_without_ratings_times_products_and_lists_a_bundle_says_so(places: PlaceOptions) -> None:
    bundle = load(
        places, publish_bundle.fn(places, publish_model(places), publish_dataset(places, is_bare=True), None, None)
    )
    assert np.isnan(bundle.rating).all()
    assert (bundle.timestamp.tolist(), bundle.first_seen.tolist()) == ([-1] * 4, [-1] * 3)
    assert (list(bundle.popular), bundle.lists) == (["popularity"], None)
    assert not {bundle.titles[n] for n in range(3)} - {""}
    assert not len(bundle.brands.names)


def test_products_that_the_store_knows_are_taken_where_none_are_named(places: PlaceOptions) -> None:
    dataset, lists = publish_dataset(places), publish_lists(places)
    named = publish_bundle.fn(places, publish_model(places), dataset, None, keep_products(places))
    for model, recommendations in ((publish_model(places), lists), (publish_model(places, "9999"), None)):
        later = publish_bundle.fn(places, model, dataset, recommendations, None)
        assert later.inputs["products"] == named.inputs["products"]
        assert load(places, later).titles[2] == "A lens"


def test_a_bundle_that_is_asked_for_again_is_the_newest_again(places: PlaceOptions) -> None:
    dataset, model, lists = publish_dataset(places), publish_model(places), publish_lists(places)
    first, other = (publish_bundle.fn(places, model, dataset, one, None) for one in (lists, None))
    assert first.id != other.id == newest_bundle(places.open_store(), model.id)
    assert publish_bundle.fn(places, model, dataset, lists, None) == first
    assert newest_bundle(places.open_store(), model.id) == first.id


def test_a_model_that_is_to_serve_gets_a_bundle_with_its_lists_unless_it_has_one(places: PlaceOptions) -> None:
    dataset, model, lists = publish_dataset(places), publish_model(places), publish_lists(places)
    made = require_bundle.fn(places, model)
    assert made.inputs == {"model": "6666", "dataset": "2222", "recommendations": lists.id}
    own = publish_bundle.fn(places, model, dataset, None, None)
    assert require_bundle.fn(places, model) == own
