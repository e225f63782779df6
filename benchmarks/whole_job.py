"""Time of a whole job, from the raw file to measured models, beside the pipeline that is usually written for Spark.

    python -m benchmarks.whole_job --repetitions 3

All are commands, timed from start to end, on the file of `benchmarks.ingest`, and try explicit ALS of rank 32 with six
regularisations:

    usual  `benchmarks.usual_pipeline`: metrics over each user's own held-out rows, without intervals
    train  `flows/train.py`: the baselines beside, full-catalogue metrics with intervals, the guard, the test of the
           chosen model, a report, lists for all users, what is served, and a run in MLflow. Spark fits what is
           tested and what is published, as it does by default
    local  the same with --als-engine local: Spark makes the dataset, and fits nothing

The dataset is that of the raw file to indexed Parquet; for a training with the start of Spark, for usual without.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.harness import Figures
from benchmarks.measuring import ROOT, Spread
from benchmarks.review_file import cached_reviews
from benchmarks.synthetic import Size
from flows.child_server import inherited
from schema.errors import Unavailable

USUAL, TRAIN, LOCAL = "usual", "train", "local"
LEAST_OF_DATASET, LEAST_OF_JOB = 6.0, 4.0
FLAGS = (
    *("--split", "random", "--test-share", "0.2", "--model", "als-explicit", "--search-tries", "0"),
    *("--rank", "32", "--reg", "0.02,0.05,0.1,0.2,0.5,1", "--maxiter", "10", "--log-level", "WARNING"),
)
COLUMNS = (
    ("Dataset s", "dataset_seconds", 1),
    ("(range)", "dataset_seconds", None),
    ("x train", "ratio_of_dataset", 1),
    ("Whole s", "seconds", 1),
    ("(range)", "seconds", None),
    ("x train", "ratio_of_job", 1),
)

Seconds = Mapping[str, Sequence[tuple[float, float]]]
"""By contestant and repetition: seconds to the dataset, and of the whole job."""


def run_usual(path: Path, folder: Path) -> tuple[float, float]:
    """Run the usual pipeline."""
    output, seconds = _time([sys.executable, "-m", "benchmarks.usual_pipeline", str(path), str(folder)], folder)
    return float(json.loads(output.splitlines()[-1])["dataset_seconds"]), seconds


def run_train(path: Path, folder: Path, engine: str = "auto") -> tuple[float, float]:
    """Run a training."""
    record = folder / "record.json"
    flags = *FLAGS, "--als-engine", engine, "--json", str(record)
    _, seconds = _time([sys.executable, str(ROOT / "flows/train.py"), "--input", str(path), *flags], folder)
    by_step = json.loads(record.read_bytes())["seconds"]
    return float(by_step["read and check reviews"] + by_step["dataset"]), seconds


CONTESTANTS: Mapping[str, Callable[[Path, Path], tuple[float, float]]] = {
    USUAL: run_usual,
    TRAIN: run_train,
    LOCAL: partial(run_train, engine="local"),
}


def _time(command: Sequence[str], folder: Path) -> tuple[str, float]:
    own = {"STORE_URI": f"{folder}/store", "WORK_DIR": f"{folder}/work", "PREFECT_HOME": f"{folder}/prefect"}
    own |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    started = time.perf_counter()
    done = subprocess.run(
        command, check=False, cwd=folder, env={**inherited("JAVA_HOME"), **own}, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise Unavailable(f"'{' '.join(command)}' ended with exit code {done.returncode}; its error is above.")
    return done.stdout, time.perf_counter() - started


def summarise(measured: Seconds) -> list[Figures]:
    """Return the figures of each, with the ratios to a training."""
    figures = []
    for name, runs in measured.items():
        by_step = dict(zip(("dataset_seconds", "seconds"), zip(*runs, strict=True), strict=True))
        own = dict(zip(by_step, zip(*measured[TRAIN], strict=True), strict=True))
        values = {step: Spread.of(seconds) for step, seconds in by_step.items()}
        for ratio, step in (("ratio_of_dataset", "dataset_seconds"), ("ratio_of_job", "seconds")):
            values[ratio] = Spread.of_ratios(by_step[step], own[step])
        figures.append(Figures(name, "whole job", values))
    return figures


def verdicts(figures: Sequence[Figures]) -> Iterator[str]:
    """Yield a sentence for each aim."""
    values = next(one.values for one in figures if one.model == USUAL)
    for what, name, least in (("dataset", "ratio_of_dataset", LEAST_OF_DATASET), ("job", "ratio_of_job", LEAST_OF_JOB)):
        ratio = values[name].value
        yield harness.describe_aim(f"{what}: usual takes {ratio:.1f} x the time", f"at least {least}", ratio >= least)
    local = next(one.values["ratio_of_job"].value for one in figures if one.model == LOCAL)
    yield f"job: usual takes {values['ratio_of_job'].value / local:.1f} x the time of one without a fit by Spark"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return 0, whether or not the aims are met."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    size, measured = Size(), {name: list[tuple[float, float]]() for name in CONTESTANTS}
    source = cached_reviews(size, chosen.seed)
    for name in harness.take_turns(list(CONTESTANTS), chosen.repetitions):
        with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
            measured[name].append(CONTESTANTS[name](source, Path(folder)))
    figures = summarise(measured)
    parameters: dict[str, Any] = {"rows": size.interactions, "seed": chosen.seed, "repetitions": chosen.repetitions}
    parameters |= {"machine": harness.describe_machine(), "cores": len(os.sched_getaffinity(0))}
    console = harness.open_console(120)
    title = f"From a raw file to measured models, {size.interactions:,} reviews"
    console.print(harness.make_table(title, ["Contestant"], COLUMNS, {(one.model,): one for one in figures}))
    console.print(f"Machine: {parameters['machine']}; median of {chosen.repetitions}")
    for sentence in verdicts(figures):
        console.print(sentence)
    harness.write_rows(chosen.json, harness.rows_of(figures, parameters))
    return harness.DONE


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("whole_job", __doc__)
    parser.add_argument("--repetitions", type=harness.at_least_one, default=1, help="runs of each contestant (1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the input (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
