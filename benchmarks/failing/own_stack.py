"""A process stack of the benchmark's own, on free ports, and what can be done to its processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from deployments.minio import read_variables
from deployments.stack.process_tree import find_processes
from deployments.stack.settings import StackSettings, variable
from deployments.stack.state import StackState, read_state
from flows.child_server import free_port
from schema.errors import Unavailable

FOREIGN = ("STACK_", "MINIO_", "PREFECT_", "AWS_", "STORE_", "S3_", "DASK_", "SPARK_", "MLFLOW_")
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class OwnStack:
    """A stack that runs.

    Attributes:
        folder: Where its state and logs are.
        environment: What commands need to find it.
    """

    folder: Path
    environment: Mapping[str, str]

    def state(self) -> StackState:
        """Return what its supervisor saw last."""
        state = read_state(self.folder)
        if state is None:
            raise Unavailable(f"the stack in {self.folder} does not run")
        return state

    def process(self, service: str) -> psutil.Process:
        """Return the process of a service."""
        identity = next(one.process for one in self.state().services if one.name == service)
        found = identity.process() if identity else None
        if found is None:
            raise Unavailable(f"{service} does not run")
        return found

    def family(self, service: str, word: str) -> list[psutil.Process]:
        """Return the processes of a service whose command line has a word, among what it started."""
        return [one for one in find_processes(self.folder, service) if word in " ".join(_command(one))]

    def kill(self, service: str) -> None:
        """Kill the process of a service."""
        self.process(service).send_signal(signal.SIGKILL)

    def wait_until_whole(self, seconds: float = 120) -> None:
        """Return when every service can be used.

        Raises:
            Unavailable: If that takes longer.
        """
        wait_for(lambda: all(one.problem() is None for one in self.state().services), seconds, "the stack is not whole")


def wait_for(what: Callable[[], object], seconds: float, otherwise: str) -> None:
    """Return when something has become true.

    Raises:
        Unavailable: If it has not after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            raise Unavailable(f"{otherwise} after {seconds:.0f} s")
        time.sleep(LOOK_SECONDS)


@contextmanager
def open_stack(folder: Path, more: Mapping[str, str]) -> Iterator[OwnStack]:
    """Start a stack, yield it and stop it.

    Args:
        folder: For all that it keeps.
        more: Variables for it, and for what runs in it.

    Raises:
        Unavailable: If it does not start.
    """
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)},
        **{variable(name): str(free_port()) for name in StackSettings.model_fields if name.endswith("_port")},
        "STACK_FOLDER": str(folder / "stack"),
        "STACK_MINIO_FOLDER": str(folder / "minio"),
        **more,
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


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
