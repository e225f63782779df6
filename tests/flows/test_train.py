import json
import re
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from flows import recommend
from schema.digests import file_sha256
from serving.loading import load
from storage import artifacts, layout
from storage.local import LocalStore
from storage.manifest import Manifest

Trained = tuple[Any, dict[str, Any]]


def found(store: LocalStore, kind: str, record: dict[str, Any], role: str) -> Manifest:
    manifest = artifacts.find(store, kind, record["ids"][role])
    assert manifest is not None
    return manifest


def test_training_publishes_a_model_with_all_that_outside_tools_rely_on(trained):
    workplace, record = trained
    folder = workplace.folder / "store" / "models" / record["ids"]["model"]
    manifest = found(workplace.store, layout.MODELS, record, "model")

    assert {file.path for file in manifest.files} >= {
        layout.METADATA,
        layout.METRICS,
        "als_model/metadata/part-00000",
        "factors/user_factors.npy",
        "factors/item_factors.npy",
        layout.USER_IDS,
        layout.ITEM_IDS,
    }
    for file in manifest.files:
        assert file_sha256(folder / file.path) == file.sha256
    users = np.load(folder / "factors/user_factors.npy", mmap_mode="r")
    ids = pq.read_table(folder / layout.USER_IDS)
    assert users.dtype == np.dtype("<f4")
    assert len(users) == ids.num_rows == manifest.counts["n_users"]


def test_this_machine_fits_als_to_compare_it_and_spark_what_is_tested_and_published(trained):
    workplace, _ = trained
    engines = {}
    for one in workplace.manifests():
        if one.kind == layout.FITS and one.parameters["model"] == "als-implicit":
            parts, blas = tuple(one.parameters["parts"]), "blas" in one.counts
            engines[parts] = one.parameters.get("engine", "spark"), blas
    assert engines == {
        ("train",): ("local", False),
        ("train", "validation"): ("spark", True),
        ("train", "validation", "test"): ("spark", True),
    }


def test_training_and_its_server_listen_on_loopback_only_and_its_database_is_for_its_owner(
    training_and_doors, tracking_uri
):
    *_, doors = training_and_doors
    assert {"java", "python"} <= {one.program.rstrip("0123456789.") for one in doors}
    assert [one for one in doors if one.is_open] == []
    assert stat.S_IMODE(Path(tracking_uri.removeprefix("sqlite:///")).stat().st_mode) == 0o600


def test_metrics_rows_name_model_split_metric_and_interval(trained):
    workplace, record = trained
    path = workplace.folder / "store" / "models" / record["ids"]["model"] / layout.METRICS
    rows = json.loads(path.read_text())["rows"]

    assert {row["model"] for row in rows} >= {"popularity", "recent-popularity", "global-mean", "bias", "als-implicit"}
    assert {row["split"] for row in rows} == {"validation", "test"}
    for row in rows:
        assert set(row) == {"model", "parameters", "split", "metric", "k", "value", "low", "high", "n_users"}
        assert row["low"] <= row["value"] <= row["high"]


def test_every_manifest_names_the_artifacts_it_came_from_back_to_the_raw_file(trained):
    workplace, _ = trained
    known = {manifest.id for manifest in workplace.manifests()}
    for manifest in workplace.manifests():
        assert set(manifest.inputs.values()) <= known
        assert bool(manifest.inputs) == (manifest.kind != layout.RAW)


def test_every_user_gets_ten_unseen_items_best_first(trained):
    workplace, record = trained
    store = workplace.folder / "store"
    lists = pq.read_table(store / "recommendations" / record["ids"]["recommendations"] / layout.LISTS).to_pandas()
    seen = pq.read_table(store / "datasets" / record["ids"]["dataset"] / layout.INTERACTIONS).to_pandas()

    assert lists.columns.tolist() == ["user_idx", "user_id", "rank", "item_idx", "item_id", "score"]
    assert lists.groupby("user_idx").size().eq(10).all()
    assert lists["user_idx"].nunique() == record["counts"]["dataset"]["n_users"]
    assert (lists.groupby("user_idx")["rank"].apply(list).map(lambda ranks: ranks == list(range(1, 11)))).all()
    assert lists.groupby("user_idx")["score"].apply(lambda scores: scores.is_monotonic_decreasing).all()
    assert lists.merge(seen, on=["user_idx", "item_idx"]).empty


def test_what_is_served_answers_with_the_lists_that_were_published(trained):
    workplace, record = trained
    served = load(workplace.store, record["ids"]["model"], workplace.folder / "cache")
    assert served.bundle_id == record["ids"]["bundle"]
    bundle = served.bundle
    assert bundle.lists is not None
    items, scores = served.model.rank(np.arange(bundle.n_users), bundle.histories, 10)
    assert np.array_equal(items, bundle.lists[0])
    assert np.array_equal(scores, bundle.lists[1])
    lists = workplace.folder / "store" / "recommendations" / record["ids"]["recommendations"] / layout.LISTS
    published = pq.read_table(lists).to_pylist()
    assert [bundle.item_ids[item] for item in items.ravel()] == [row["item_id"] for row in published]
    assert [bundle.user_ids[user] for user in range(bundle.n_users)] == [row["user_id"] for row in published[::10]]
    assert {("raw", record["ids"]["raw"]), ("datasets", record["ids"]["dataset"])} <= {
        (one["kind"], one["id"]) for one in bundle.about["lineage"]
    }


def test_counts_add_up_from_the_lines_of_the_file_to_the_interactions(trained):
    workplace, record = trained
    reviews, dataset = record["counts"]["reviews"], record["counts"]["dataset"]
    folder = workplace.folder / "store"

    assert reviews["n_lines"] == reviews["n_reviews"] + reviews["n_quarantined"] + reviews["n_blank"]
    written = pq.read_metadata(folder / "datasets" / record["ids"]["dataset"] / layout.INTERACTIONS).num_rows
    assert dataset["n_interactions"] == written
    parts = [record["counts"]["split"][f"{part}_n_rows"] for part in ("train", "validation", "test")]
    assert sum(parts) == written


