"""An exploration as a user runs it, beside the training on the same reviews, and an item and a user looked up."""

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from prefect.settings import PREFECT_API_URL
from workplace import Workplace

from evaluation.options import SplitOptions
from evaluation.splits import choose_method
from flows import explore
from flows.child_server import free_port
from reviews.sample import SampleFiles
from storage import layout

Trained = tuple[Workplace, dict[str, Any]]


def run(trained: Trained, sample: SampleFiles, *flags: str) -> dict[str, Any]:
    workplace, target = trained[0], trained[0].folder / "explored.json"
    places = ["--store", workplace.store_uri, "--work-dir", str(workplace.folder / "work")]
    tracking = ["--mlflow-tracking-uri", workplace.tracking_uri]
    tracking += ["--mlflow-artifact-dir", str(workplace.folder / "artifacts")]
    assert explore.main(["--input", str(sample.reviews), *places, *tracking, *flags, "--json", str(target)]) == 0
    record: dict[str, Any] = json.loads(target.read_text())
    return record


@pytest.fixture(scope="module")
def explored(trained: Trained, sample: SampleFiles) -> dict[str, Any]:
    return run(trained, sample)


def shown(key: str) -> list[str]:
    """Return the Markdown artifacts of a key, the newest first."""
    body = {"artifacts": {"key": {"any_": [key]}}, "sort": "UPDATED_DESC"}
    found = httpx.post(f"{PREFECT_API_URL.value()}/artifacts/filter", json=body).json()
    return [str(one["data"]) for one in found]


def test_advice_is_of_the_dataset_and_the_split_that_a_training_makes_by_default(trained, explored):
    workplace, trained_record = trained
    store = workplace.folder / "store"
    found = json.loads((store / layout.EXPLORATIONS / explored["ids"]["exploration"] / layout.EXPLORATION).read_text())
    dataset = store / layout.DATASETS / trained_record["ids"]["dataset"]
    counts = trained_record["counts"]["dataset"]
    assert {name: found["outlook"][name] for name in ("n_interactions", "n_users", "n_items")} == {
        name: counts[name] for name in ("n_interactions", "n_users", "n_items")
    }
    assert explored["ids"]["reviews"] == trained_record["ids"]["reviews"]
    interactions = pq.read_table(dataset / layout.INTERACTIONS)
    assert found["outlook"]["method"] == choose_method(interactions, SplitOptions())
    assert len(np.unique(interactions["user_idx"])) == found["exploration"]["cores"][4]["n_users"]


def test_the_report_is_in_the_store_in_mlflow_and_on_prefects_pages(trained, explored):
    report = Path(explored["uris"]["report"].removeprefix("file://"))
    client = MlflowClient(tracking_uri=trained[0].tracking_uri)
    tracked = client.get_run(explored["ids"]["mlflow_run"])
    assert tracked.info.status == "FINISHED"
    assert tracked.data.tags["exploration_id"] == explored["ids"]["exploration"]
    assert tracked.data.metrics["n_users"] == explored["counts"]["exploration"]["n_users"]
    assert set(tracked.data.metrics) == {"n_rows", "n_users", "n_items", "n_interactions"}
    (logged,) = client.list_artifacts(tracked.info.run_id)
    assert (logged.path, logged.file_size) == (layout.REPORT, report.stat().st_size)
    assert any("Which split" in text for text in shown("advice"))
    assert any(explored["ids"]["report"] in text for text in shown("read-first"))


def test_an_item_and_a_user_are_looked_up_and_shown(trained, sample, explored, capsys):
    found = json.loads(
        (trained[0].folder / "store" / "explorations" / explored["ids"]["exploration"] / "exploration.json").read_text()
    )["exploration"]
    item, user = (found[side]["top"][0] for side in ("popularity", "activity"))
    record = run(trained, sample, "--item", item["id"], "--user", user["id"])
    assert [(one["id"], one["n_interactions"], one["place"]) for one in record["found"]] == [
        (item["id"], item["n_interactions"], 1),
        (user["id"], user["n_interactions"], 1),
    ]
    said = capsys.readouterr().out
    assert f"Item {item['id']}" in said
    assert record["found"][1]["by_cosine"][0]["id"] in said
    assert any(user["id"] in text for text in shown("look-up-user"))
    assert "exploration" not in record["ids"]


def test_a_dead_mlflow_server_is_known_before_reviews_are_read_and_a_look_up_needs_no_mlflow(sample, in_folder):
    places = ["--input", str(sample.reviews), "--store", "store", "--work-dir", "work", "--mlflow-tracking-uri"]
    assert explore.main([*places, f"http://127.0.0.1:{free_port()}"]) == 1
    assert not list((in_folder / "store").glob("*/*/manifest.json"))
    with gzip.open(sample.reviews) as lines:
        item = json.loads(next(lines))["asin"]
    (in_folder / "file").write_text("no folder")
    assert explore.main([*places, "sqlite:///file/mlflow.db", "--item", item]) == 0
