"""MLflow: its database, made by runs that may die or start at once, and the runs of a training."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from sample_artifacts import publish

from models.registry import Candidate
from schema.metric import Metric
from storage import layout
from storage.manifest import FileEntry, Manifest
from tasks.choose import Choice, Scored
from tasks.model import Lineage, Training
from tasks.options import PlaceOptions, TrackingOptions
from tasks.tracking import TrackedTraining, close_training, open_training

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


def artifact(kind: str, identity: str, **counts: float) -> Manifest:
    files = (FileEntry("reviews.json", 1, "0" * 64),)
    return Manifest(
        kind=kind,
        id=identity,
        inputs={},
        parameters={"min_interactions": 5},
        code_version="1",
        files=files,
        counts={"method": "random", **counts} if kind == layout.SPLITS else counts,
    )


@pytest.fixture
def tracking(tmp_path: Path) -> TrackingOptions:
    return TrackingOptions(mlflow_tracking_uri=f"sqlite:///{tmp_path / 'm.db'}", mlflow_artifact_dir=tmp_path / "files")


@pytest.fixture
def track(tracking: TrackingOptions, tmp_path: Path) -> Callable[[str], TrackedTraining]:
    places = PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")
    report = publish(places.open_store(), layout.REPORTS, "0" * 16, files={layout.REPORT: b"<p>report</p>"})
    names = (layout.RAW, layout.REVIEWS_KIND, layout.DATASETS, layout.SPLITS)
    lineage = Lineage(*(artifact(kind, kind[0] * 16) for kind in names))
    one, other = (
        Scored(Candidate(model=model, parameters={}), artifact("fits", model), artifact("scores", model, ndcg_10=0.5))
        for model in ("popularity", "bias")
    )
    unused: Any = None
    choice = Choice(one, Metric("ndcg", 10), unused, unused)
    training = Training(lineage, [one, other], choice, [one], one)

    def run(model_id: str) -> TrackedTraining:
        opened = open_training.fn(tracking, lineage, "laboratory", {"als_rank": [8]})
        return close_training.fn(tracking, places, opened, training, artifact(layout.MODELS, model_id), report)

    return run


def test_training_that_is_repeated_goes_on_with_its_run_and_another_model_gets_a_run_of_its_own(tracking, track):
    first, again, other, other_again = (track(model) for model in ("aaaa", "aaaa", "bbbb", "bbbb"))
    assert first.id == again.id != other.id == other_again.id
    client = MlflowClient(tracking_uri=tracking.mlflow_tracking_uri)
    for tracked, model in ((first, "aaaa"), (other, "bbbb")):
        run = client.get_run(tracked.id)
        assert (run.info.status, run.data.tags["model_id"]) == ("FINISHED", model)
        assert (run.data.params["als_rank"], run.data.tags["environment"]) == ("[8]", "laboratory")
        assert run.data.metrics == {"test_ndcg_10": 0.5}
        nested = client.search_runs([tracked.experiment], f"tags.`mlflow.parentRunId` = '{tracked.id}'")
        assert sorted(one.data.tags["recommender.best"] for one in nested) == ["false", "true"]
    assert len(client.search_runs([first.experiment])) == 6
