"""The outages of a stack: at which step of a training what is done to it, and how the training should end."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil
from prefect.client.schemas.objects import FlowRun

from benchmarks.failing.own_stack import OwnStack
from deployments.stack.placement import DASK_SCHEDULER, MINIO, MLFLOW, PREFECT_SERVER, PREFECT_WORKER
from schema.errors import Unavailable

AWAY_SECONDS = 30.0
COMPLETED, FAILED, CRASHED = "Completed", "Failed", "Crashed"


@dataclass(frozen=True)
class Scenario:
    """An outage.

    Attributes:
        name: For the command line and the table.
        what: What is done.
        step: The name of a task, or its beginning, during which it is done.
        damage: Does it to the stack and the run.
        expected: States in which the training may end.
    """

    name: str
    what: str
    step: str
    damage: Callable[[OwnStack, FlowRun], None]
    expected: tuple[str, ...] = (COMPLETED,)


def _kill(service: str) -> Callable[[OwnStack, FlowRun], None]:
    return lambda stack, _: stack.kill(service)


def _kill_all_dask_workers(stack: OwnStack, _: FlowRun) -> None:
    for one in stack.state().services:
        if one.name.startswith("dask-worker"):
            stack.kill(one.name)


def _kill_jvm(stack: OwnStack, service: str, word: str) -> None:
    """Kill the JVMs of a class among what a service started; Spark's steps begin before its JVM is there."""
    deadline = time.monotonic() + 60
    while not (found := stack.family(service, word)):
        if time.monotonic() > deadline:
            raise Unavailable(f"{service} has no process with {word!r}")
        time.sleep(0.1)
    time.sleep(1.0)  # in the midst of its work
    for one in found:
        one.send_signal(signal.SIGKILL)


def _kill_executor(stack: OwnStack, _: FlowRun) -> None:
    _kill_jvm(stack, "spark-worker-1", "CoarseGrainedExecutorBackend")


def _kill_driver(stack: OwnStack, _: FlowRun) -> None:
    _kill_jvm(stack, PREFECT_WORKER, "org.apache.spark.deploy.SparkSubmit")


def _kill_worker_and_run(stack: OwnStack, run: FlowRun) -> None:
    run_process = int(str(run.infrastructure_pid))
    stack.kill(PREFECT_WORKER)
    with suppress(ProcessLookupError):
        os.kill(run_process, signal.SIGKILL)


def _kill_run(_: OwnStack, run: FlowRun) -> None:
    os.kill(int(str(run.infrastructure_pid)), signal.SIGKILL)


def _terminate_run(_: OwnStack, run: FlowRun) -> None:
    os.kill(int(str(run.infrastructure_pid)), signal.SIGTERM)


def _stop_for_a_while(service: str) -> Callable[[OwnStack, FlowRun], None]:
    def stop(stack: OwnStack, _: FlowRun) -> None:
        process: psutil.Process = stack.process(service)
        process.suspend()
        time.sleep(AWAY_SECONDS)
        process.resume()

    return stop


DATASET, FIT, SCORE = "build dataset", "fit als", "score"
SCENARIOS = (
    Scenario("dask-worker", "a Dask worker is killed", "check", _kill("dask-worker-1")),
    Scenario("dask-workers", "all Dask workers are killed", SCORE, _kill_all_dask_workers),
    Scenario("dask-scheduler", "the Dask scheduler is killed", DATASET, _kill(DASK_SCHEDULER), (COMPLETED, FAILED)),
    Scenario("spark-executor", "Spark's executor is killed", DATASET, _kill_executor),
    Scenario("spark-driver", "the JVM of Spark's driver is killed", FIT, _kill_driver),
    Scenario("prefect-server", "the Prefect server is killed", DATASET, _kill(PREFECT_SERVER)),
    Scenario("prefect-worker", "the Prefect worker is killed", DATASET, _kill(PREFECT_WORKER), (CRASHED,)),
    Scenario("worker-and-run", "the Prefect worker and its run are killed", FIT, _kill_worker_and_run, (CRASHED,)),
    Scenario("run", "the process of the run is killed", FIT, _kill_run, (CRASHED,)),
    Scenario("minio", "MinIO does not answer for 30 s", DATASET, _stop_for_a_while(MINIO)),
    Scenario("mlflow", "MLflow is killed", "open tracked run", _kill(MLFLOW)),
    Scenario("mlflow-away", "MLflow does not answer for 30 s", SCORE, _stop_for_a_while(MLFLOW)),
    Scenario("sigterm", "the process of the run gets SIGTERM", FIT, _terminate_run, (CRASHED,)),
)
