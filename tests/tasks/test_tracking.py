"""MLflow: its database, made by runs that may die or start at once, the runs of a training, and its registry."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from loguru import logger
from mlflow import MlflowClient
from mlflow.utils.git_utils import get_git_commit
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from prefect.states import Cancelled, Crashed, Failed
from sample_artifacts import LINEAGE, publish

from flows import train
from flows.child_server import LOOPBACK, Check, ChildServer, free_port
from flows.tracked_end import end_tracked_runs
from models.registry import Candidate
from schema.metric import Metric
from storage import artifacts, layout
from storage.champion import ChampionTerm, promote, read_history
from storage.code_version import ROOT
from storage.manifest import FileEntry, Manifest
from tasks.choose import Choice, Scored
from tasks.model import Lineage, Training
from tasks.options import PlaceOptions, TrackingOptions
from tasks.racing import Tried
from tasks.registration import follow_champion
from tasks.tracked_run import TrackedRun
from tasks.tracking import close_training, open_training
from tasks.tracking_client import WRITER_TAG

MAKE = """
import sys
from pathlib import Path
from tasks.tracking_client import make_database
make_database(Path(sys.argv[1]), Path(sys.argv[2]))
"""
DIE_WHILE_MAKING = """
import os, sqlalchemy.event, sqlalchemy.engine
n_tables = 0
def die(*_):
    global n_tables
    n_tables += 1
    if n_tables > 40:
        os.kill(os.getpid(), 9)
sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", die)
"""


def run(code: str, folder: Path) -> int:
    return subprocess.run(
        [sys.executable, "-c", code, str(folder / "mlflow.db"), str(folder / "artifacts")],
        capture_output=True,
        check=False,
        timeout=300,
    ).returncode


def names(folder: Path) -> list[str]:
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    return [experiment.name for experiment in client.search_experiments()]


def test_database_of_a_run_that_dies_while_making_it_is_never_seen(tmp_path):
    assert run(DIE_WHILE_MAKING + MAKE, tmp_path) == -9
    assert not (tmp_path / "mlflow.db").exists()
    assert [path for path in tmp_path.iterdir() if path.is_file()], "it had not begun"
    assert run(MAKE, tmp_path) == 0
    assert names(tmp_path) == ["Default"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db"]


def test_database_of_runs_that_start_at_once_is_made_by_one(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: run(MAKE, tmp_path), range(3))) == [0, 0, 0]
    assert names(tmp_path) == ["Default"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db"]


def artifact(kind: str, identity: str, **counts: float | str) -> Manifest:
    files = tuple(FileEntry(name, 1, "0" * 64) for name in FILES.get(kind, ("first.parquet",)))
    return Manifest(kind, identity, {}, {"min_interactions": 5}, "1", files, counts)


FILES = {
    layout.RAW: ("reviews.json",),
    layout.DATASETS: (layout.INTERACTIONS,),
    layout.SPLITS: (layout.TEST, layout.TRAIN, layout.VALIDATION),
}
SPLIT: dict[str, Any] = {"method": "random", "n_users": 3, "n_items": 4, "has_ratings": True, "has_timestamps": False}
SPLIT |= {f"{part}_n_rows": 2 for part in ("train", "validation", "test")}
LINEAGE_OF_RUN = Lineage(
    artifact(layout.RAW, "r" * 64),
    artifact(layout.REVIEWS_KIND, "v" * 16),
    artifact(layout.DATASETS, "d" * 16, n_interactions=6),
    artifact(layout.SPLITS, "s" * 16, **SPLIT),
)
CHOICES = {"als_rank": [8], "evaluate_users": None}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real tracking server."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    url = f"http://{LOOPBACK}:{port}"
    place = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder))
    command = ["mlflow", "server", *place, "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    process = ChildServer(command, quiet, [Check(f"{url}/health", "OK")])
    process.start()
    yield url
    process.stop()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a database, which takes seconds to make."""
    return f"sqlite:///{tmp_path_factory.mktemp('database') / 'mlflow.db'}"


