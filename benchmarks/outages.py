"""Let parts of a stack fail under a training, and check how it ends and that nothing is lost or stuck.

    python -m benchmarks.outages
    python -m benchmarks.outages --only spark-driver,minio

Each training is the main job on a small sample, by the deployment train/nightly on a process stack of the benchmark's
own: Prefect, Dask, Spark, MinIO and MLflow. During a step of it something is killed, stopped for 30 s or sent SIGTERM.
The training must end, in the state that is right for it; the same training, run again, must complete; and the store
must then hold the same bytes as one that nobody disturbed. A full disk, a memory limit and SIGTERM to a command are
tried with python flows/train.py.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import harness

STUCK, NOT_TRIED = "still Running", "not tried"
COMPLETED, FAILED, CRASHED = "Completed", "Failed", "Crashed"
EXIT_0 = "exit code 0"


@dataclass(frozen=True)
class Scenario:
    """An outage.

    Attributes:
        name: For the command line and the table.
        what: What is done, and when.
        expected: States of Prefect's, or exit codes, in which the training may end.
        step: For an outage of a stack the name of a task, or its beginning, during which it is done; else "".
    """

    name: str
    what: str
    expected: tuple[str, ...]
    step: str = ""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one outage.

    Attributes:
        scenario: The outage.
        state: In which the training ended: a state of Prefect's or an exit code; `STUCK` if it did not end in time.
        seconds: From the damage to the end; None if there was no end.
        message: Last message of the training.
        rerun: The state in which the same training ended afterwards; that of the training itself if it completed.
        lost: Differences of the store from one that nobody disturbed.
    """

    scenario: Scenario
    state: str
    seconds: float | None
    message: str
    rerun: str
    lost: tuple[str, ...] = ()

    @property
    def is_stuck(self) -> bool:
        """True if the training or its rerun did not end."""
        return STUCK in (self.state, self.rerun)

    @property
    def is_right(self) -> bool:
        """True if the training ended as it should, its rerun completed, and nothing was lost."""
        return self.state in self.scenario.expected and self.rerun in (COMPLETED, EXIT_0) and not self.lost

    @property
    def verdict(self) -> str:
        """One word for people."""
        return "right" if self.is_right else "WRONG"

    def to_row(self, machine: str) -> dict[str, Any]:
        """Return a JSON row: its value is 1 if all is right, else 0."""
        about = {"what": self.scenario.what, "expected": self.scenario.expected, **vars(self), "machine": machine}
        del about["scenario"]
        return {"model": self.scenario.name, "parameters": about, "metric": "is_right", "value": int(self.is_right)}


def _on_stack(name: str, what: str, step: str, *expected: str) -> Scenario:
    return Scenario(name, f"{what} during '{step}'", expected or (COMPLETED,), step)


DATASET, FIT, SCORE = "build dataset", "fit als", "score"
SCENARIOS = {
    one.name: one
    for one in (
        _on_stack("dask-worker", "a Dask worker is killed", "check"),
        _on_stack("dask-workers", "all Dask workers are killed", SCORE),
        _on_stack("dask-scheduler", "the Dask scheduler is killed", DATASET, COMPLETED, FAILED),
        _on_stack("spark-executor", "Spark's executor is killed", DATASET),
        _on_stack("spark-driver", "the JVM of Spark's driver is killed", FIT),
        _on_stack("prefect-server", "the Prefect server is killed", DATASET),
        _on_stack("prefect-worker", "the Prefect worker is killed", DATASET, CRASHED),
        _on_stack("worker-and-run", "the Prefect worker and its run are killed", FIT, CRASHED),
        _on_stack("run", "the process of the run is killed", FIT, CRASHED),
        _on_stack("minio", "MinIO does not answer for 30 s", DATASET),
        _on_stack("mlflow", "MLflow is killed", "open tracked run"),
        _on_stack("mlflow-away", "MLflow does not answer for 30 s", SCORE),
        _on_stack("sigterm", "the process of the run gets SIGTERM", FIT, CRASHED),
        Scenario("disk-full", "the store's disk has 400k; the next run finds more room", ("exit code 1",)),
        Scenario("memory-limit", "a Dask worker may take 150 MB; the next run has no such limit", ("exit code 1",)),
        Scenario(
            "sigterm-command", "python flows/train.py gets SIGTERM while Spark takes the k-core", ("exit code 143",)
        ),
    )
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 if every training ended as it should and nothing was lost or stuck, else 1."""
    chosen = _parser().parse_args(arguments)
    return harness.run_command(lambda: _run(chosen))


def _run(chosen: argparse.Namespace) -> int:
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="recommender-outages-") as folder:
        for one in _try_all(chosen.only, Path(folder)):
            seconds = "never" if one.seconds is None else f"{one.seconds:.0f} s"
            then = f"{one.state} after {seconds}, then {one.rerun}, lost {len(one.lost)}"
            harness.say(f"{one.scenario.name}: {then}: {one.verdict}")
            outcomes.append(one)
    _show(outcomes)
    harness.write_rows(chosen.json, [one.to_row(harness.describe_machine()) for one in outcomes])
    return judge(outcomes)


def judge(outcomes: Sequence[Outcome]) -> int:
    """Return 0 if every outage that was tried came out right, and one was tried at all; else 1."""
    return harness.DONE if outcomes and all(one.is_right for one in outcomes) else harness.FAILED


def _try_all(only: Sequence[str], folder: Path) -> Iterator[Outcome]:
    from benchmarks.command_outages import Job, try_command
    from benchmarks.stack_outages import try_on_stack
    from benchmarks.trainings import FLAGS, SAMPLE
    from reviews.sample import write_sample

    sample = write_sample(folder / "sample", SAMPLE)
    reviews, products = str(sample.reviews), str(sample.products)
    chosen = [one for name, one in SCENARIOS.items() if name in only]
    if on_stack := [one for one in chosen if one.step]:
        yield from try_on_stack(on_stack, {"input_reviews": reviews, "input_products": products}, folder)
    for scenario in (one for one in chosen if not one.step):
        scratch = folder / scenario.name
        scratch.mkdir()
        yield try_command(scenario, Job(("--input", reviews, "--products", products, *FLAGS), scratch))


def _show(outcomes: Sequence[Outcome]) -> None:
    from rich.table import Table

    from reports.display import clean_text

    table = Table(title="Outages under a training", caption=harness.describe_machine())
    for name in ("outage", "training", "s", "message", "run again", "lost", "stuck", ""):
        table.add_column(name, overflow="fold")
    for one in outcomes:
        seconds = "" if one.seconds is None else f"{one.seconds:.0f}"
        message = clean_text(one.message.splitlines()[0] if one.message else "", 160)
        table.add_row(
            one.scenario.what,
            one.state,
            seconds,
            message,
            one.rerun,
            str(len(one.lost)),
            str(int(one.is_stuck)),
            one.verdict,
        )
    console = harness.open_console(150)
    console.print(table)
    for one in outcomes:
        for trouble in one.lost:
            console.print(f"{one.scenario.name}: {trouble}", style="red")


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("outages", f"{__doc__}\nOutages: {', '.join(SCENARIOS)}.")
    parser.add_argument("--only", type=_names, default=tuple(SCENARIOS), metavar="NAME,…", help="outages to try (all)")
    return parser


def _names(text: str) -> tuple[str, ...]:
    unknown = sorted(set(text.split(",")) - set(SCENARIOS))
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no outage {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    return tuple(text.split(","))


if __name__ == "__main__":
    sys.exit(import_module("benchmarks.outages").main())  # the module that the others import, not a second one of it
