"""Outages of a process stack of the benchmark's own, each during a step of a training that the stack runs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from benchmarks.command_outages import NOT_TRIED, STUCK, Outcome
from benchmarks.harness import say
from flows.settings import Settings, nest
from schema.errors import RecommenderError, Unavailable

if TYPE_CHECKING:
    from uuid import UUID

    import psutil
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

    from benchmarks.reader import Digests
    from deployments.stack.state import StackState
    from storage.protocol import Store

FOREIGN = ("STACK_", "MINIO_", "PREFECT_", "AWS_", "STORE_", "S3_", "DASK_", "SPARK_", "MLFLOW_")
SIZES = {"STACK_DASK_WORKERS": "2", "STACK_SPARK_WORKERS": "1", "STACK_DASK_WORKER_MEMORY": "1g"}
DEPLOYMENT = "train/nightly"
# The flags of `benchmarks.trainings`, and parts of the file that are small enough for all Dask workers to have one.
PARAMETERS: Mapping[str, Any] = {
    "partition_bytes": 65536,
    "split": "random",
    "knn_neighbours": 1,
    "als_models": ["implicit"],
    "als_rank": [32],
    "als_reg": [0.2],
    "als_alpha": [0.5],
    "als_maxiter": 3,
    "als_blocks": 1,
}
LOOK_SECONDS = 0.2
AWAY_SECONDS = 30.0
JVM_SECONDS, WHOLE_SECONDS, STEP_SECONDS, END_SECONDS = 60.0, 120.0, 180.0, 300.0
COMPLETED, FAILED, CRASHED = "Completed", "Failed", "Crashed"

Found = TypeVar("Found")


@dataclass(frozen=True)
class OwnStack:
    """A running stack.

    Attributes:
        folder: Where its state and logs are.
        environment: Variables by which commands find it.
    """

    folder: Path
    environment: Mapping[str, str]

    def state(self) -> "StackState":
        """Return what its supervisor saw last."""
        from deployments.stack.state import read_state

        state = read_state(self.folder)
        if state is None:
            raise Unavailable(f"the stack in {self.folder} does not run")
        return state

    def process(self, service: str) -> "psutil.Process":
        """Return the process of a service."""
        identity = next(one.process for one in self.state().services if one.name == service)
        process = identity.process() if identity else None
        if process is None:
            raise Unavailable(f"{service} does not run")
        return process

    def kill_jvms(self, service: str, word: str) -> None:
        """Kill the JVMs that a service started and whose command line has a word, a second after one is there."""
        from deployments.stack.process_tree import find_processes

        def find() -> list[Any]:
            return [one for one in find_processes(self.folder, service) if word in " ".join(_command_line(one))]

        wait_for(find, JVM_SECONDS, f"{service} has no process with {word!r}")
        time.sleep(1.0)  # so that it is at work
        for one in find():
            one.kill()

    def wait_until_whole(self) -> None:
        """Return when every service can be used.

        Raises:
            Unavailable: If that takes too long.
        """
        wait_for(self._is_whole, WHOLE_SECONDS, "the stack is not whole")

    def _is_whole(self) -> bool:
        return all(one.problem() is None for one in self.state().services)


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
    damage: "Callable[[OwnStack, FlowRun], None]"
    expected: tuple[str, ...] = (COMPLETED,)


def _kill(*services: str) -> "Callable[[OwnStack, FlowRun], None]":
    def kill(stack: OwnStack, _: object) -> None:
        for service in services:
            stack.process(service).kill()

    return kill


def _suspend(service: str) -> "Callable[[OwnStack, FlowRun], None]":
    def suspend(stack: OwnStack, _: object) -> None:
        process = stack.process(service)
        process.suspend()
        time.sleep(AWAY_SECONDS)
        process.resume()

    return suspend


def _kill_jvms(service: str, word: str) -> "Callable[[OwnStack, FlowRun], None]":
    return lambda stack, _: stack.kill_jvms(service, word)


def _send_to_run(wanted: signal.Signals) -> "Callable[[OwnStack, FlowRun], None]":
    return lambda _, run: os.kill(int(str(run.infrastructure_pid)), wanted)


def _kill_worker_and_run(stack: OwnStack, run: "FlowRun") -> None:
    stack.process("prefect-worker").kill()
    with suppress(ProcessLookupError):
        os.kill(int(str(run.infrastructure_pid)), signal.SIGKILL)


EXECUTOR, DRIVER = "CoarseGrainedExecutorBackend", "org.apache.spark.deploy.SparkSubmit"
DATASET, FIT, SCORE = "build dataset", "fit als", "score"
SCENARIOS = (
    Scenario("dask-worker", "a Dask worker is killed", "check", _kill("dask-worker-1")),
    Scenario("dask-workers", "all Dask workers are killed", SCORE, _kill("dask-worker-1", "dask-worker-2")),
    Scenario("dask-scheduler", "the Dask scheduler is killed", DATASET, _kill("dask-scheduler"), (COMPLETED, FAILED)),
    Scenario("spark-executor", "Spark's executor is killed", DATASET, _kill_jvms("spark-worker-1", EXECUTOR)),
    Scenario("spark-driver", "the JVM of Spark's driver is killed", FIT, _kill_jvms("prefect-worker", DRIVER)),
    Scenario("prefect-server", "the Prefect server is killed", DATASET, _kill("prefect-server")),
    Scenario("prefect-worker", "the Prefect worker is killed", DATASET, _kill("prefect-worker"), (CRASHED,)),
    Scenario("worker-and-run", "the Prefect worker and its run are killed", FIT, _kill_worker_and_run, (CRASHED,)),
    Scenario("run", "the process of the run is killed", FIT, _send_to_run(signal.SIGKILL), (CRASHED,)),
    Scenario("minio", "MinIO does not answer for 30 s", DATASET, _suspend("minio")),
    Scenario("mlflow", "MLflow is killed", "open tracked run", _kill("mlflow")),
    Scenario("mlflow-away", "MLflow does not answer for 30 s", SCORE, _suspend("mlflow")),
    Scenario("sigterm", "the process of the run gets SIGTERM", FIT, _send_to_run(signal.SIGTERM), (CRASHED,)),
)


@dataclass(frozen=True)
class Orders:
    """Trainings that the stack's worker runs.

    Attributes:
        client: Of the stack's Prefect server.
        parameters: Of each training.
    """

    client: "SyncPrefectClient"
    parameters: Mapping[str, Any]

    def start(self) -> "UUID":
        """Order a training and return the id of its run."""
        deployment = self.client.read_deployment_by_name(DEPLOYMENT)
        run = self.client.create_flow_run_from_deployment(deployment.id, parameters=dict(self.parameters))
        return run.id

    def wait_for_step(self, run_id: "UUID", step: str) -> "FlowRun":
        """Return a run when one of its tasks runs whose name begins so.

        Raises:
            Unavailable: If it ends before, or does not come there in time.
        """
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

        of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))

        def look() -> "FlowRun | None":
            run = self.client.read_flow_run(run_id)
            tasks = self.client.read_task_runs(flow_run_filter=of_run)
            if any(one.name.startswith(step) and one.state and one.state.is_running() for one in tasks):
                return run
            if run.state and run.state.is_final():
                raise Unavailable(f"the training ended ({run.state.name}: {run.state.message}) without {step!r}")
            return None

        return wait_for(look, STEP_SECONDS, f"the training did not come to {step!r}")

    def wait_for_end(self, run_id: "UUID") -> "FlowRun | None":
        """Return a run when it has ended, None if it has not in time; a server that is away is asked again."""
        import httpx
        from prefect.exceptions import PrefectHTTPStatusError

        def look() -> "FlowRun | None":
            with suppress(httpx.HTTPError, PrefectHTTPStatusError):
                run = self.client.read_flow_run(run_id)
                return run if run.state and run.state.is_final() else None
            return None

        try:
            return wait_for(look, END_SECONDS, "the training did not end")
        except Unavailable:
            return None


def wait_for(look: Callable[[], Found | None], seconds: float, otherwise: str) -> Found:
    """Return what a function finds, called until that is true.

    Raises:
        Unavailable: If it finds nothing in so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise Unavailable(f"{otherwise} after {seconds:.0f} s")
        time.sleep(LOOK_SECONDS)
    return found


