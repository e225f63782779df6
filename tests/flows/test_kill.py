"""The process killed with SIGKILL in each stage, then run again: same ids, same bytes, nothing half-done in sight.

On a folder and on a real MinIO.
"""

import hashlib
import subprocess
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from workplace import Workplace, artifact_ids

pytestmark = pytest.mark.timeout(1800)  # seven trainings for each store

# What the process says in the middle of each stage, in the order in which it comes to them; a folder and a MinIO take
# turns, which holds each to a kill in every part of the training.
MOMENTS = {
    "the raw file is kept": "kept as raw/",
    "lines are read": "JSON lines: user=",
    "reviews are published": "in quarantine",
    "Spark starts": "reviews/",
    "the k-core is taken": "k-core pass 1",
    "the dataset is published": "datasets/",
    "the split is made": "Split random",
    "candidates are fitted": "fits/",
    "candidates are scored": "scores/",
    "the model is chosen": "Chosen:",
    "the model is published": "Test split, all items ranked",
    "everybody gets recommendations": "models/",
}


@pytest.fixture(scope="module", params=["local", "minio"])
def killed(
    request: pytest.FixtureRequest, new_workplace: Callable[..., Workplace], sample_flags: list[str]
) -> tuple[Workplace, dict[str, Any]]:
    """A workplace in which training was killed at every other moment, run again each time, and then ended."""
    server = None if request.param == "local" else request.getfixturevalue(request.param)
    workplace = new_workplace(server)
    for said in list(MOMENTS.values())[request.param == "minio" :: 2]:
        kill_when(workplace, sample_flags, said)
        assert_whole(workplace)
    return workplace, workplace.result("train", *sample_flags)


def test_killed_and_rerun_training_gives_the_ids_and_bytes_of_one_that_was_not(killed, trained):
    (workplace, record), (undisturbed, expected) = killed, trained
    assert artifact_ids(record) == artifact_ids(expected)
    for manifest in workplace.manifests():
        assert manifest in undisturbed.manifests()


def test_killed_training_leaves_one_mlflow_run_that_is_complete(killed):
    from mlflow import MlflowClient

    workplace, record = killed
    client = MlflowClient(tracking_uri=workplace.tracking_uri)
    run = client.get_run(record["ids"]["mlflow_run"])
    assert run.info.status == "FINISHED"
    assert client.search_runs([run.info.experiment_id], "attributes.status = 'RUNNING'") == []


def test_killed_training_leaves_no_scratch_files_behind_after_the_next_run(killed):
    workplace, _ = killed
    assert not [path for path in (workplace.folder / "work").iterdir() if path.name != "cache"]
    assert not [path for path in (workplace.folder / "store" / ".tmp").glob("*") if path.is_file()]
    assert not [path for path in workplace.folder.iterdir() if path.name.startswith(".")]


def kill_when(workplace: Workplace, flags: list[str], said: str) -> None:
    """Start a training, kill it as soon as it says something, and see that its children end with it."""
    process = subprocess.Popen(
        workplace.command("train", *flags),
        cwd=workplace.folder,
        env=workplace.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    lines: list[str] = []
    children: list[psutil.Process] = []
    for line in process.stderr:
        lines.append(line)
        if said in line:
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            break
    process.wait()
    assert process.returncode < 0, f"it ended before it said {said!r}:\n{''.join(lines)}"
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive, f"{alive} outlived the training"


def assert_whole(workplace: Workplace) -> None:
    """Assert that every artifact in sight has its files, as its manifest says."""
    for manifest in workplace.manifests():
        for file in manifest.files:
            data = workplace.store.read(f"{manifest.kind}/{manifest.id}/{file.path}")
            assert hashlib.sha256(data).hexdigest() == file.sha256