@pytest.fixture(params=["database", "server"])
def tracking(request: pytest.FixtureRequest, tmp_path: Path) -> TrackingOptions:
    """An experiment of the test's own, in a database and on a server."""
    return options_of(request.getfixturevalue(request.param), tmp_path)


@pytest.fixture
def in_sqlite(database: str, tmp_path: Path) -> TrackingOptions:
    return options_of(database, tmp_path)


def options_of(uri: str, folder: Path) -> TrackingOptions:
    return TrackingOptions(mlflow_tracking_uri=uri, mlflow_experiment=folder.name, mlflow_artifact_dir=folder / "files")


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    return PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")


def publish_model(places: PlaceOptions, identity: str) -> Manifest:
    """Publish a model that says what it was made from, as trainings do."""
    made_from = {role: getattr(LINEAGE_OF_RUN, role).id for role in ("reviews", "dataset", "split")}
    metadata = {**made_from, "raw": {"id": LINEAGE_OF_RUN.raw.id, "name": "reviews.json"}}
    files = {layout.METADATA: json.dumps(metadata).encode()}
    inputs = dict(LINEAGE[-2][2])
    store, parameters = places.open_store(), {"model": "popularity"}
    found = artifacts.find(store, layout.MODELS, identity)
    return found or publish(store, layout.MODELS, identity, inputs=inputs, files=files, parameters=parameters)


@pytest.fixture
def track(tracking: TrackingOptions, places: PlaceOptions) -> Callable[[str], TrackedRun]:
    report = publish(places.open_store(), layout.REPORTS, "0" * 16, files={layout.REPORT: b"<p>report</p>"})
    one, other = (
        Scored(
            Candidate(model=model, parameters={}),
            artifact("fits", model),
            artifact("scores", model, ndcg_10=0.5, n_users=2, n_warm_users=3),
        )
        for model in ("popularity", "bias")
    )
    unused: Any = None
    choice = Choice(one, Metric("ndcg", 10), unused, unused)
    other = replace(other, scores=replace(other.scores, parameters={"evaluate_users": 1000}))
    tried = [Tried(one, 0.5), Tried(other, 0.5, is_dropped=True, fits=1)]
    training = Training(LINEAGE_OF_RUN, tried, choice, [one], one)

    def run(model_id: str) -> TrackedRun:
        opened = begin(tracking)
        return close_training.fn(tracking, places, opened, training, publish_model(places, model_id), report)

    return run


def begin(tracking: TrackingOptions, choices: dict[str, Any] = CHOICES) -> TrackedRun:
    return open_training.fn(tracking, LINEAGE_OF_RUN, "laboratory", choices)


def crown(places: PlaceOptions, model_id: str) -> None:
    store = places.open_store()
    promote(store, ChampionTerm(model_id), read_history(store))


def champion_of(tracking: TrackingOptions) -> str:
    client = MlflowClient(tracking_uri=tracking.mlflow_tracking_uri)
    return str(client.get_model_version_by_alias(tracking.mlflow_experiment, "champion").tags["model_id"])


