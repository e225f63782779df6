"""A kind of model that is registered goes through every flow, though nothing in the project knows its name."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from workplace import ROOT, Outcome, Workplace

from reviews.sample import SampleFiles
from storage import artifacts, layout

PROGRAM = "import sys, added_kind; from flows.{stage} import main; sys.exit(main())"
OTHERS_ARE_POOR = ["--split", "random", "--knn-neighbours", "1", "--model", "together,als-implicit", "--rank", "1"]
LITTLE_WORK = ["--maxiter", "1", "--reg", "1", "--als-blocks", "1", "--spark-shuffle-partitions", "2"]


@dataclass(frozen=True)
class AddedWorkplace(Workplace):
    """A workplace whose flows are run by programs that add a kind of model first."""

    def command(self, stage: str, *flags: str) -> list[str]:
        """Return the command line of a stage."""
        _, _, *rest = super().command(stage, *flags)
        return [sys.executable, "-c", PROGRAM.format(stage=stage), *rest]

    def run(self, stage: str, *flags: str) -> Outcome:
        """Run a stage where the kind is: in a process of its own."""
        return self.run_apart(stage, *flags)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a stage, which finds the kind's file."""
        return super().environment | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(ROOT)])}


@pytest.fixture(scope="module")
def added(
    new_workplace: Callable[[], Workplace], tracking_uri: str, sample: SampleFiles
) -> tuple[AddedWorkplace, dict[str, Any]]:
    """A workplace in which a training has run that the added kind won, and its result record."""
    workplace = AddedWorkplace(new_workplace().folder, tracking_uri)
    flags = ["--input", str(sample.reviews), *OTHERS_ARE_POOR, *LITTLE_WORK, "--together-power", "0.25"]
    return workplace, workplace.result("train", *flags)


def test_its_option_is_a_flag_and_a_variable(new_workplace):
    workplace = AddedWorkplace(new_workplace().folder, "")
    for stage in ("train", "evaluate"):
        assert "--together-power" in workplace.run(stage, "--help").stdout
    refused = subprocess.run(
        workplace.command("train"),
        cwd=workplace.folder,
        env=workplace.environment | {"TOGETHER_POWER": "-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "--together-power (or TOGETHER_POWER): " in refused.stderr


def test_it_is_searched_tested_chosen_and_published(added):
    workplace, record = added
    assert record["chosen"] == {"model": "together", "parameters": {"together_power": 0.25}}
    measured = {(row["model"], row["split"]) for row in record["metrics"]}
    assert measured >= {("together", "validation"), ("together", "test"), ("popularity", "test")}
    model = artifacts.find(workplace.store, layout.MODELS, record["ids"]["model"])
    assert model
    assert {Path(file.path).parts[0] for file in model.files if file.path.endswith("strengths.npy")} == {"strengths"}
    report = workplace.store.read(record["uris"]["report"].partition("/store/")[2]).decode()
    assert "together, together_power 0.25" in report


def test_it_recommends_to_every_user(added):
    workplace, record = added
    found = workplace.result("recommend", "--model", record["ids"]["model"], "--top-n", "3")
    counts = found["counts"]["recommendations"]
    n_users = record["counts"]["dataset"]["n_users"]
    lists = pq.read_table(found["uris"]["recommendations"].removeprefix("file://") + "/lists")
    assert (counts["n_users"], counts["n_users_without_list"], counts["n_rows"]) == (n_users, 0, 3 * n_users)
    assert np.unique(np.asarray(lists["user_idx"])).tolist() == list(range(n_users))


@pytest.mark.parametrize("flags", [(), ("--as-is",)])
def test_it_is_evaluated(added, flags):
    workplace, record = added
    found = workplace.result("evaluate", "--model", record["ids"]["model"], *flags)
    assert found["evaluated"] == "together, together_power 0.25"


def test_it_passes_the_gate_and_is_held_against_the_next(added):
    workplace, record = added
    first = workplace.result("promote", "--model", record["ids"]["model"])
    assert first["outcome"] == "promoted"
    assert json.loads(workplace.store.read(layout.CHAMPION))["model_id"] == record["ids"]["model"]
