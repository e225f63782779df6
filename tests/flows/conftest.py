"""Real runs of the main job, made once and looked at by many tests."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doors import Door, watching_doors
from servers import RefusingProxy
from workplace import ROOT, Workplace

from deployments.s3_server import S3Server
from reviews.options import SampleOptions
from reviews.sample import SampleFiles, write_sample

CODE = ("evaluation", "flows", "models", "reports", "reviews", "schema", "spark", "storage", "tasks")
ODD = "a blank, # 100% é"


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleFiles:
    return write_sample(tmp_path_factory.mktemp("sample"), SampleOptions(n_users=600, n_items=250))


@pytest.fixture(scope="session")
def new_workplace(
    prefect_api: str, tracking_uri: str, refusing_proxy: RefusingProxy, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Workplace]:
    def make(server: S3Server | None = None, name: str = "workplace") -> Workplace:
        """Return a workplace whose store is in its folder, or on a server."""
        return Workplace(tmp_path_factory.mktemp(name), tracking_uri, server, refusing_proxy.variables)

    return make


@pytest.fixture(scope="session")
def training_and_doors(
    new_workplace: Callable[[], Workplace], sample_flags: list[str]
) -> tuple[Workplace, dict[str, Any], set[Door]]:
    """A workplace with odd names in which the main job has run once, its result record, and where it listened."""
    place = new_workplace(name=ODD)
    checkout, scratch = place.folder / "checkout", place.folder / "tmp"
    for folder in CODE:
        shutil.copytree(ROOT / folder, checkout / folder)
    scratch.mkdir()
    variables = {**place.variables, "PYTHONPATH": str(checkout), "TMPDIR": str(scratch), "LC_ALL": "C"}
    workplace = replace(place, checkout=checkout, variables=variables)
    with watching_doors() as doors:
        record = workplace.result("train", *sample_flags, apart=True)
    return workplace, record, doors


@pytest.fixture(scope="session")
def training(training_and_doors: tuple[Workplace, dict[str, Any], set[Door]]) -> tuple[Workplace, dict[str, Any]]:
    """A workplace in which the main job has run once, and its result record."""
    workplace, record, _ = training_and_doors
    return workplace, record


@pytest.fixture(scope="module")
def trained(
    training: tuple[Workplace, dict[str, Any]], new_workplace: Callable[[], Workplace]
) -> tuple[Workplace, dict[str, Any]]:
    """A copy of that workplace for the tests of one file, which may add to its store, and the result record."""
    original, record = training
    workplace = new_workplace()
    shutil.copytree(original.folder, workplace.folder, dirs_exist_ok=True)
    return workplace, record


@pytest.fixture(scope="session")
def sample_flags(sample: SampleFiles) -> list[str]:
    """Flags of a training that takes seconds."""
    inputs = ["--input", str(sample.reviews), "--products", str(sample.products)]
    favourable = ["--split", "random", "--knn-neighbours", "1"]  # so that ALS wins, and its files are published
    fit = ["--rank", "32", "--reg", "0.2", "--alpha", "0.5", "--maxiter", "3", "--als-blocks", "2"]
    return [*inputs, *favourable, *fit, "--spark-shuffle-partitions", "2"]


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_api: str) -> Path:
    """A folder to run stages in, in this process."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