def test_training_that_is_repeated_goes_on_with_its_run_and_another_model_gets_a_run_of_its_own(tracking, track):
    first, again, other, other_again = (track(model) for model in ("aaaa", "aaaa", "bbbb", "bbbb"))
    assert first.id == again.id != other.id == other_again.id
    client = MlflowClient(tracking_uri=tracking.mlflow_tracking_uri)
    for tracked, model in ((first, "aaaa"), (other, "bbbb")):
        run = client.get_run(tracked.id)
        assert (run.info.status, run.data.tags["model_id"]) == ("FINISHED", model)
        assert run.data.params == {"als_rank": "[8]", "input": "reviews.json", "min_interactions": "5"} | {
            "split": "random",
            "model": "popularity",
        }
        assert run.data.tags["environment"] == "laboratory"
        measured = {"ndcg_10": 0.5, "n_users": 2, "n_warm_users": 3}
        assert run.data.metrics == {
            f"{part}/{name}": of for part in ("test", "validation") for name, of in measured.items()
        }
        assert run.data.tags["validation"] == "on a sample of 2 users"
        nested = client.search_runs([tracked.experiment], f"tags.`mlflow.parentRunId` = '{tracked.id}'")
        assert sorted(one.data.tags["recommender.best"] for one in nested) == ["false", "true"]
        assert {(one.info.status, one.data.metrics["validation/ndcg_10"]) for one in nested} == {("FINISHED", 0.5)}
        dropped = {one.data.tags["mlflow.runName"]: one.data.tags.get("recommender.dropped") for one in nested}
        assert {one.data.tags["validation"] for one in nested} == {"on a sample of 2 users"}
        assert dropped == {"popularity": None, "bias": "measured on 1000 users of validation, by 1 fit"}
    assert len(client.search_runs([first.experiment])) == 6


def test_run_says_what_it_read_where_it_came_from_and_what_it_made(tracking, track):
    tracked = track("aaaa")
    client = MlflowClient(tracking_uri=tracking.mlflow_tracking_uri)
    assert client.get_experiment(tracked.experiment).tags["mlflow.experimentKind"] == "custom_model_development"
    run = client.get_run(tracked.id)
    assert run.info.run_name.startswith("reviews.json: popularity, 20")
    assert run.data.tags["mlflow.source.name"] == "flows/train.py"
    assert "mlflow.user" in run.data.tags
    assert run.data.tags.get("mlflow.source.git.commit") == get_git_commit(str(ROOT))
    read = {(one.dataset.name, one.dataset.digest, one.tags[0].value) for one in run.inputs.dataset_inputs}
    assert read == {("reviews.json", "d" * 16, "training")} | {
        (f"reviews.json ({part})", "s" * 16, part) for part in ("validation", "test")
    }
    (output,) = run.outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert (logged.status, logged.source_run_id, logged.tags["raw_id"]) == ("READY", tracked.id, "r" * 64)
    metrics = {(one.key, one.value, one.dataset_digest) for one in logged.metrics}
    assert metrics >= {("test/ndcg_10", 0.5, "s" * 16)}


def test_published_model_is_a_version_once_with_its_lineage_and_its_folder_in_the_store(tracking, track, places):
    client = MlflowClient(tracking_uri=tracking.mlflow_tracking_uri)
    tracked = [track("aaaa")]
    client.update_run(tracked[0].id, "KILLED")  # as if it had been killed just before its end
    tracked += [track(model) for model in ("aaaa", "bbbb")]
    assert client.get_run(tracked[0].id).info.status == "FINISHED"
    assert len(client.search_logged_models([tracked[0].experiment])) == 2
    versions = client.search_model_versions(f"name = '{tracking.mlflow_experiment}'", order_by=["version_number ASC"])
    assert [(one.tags["model_id"], one.run_id) for one in versions] == [
        ("aaaa", tracked[0].id),
        ("bbbb", tracked[2].id),
    ]
    assert {"dataset_id", "raw_id", "code_version", "report_uri"} <= set(versions[0].tags)
    folder = places.open_store().locate("models/aaaa")
    assert versions[0].tags["model_uri"] == folder
    is_served = tracking.mlflow_tracking_uri.startswith("http")
    assert versions[0].source == (f"models:/{versions[0].tags['logged_model_id']}" if is_served else folder)
    assert "report.html" in versions[0].description


def test_champion_of_the_store_is_that_of_mlflow_after_promotion_rollback_and_absence(tracking, track, places):
    runs = {model: track(model) for model in ("aaaa", "bbbb")}
    publish_model(places, "cccc")  # while MLflow was away
    client = MlflowClient(tracking_uri=tracking.mlflow_tracking_uri)
    for model in ("aaaa", "bbbb", "aaaa", "cccc", "bbbb"):
        crown(places, model)
        for _ in range(2):
            follow_champion.fn(tracking, places)
        assert champion_of(tracking) == model
        shown = {one: client.get_run(run.id).data.tags.get("champion") == "true" for one, run in runs.items()}
        assert shown == {one: one == model for one in runs}
    assert len(client.search_model_versions(f"name = '{tracking.mlflow_experiment}'")) == 3