def test_report_is_called_sample_data_and_asks_for_nothing_outside(trained):
    workplace, record = trained
    page = (workplace.folder / "store" / layout.REPORTS / record["ids"]["report"] / layout.REPORT).read_text()

    assert "sample data" in page.lower()
    assert not re.search(r"""(src|href)=["']https?:""", page)
    assert "While candidates were compared on validation, als-implicit had engine local;" in page
    assert not re.search(r"url\(\s*['\"]?https?:", page)


def result_of(workplace, record):
    """Return the result that is kept beside a report."""
    return (workplace.folder / "store" / layout.REPORTS / record["ids"]["report"] / layout.RESULT).read_text()


def test_second_run_does_no_work_and_says_so(trained, sample_flags):
    workplace, first = trained
    before = workplace.digests()
    second = workplace.result("train", *sample_flags)

    assert second["ids"] == first["ids"]
    assert workplace.digests() == before
    assert "published" not in second["stderr"]
    for kind in ("reviews", "datasets", "splits", "models", "reports", "recommendations", "bundles"):
        assert re.search(rf"{kind}/[\w-]+ is already there: nothing to do", second["stderr"]), kind
    assert "shows this training already: nothing to do" in second["stderr"]
    assert all("How the file was understood:" in one["stderr"] for one in (first, second))
    table = result_of(workplace, first)
    assert all(table in one["stderr"] for one in (first, second))


def test_changed_top_n_scores_again_and_fits_nothing(trained, sample_flags):
    workplace, first = trained
    changed = workplace.result("train", *sample_flags, "--top-n", "3")

    assert changed["ids"]["model"] == first["ids"]["model"]
    assert changed["ids"]["recommendations"] != first["ids"]["recommendations"]
    assert re.findall(r"(\w+)/\w+ published", changed["stderr"]) == ["recommendations"]


def test_changed_k_core_reads_no_file_again(trained, sample_flags):
    workplace, first = trained
    changed = workplace.result("ingest", *sample_flags[:2], "--min-interactions", "7")

    assert changed["ids"]["reviews"] == first["ids"]["reviews"]
    assert changed["ids"]["dataset"] != first["ids"]["dataset"]
    assert "reviews/" in changed["stderr"]
    assert re.findall(r"(\w+)/\w+ published", changed["stderr"]) == ["datasets"]


def test_recommend_flow_serves_a_published_model_by_its_id(trained):
    workplace, first = trained
    record = workplace.result("recommend", "--model", first["ids"]["model"], "--top-n", "5")

    lists = pq.read_table(
        workplace.folder / "store" / "recommendations" / record["ids"]["recommendations"] / layout.LISTS
    )
    assert lists.num_rows == 5 * first["counts"]["dataset"]["n_users"]


def test_recommend_flow_names_the_models_there_are_when_asked_for_another(trained, in_folder, capfd):
    workplace, first = trained
    assert recommend.main(["--store", workplace.store_uri, "--model", "0123456789abcdef"]) == 1
    said = capfd.readouterr().err
    assert first["ids"]["model"] in said
    assert "Traceback" not in said


def test_mlflow_has_a_parent_run_with_a_nested_run_for_each_candidate(trained):
    from mlflow import MlflowClient

    workplace, record = trained
    client = MlflowClient(tracking_uri=workplace.tracking_uri)
    parent = client.get_run(record["ids"]["mlflow_run"])
    experiment = client.get_experiment_by_name("ALS_Recommender")
    nested = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")

    candidates = {row["model"] for row in record["metrics"] if row["split"] == "validation"}
    assert {run.data.params["model"] for run in nested} == candidates
    assert [run.data.tags["recommender.best"] for run in nested].count("true") == 1
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["dataset_id"] == record["ids"]["dataset"]
    assert parent.data.tags["model_id"] == record["ids"]["model"]
    assert parent.data.metrics["test/ndcg_10"] > 0
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == [layout.REPORT]


def test_prefect_has_the_run_with_its_tables_and_its_result(trained, prefect_api):
    import httpx

    body = {"flow_runs": {"name": {"like_": "train on sample-reviews"}}}
    runs = httpx.post(f"{prefect_api}/flow_runs/filter", json=body).json()
    assert "COMPLETED" in {run["state_type"] for run in runs}
    kinds = httpx.post(f"{prefect_api}/artifacts/latest/filter", json={}).json()
    assert {"candidates", "result", "k-core", "quarantine", "seconds"} <= {artifact["key"] for artifact in kinds}


def test_the_result_says_where_the_time_went(trained):
    _, record = trained
    steps = {"read and check reviews", "dataset", "split", "fixed candidates", "choice", "test", "report", "tracking"}
    assert record["seconds"].keys() >= steps
    assert "Where the time went" in record["stderr"]


def test_no_request_goes_to_the_proxy_that_the_environment_names(trained, refusing_proxy):
    assert refusing_proxy.requests == []


def test_odd_characters_in_the_path_of_every_place_and_of_the_code_are_kept(training):
    workplace, _ = training
    assert "/a blank, # 100% é" in str(workplace.folder)
    assert not [*workplace.folder.rglob("*%*"), *workplace.folder.parent.glob("*%2*")]
    assert {path.name for path in (workplace.folder / "tmp").iterdir()} <= {"dask-scratch-space"}


def test_nothing_is_left_in_the_working_folder(trained):
    workplace, _ = trained
    assert not [path for path in (workplace.folder / "work").iterdir() if path.name != "cache"]