def try_on_stack(scenarios: Sequence[Scenario], inputs: Mapping[str, str], folder: Path) -> Iterator[Outcome]:
    """Yield the outcome of each scenario on a stack, started for them in a folder and stopped in the end.

    Args:
        scenarios: Outages.
        inputs: Parameters that name the reviews and products.
        folder: For all that the stack keeps.

    Raises:
        Unavailable: If the stack does not start.
        RecommenderError: If an undisturbed training does not complete.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from benchmarks.reader import digests
    from storage.opening import S3Options, open_store

    with _open_stack(folder) as stack:
        register = [sys.executable, "-m", "deployments.register"]
        subprocess.run(register, env=dict(stack.environment), check=True, stdout=subprocess.DEVNULL)
        os.environ |= {name: stack.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        options = S3Options(s3_endpoint_url=stack.environment["S3_ENDPOINT_URL"])
        store = open_store(stack.environment["STORE_URI"], options)
        api = {PREFECT_API_URL: stack.environment["PREFECT_API_URL"]}
        with temporary_settings(api), get_client(sync_client=True) as client:
            orders, began = Orders(client, nest(Settings, {**PARAMETERS, **inputs})), time.monotonic()
            run = orders.wait_for_end(orders.start())
            if _state_of(run) != COMPLETED:
                raise RecommenderError(f"an undisturbed training did not complete: {run and run.state}")
            expected = digests(store)
            say(f"an undisturbed training takes {time.monotonic() - began:.0f} s and leaves {len(expected)} objects")
            for scenario in scenarios:
                for info in list(store.list("")):
                    store.delete(info.key)
                yield _try(stack, orders, scenario, store, expected)


def _try(stack: OwnStack, orders: Orders, scenario: Scenario, store: "Store", expected: "Digests") -> Outcome:
    from benchmarks.reader import compare, digests

    what = f"{scenario.what} during '{scenario.step}'"
    try:
        run = orders.wait_for_step(orders.start(), scenario.step)
        began = time.monotonic()
        scenario.damage(stack, run)
        ended = orders.wait_for_end(run.id)
        seconds = round(time.monotonic() - began, 1) if ended else None
        stack.wait_until_whole()
        rerun = ended if _state_of(ended) == COMPLETED else orders.wait_for_end(orders.start())
    except Unavailable as error:
        return Outcome(scenario.name, what, NOT_TRIED, scenario.expected, None, str(error), NOT_TRIED, ())
    message = str(ended.state.message) if ended and ended.state else ""
    lost = compare(digests(store), expected)
    return Outcome(scenario.name, what, _state_of(ended), scenario.expected, seconds, message, _state_of(rerun), lost)


def _state_of(run: "FlowRun | None") -> str:
    return str(run.state.name) if run and run.state else STUCK


@contextmanager
def _open_stack(folder: Path) -> Iterator[OwnStack]:
    from deployments.minio import read_variables
    from deployments.stack.settings import StackSettings, variable
    from flows.child_server import free_port

    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)},
        **{variable(name): str(free_port()) for name in StackSettings.model_fields if name.endswith("_port")},
        "STACK_FOLDER": str(folder / "stack"),
        "STACK_MINIO_FOLDER": str(folder / "minio"),
        **SIZES,
    }
    try:
        _command_stack("up", variables)
        yield OwnStack(folder / "stack", variables | read_variables(folder / "stack" / "stack.env"))
    finally:
        _command_stack("down", variables)


def _command_stack(command: str, variables: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deployments.stack", command], env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unavailable(f"'{command}' of the stack failed:\n{done.stdout}{done.stderr}")


def _command_line(process: Any) -> list[str]:
    import psutil

    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
