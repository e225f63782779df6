"""The outages that are tried, the damage that each does to a stack, and the outcome of one."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun
    from psutil import Process

STUCK, NOT_TRIED = "still Running", "not tried"
COMPLETED, FAILED, CRASHED = "Completed", "Failed", "Crashed"
EXIT_0 = "exit code 0"
RUN = "run"
AWAY_SECONDS = 30.0

Damage = Callable[..., None]


class Stack(Protocol):
    """The processes that an outage is done to."""

    def process(self, service: str) -> "Process":
        """Return the process of a service."""
        ...

    def processes(self, service: str, word: str = "") -> "list[Process]":
        """Return the processes of a service whose command line has a word, once they are there."""
        ...


@dataclass(frozen=True)
class Scenario:
    """An outage.

    Attributes:
        name: For the command line and the table.
        what: What is done, and when.
        expected: States of Prefect's, or exit codes, in which the training may end.
        step: For an outage of a stack the name of a task, or its beginning, during which it is done; else "".
        damage: Does an outage of a stack: called with the stack, the run and the targets.
        targets: Names of the services that it is done to, or `RUN`.
    """

    name: str
    what: str
    expected: tuple[str, ...]
    step: str = ""
    damage: Damage | None = None
    targets: tuple[str, ...] = ()


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


def kill(stack: Stack, run: "FlowRun", *targets: str) -> None:
    """Kill the processes of services, and that of the run where it is named."""
    for target in targets:
        if target == RUN:
            signal_run(stack, run, signal.SIGKILL)
        else:
            stack.process(target).kill()


def kill_jvms(stack: Stack, _: "FlowRun", service: str, word: str) -> None:
    """Kill what a service started and whose command line has a word, a second after it is there."""
    stack.processes(service, word)
    time.sleep(1.0)  # so that it is at work
    for process in stack.processes(service, word):
        process.kill()


def suspend(stack: Stack, _: "FlowRun", service: str) -> None:
    """Stop a service for a while, so that it does not answer."""
    processes = _suspend(stack, service)
    time.sleep(AWAY_SECONDS)
    for process in processes:
        process.resume()


def hang(stack: Stack, _: "FlowRun", service: str) -> None:
    """Stop a service for good: it runs on and does not answer, until the stack starts it again."""
    _suspend(stack, service)


def _suspend(stack: Stack, service: str) -> "list[Process]":
    processes = stack.processes(service)  # MLflow answers in a process that its first one starts
    for process in processes:
        process.suspend()
    return processes


def signal_run(_: Stack, run: "FlowRun", number: signal.Signals = signal.SIGTERM) -> None:
    """Send the process of the run a signal."""
    with suppress(ProcessLookupError):
        os.kill(int(str(run.infrastructure_pid)), number)


def _on_stack(name: str, what: str, step: str, expected: tuple[str, ...], damage: Damage, *targets: str) -> Scenario:
    return Scenario(name, f"{what} during '{step}'", expected, step, damage, targets)


DATASET, FIT, SCORE = "build dataset", "fit als", "score"
ENDS, CRASHES, FAILS = (COMPLETED,), (CRASHED,), ("exit code 1",)
SPARK_EXECUTOR = ("spark-worker-1", "CoarseGrainedExecutorBackend")
SPARK_DRIVER = ("prefect-worker", "org.apache.spark.deploy.SparkSubmit")
SCENARIOS = {
    one.name: one
    for one in (
        _on_stack("dask-worker", "a Dask worker is killed", "check", ENDS, kill, "dask-worker-1"),
        _on_stack("dask-workers", "all Dask workers are killed", SCORE, ENDS, kill, "dask-worker-1", "dask-worker-2"),
        _on_stack("dask-scheduler", "the Dask scheduler is killed", DATASET, (*ENDS, FAILED), kill, "dask-scheduler"),
        _on_stack("spark-executor", "Spark's executor is killed", DATASET, ENDS, kill_jvms, *SPARK_EXECUTOR),
        _on_stack("spark-driver", "the JVM of Spark's driver is killed", FIT, ENDS, kill_jvms, *SPARK_DRIVER),
        _on_stack("prefect-server", "the Prefect server is killed", DATASET, ENDS, kill, "prefect-server"),
        _on_stack("prefect-worker", "the Prefect worker is killed", DATASET, CRASHES, kill, "prefect-worker"),
        _on_stack(
            "worker-and-run", "the Prefect worker and its run are killed", FIT, CRASHES, kill, "prefect-worker", RUN
        ),
        _on_stack("run", "the process of the run is killed", FIT, CRASHES, kill, RUN),
        _on_stack("minio", "MinIO does not answer for 30 s", DATASET, ENDS, suspend, "minio"),
        _on_stack("mlflow", "MLflow is killed", "open tracked run", ENDS, kill, "mlflow"),
        _on_stack("mlflow-away", "MLflow does not answer for 30 s", "open tracked run", ENDS, suspend, "mlflow"),
        _on_stack("minio-hangs", "MinIO hangs for good", DATASET, ENDS, hang, "minio"),
        _on_stack("mlflow-hangs", "MLflow hangs for good", "open tracked run", ENDS, hang, "mlflow"),
        _on_stack("prefect-server-hangs", "the Prefect server hangs for good", DATASET, ENDS, hang, "prefect-server"),
        _on_stack("sigterm", "the process of the run gets SIGTERM", FIT, CRASHES, signal_run),
        Scenario("disk-full", "the store's disk has 400k; the next run finds more room", FAILS),
        Scenario("memory-limit", "a Dask worker may take 150 MB; the next run has no such limit", FAILS),
        Scenario("sigterm-command", "a training gets SIGTERM while Spark takes the k-core", ("exit code 143",)),
    )
}
