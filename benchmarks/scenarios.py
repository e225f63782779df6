"""The outages that are tried, and what comes of each."""

from dataclasses import dataclass
from typing import Any

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
