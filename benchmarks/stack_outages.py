"""A process stack of the benchmark's own, and its outages, each during a step of a training that the stack runs."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from benchmarks.harness import say
from benchmarks.reader import Digests, compare, digests
from benchmarks.scenarios import COMPLETED, NOT_TRIED, STUCK, Outcome, Scenario
from deployments.minio import read_variables
from deployments.stack.process_tree import find_processes
from deployments.stack.settings import StackSettings, variable
from deployments.stack.state import StackState, read_state
from flows.child_server import free_port
from flows.settings import Settings, nest
from schema.errors import RecommenderError, Unavailable
from storage.opening import open_store
from storage.protocol import Store
from storage.s3_options import S3Options

FOREIGN = ("STACK_", "MINIO_", "PREFECT_", "AWS_", "STORE_", "S3_", "DASK_", "SPARK_", "MLFLOW_")
SIZES = {"STACK_DASK_WORKERS": "2", "STACK_SPARK_WORKERS": "1", "STACK_DASK_WORKER_MEMORY": "1g"}
DEPLOYMENT = "train/nightly"
SMALL_PARTS = 65536  # of the file, so that all Dask workers have one
LOOK_SECONDS = 0.2
JVM_SECONDS, WHOLE_SECONDS, STEP_SECONDS, END_SECONDS = 60.0, 120.0, 180.0, 300.0

Found = TypeVar("Found")


@dataclass(frozen=True)
class OwnStack:
    """A running stack, and the trainings that its worker runs.

    Attributes:
        folder: Where its state and logs are.
        environment: Variables by which commands find it.
        client: Of its Prefect server.
        parameters: Of each training.
    """

    folder: Path
    environment: Mapping[str, str]
    client: SyncPrefectClient
    parameters: Mapping[str, Any]

    def process(self, service: str) -> psutil.Process:
        """Return the process of a service."""
        identity = next(one.process for one in self._state().services if one.name == service)
        process = identity.process() if identity else None
        if process is None:
            raise Unavailable(f"{service} does not run")
        return process

    def processes(self, service: str, word: str = "") -> list[psutil.Process]:
        """Return the processes of a service whose command line has a word, once there are some.

        Raises:
            Unavailable: If that takes too long.
        """

        def look() -> list[psutil.Process]:
            found = []
            for process in find_processes(self.folder, service):
                with suppress(psutil.Error):
                    if word in " ".join(process.cmdline()):
                        found.append(process)
            return found

        return wait_for(look, JVM_SECONDS, f"{service} has no process with {word!r}")

    def wait_until_whole(self) -> None:
        """Return when every service can be used.

        Raises:
            Unavailable: If that takes too long.
        """
        wait_for(
            lambda: all(one.problem() is None for one in self._state().services),
            WHOLE_SECONDS,
            "the stack is not whole",
        )

    def start_training(self) -> UUID:
        """Order a training and return the id of its run."""
        deployment = self.client.read_deployment_by_name(DEPLOYMENT)
        return self.client.create_flow_run_from_deployment(deployment.id, parameters=dict(self.parameters)).id

    def wait_for_step(self, run_id: UUID, step: str) -> FlowRun:
        """Return a run when one of its tasks runs whose name begins so.

        Raises:
            Unavailable: If it ends before, or does not come there in time.
        """
        of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))

        def look() -> FlowRun | None:
            run = self.client.read_flow_run(run_id)
            tasks = self.client.read_task_runs(flow_run_filter=of_run)
            if any(one.name.startswith(step) and one.state and one.state.is_running() for one in tasks):
                return run
            if run.state and run.state.is_final():
                raise Unavailable(f"the training ended ({run.state.name}: {run.state.message}) without {step!r}")
            return None

        return wait_for(look, STEP_SECONDS, f"the training did not come to {step!r}")

    def wait_for_end(self, run_id: UUID) -> FlowRun | None:
        """Return a run when it has ended, None if it has not in time; a server that is away is asked again."""

        def look() -> FlowRun | None:
            with suppress(httpx.HTTPError, PrefectHTTPStatusError):
                run = self.client.read_flow_run(run_id)
                return run if run.state and run.state.is_final() else None
            return None

        with suppress(Unavailable):
            return wait_for(look, END_SECONDS, "the training did not end")
        return None

    def _state(self) -> StackState:
        state = read_state(self.folder)
        if state is None:
            raise Unavailable(f"the stack in {self.folder} does not run")
        return state


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


def try_on_stack(scenarios: Sequence[Scenario], parameters: Mapping[str, Any], folder: Path) -> Iterator[Outcome]:
    """Yield the outcome of each scenario on a stack, started for them in a folder and stopped in the end.

    Args:
        scenarios: Outages of a stack.
        parameters: Of each training.
        folder: For all that the stack keeps.

    Raises:
        Unavailable: If the stack does not start.
        RecommenderError: If an undisturbed training does not complete.
    """
    with _open_stack(folder, nest(Settings, {**parameters, "partition_bytes": SMALL_PARTS})) as stack:
        os.environ |= {name: stack.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        options = S3Options(s3_endpoint_url=stack.environment["S3_ENDPOINT_URL"])
        store, began = open_store(stack.environment["STORE_URI"], options), time.monotonic()
        run = stack.wait_for_end(stack.start_training())
        if _state_of(run) != COMPLETED:
            raise RecommenderError(f"an undisturbed training did not complete: {run and run.state}")
        expected = digests(store)
        say(f"an undisturbed training takes {time.monotonic() - began:.0f} s and leaves {len(expected)} objects")
        for scenario in scenarios:
            for info in list(store.list("")):
                store.delete(info.key)
            yield _try(stack, scenario, store, expected)


def _try(stack: OwnStack, scenario: Scenario, store: Store, expected: Digests) -> Outcome:
    try:
        run = stack.wait_for_step(stack.start_training(), scenario.step)
        began = time.monotonic()
        if scenario.damage:
            scenario.damage(stack, run, *scenario.targets)
        ended = stack.wait_for_end(run.id)
        seconds = round(time.monotonic() - began, 1) if ended else None
        stack.wait_until_whole()
        rerun = ended if _state_of(ended) == COMPLETED else stack.wait_for_end(stack.start_training())
    except Unavailable as error:
        return Outcome(scenario, NOT_TRIED, None, str(error), NOT_TRIED)
    message = str(ended.state.message) if ended and ended.state else ""
    return Outcome(scenario, _state_of(ended), seconds, message, _state_of(rerun), compare(digests(store), expected))


def _state_of(run: FlowRun | None) -> str:
    return str(run.state.name) if run and run.state else STUCK


@contextmanager
def _open_stack(folder: Path, parameters: Mapping[str, Any]) -> Iterator[OwnStack]:
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)},
        **{variable(name): str(free_port()) for name in StackSettings.model_fields if name.endswith("_port")},
        "STACK_FOLDER": str(folder / "stack"),
        "STACK_MINIO_FOLDER": str(folder / "minio"),
        **SIZES,
    }
    try:
        _run_module(variables, "deployments.stack", "up")
        environment = variables | read_variables(folder / "stack" / "stack.env")
        _run_module(environment, "deployments.register")
        settings = temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]})
        with settings, get_client(sync_client=True) as client:
            yield OwnStack(folder / "stack", environment, client, parameters)
    finally:
        _run_module(variables, "deployments.stack", "down")


def _run_module(variables: Mapping[str, str], *words: str) -> None:
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, env=dict(variables), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"'python -m {' '.join(words)}' failed:\n{done.stdout}{done.stderr}")