def test_experiment_that_a_page_took_for_one_of_genai_becomes_one_of_model_training(in_sqlite):
    begin(in_sqlite)
    client = MlflowClient(tracking_uri=in_sqlite.mlflow_tracking_uri)
    for found, expected in (
        (None, "custom_model_development"),
        ("genai_development_inferred", "custom_model_development"),
        ("finetuning", "finetuning"),
    ):
        options = in_sqlite.model_copy(update={"mlflow_experiment": f"of {found}"})
        made = client.create_experiment(f"of {found}", tags={"mlflow.experimentKind": found} if found else {})
        begin(options)
        assert client.get_experiment(made).tags["mlflow.experimentKind"] == expected


def test_mlflow_that_is_away_keeps_no_promotion_back(places, tmp_path):
    publish_model(places, "aaaa")
    crown(places, "aaaa")
    said: list[str] = []
    sink = logger.add(said.append)
    began = time.monotonic()
    follow_champion.fn(TrackingOptions(mlflow_tracking_uri=f"http://{LOOPBACK}:{free_port()}"), places)
    nowhere = TrackingOptions(mlflow_tracking_uri=f"sqlite:///{tmp_path / 'none.db'}")
    follow_champion.fn(nowhere, places)  # no training was ever tracked
    logger.remove(sink)
    assert time.monotonic() - began < 10
    assert "MLflow may show another champion until the next run sets it right" in "".join(said)
    assert not (tmp_path / "none.db").exists()


def dead_writer() -> str:
    code = "from storage.files import temporary_name; print(temporary_name(), end='')"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_runs_of_processes_that_are_gone_are_ended_and_run_again_when_their_training_does(in_sqlite):
    client = MlflowClient(tracking_uri=in_sqlite.mlflow_tracking_uri)
    mine, gone, foreign = (begin(in_sqlite, {"als_rank": [rank]}) for rank in (1, 2, 3))
    client.set_tag(gone.id, WRITER_TAG, dead_writer())
    client.set_tag(foreign.id, WRITER_TAG, f"elsewhere~{os.getpid()}~0123abcd~0")
    begin(in_sqlite, {"als_rank": [4]})
    statuses = {one.id: client.get_run(one.id).info.status for one in (mine, gone, foreign)}
    assert statuses == {mine.id: "RUNNING", gone.id: "KILLED", foreign.id: "RUNNING"}
    assert begin(in_sqlite, {"als_rank": [2]}).id == gone.id
    run = client.get_run(gone.id)
    assert run.info.status == "RUNNING"
    assert run.data.tags[WRITER_TAG].split("~")[1] == str(os.getpid())


@pytest.mark.parametrize(
    ("state", "status"), [(Failed(), "FAILED"), (Crashed(message="exit code -9"), "KILLED"), (Cancelled(), "KILLED")]
)
def test_run_whose_flow_run_ends_badly_does_not_stay_running(in_sqlite, monkeypatch, state, status):
    client = MlflowClient(tracking_uri=in_sqlite.mlflow_tracking_uri)
    other, tracked = (begin(in_sqlite, {"als_rank": [rank]}) for rank in (1, 2))
    flow_run = FlowRun(id=uuid4(), flow_id=uuid4(), name="train", parameters={})
    client.set_tag(tracked.id, "prefect.flow_run_id", str(flow_run.id))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", in_sqlite.mlflow_tracking_uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT", in_sqlite.mlflow_experiment)
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}):
        end_tracked_runs(flow=train.train, flow_run=flow_run, state=state)
    assert [client.get_run(one.id).info.status for one in (other, tracked)] == ["RUNNING", status]
