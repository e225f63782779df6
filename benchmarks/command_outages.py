"""Outages of a training that a command runs: a full disk, a memory limit, SIGTERM."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.reader import compare
from benchmarks.scenarios import Outcome, Scenario
from benchmarks.trainings import Ending, Place
from deployments.stack.placement import DASK_SCHEDULER, place_in_containers
from deployments.stack.services import services
from flows.child_server import LOOPBACK, free_port
from schema.errors import Unavailable

LOOK_SECONDS = 0.1
SMALL_DISK = "400k"  # less than the training publishes
LEADING_ELSEWHERE = ("STORE_", "S3_", "PREFECT_API", "DASK_", "SPARK_", "MLFLOW_", "WORK_DIR")


def try_commands(scenarios: Sequence[Scenario], place: Place) -> Iterator[Outcome]:
    """Yield the outcome of each scenario: the training ends, runs again, and leaves what an undisturbed one does.

    Variables of this process that lead trainings elsewhere are removed.

    Raises:
        Unavailable: If the undisturbed training fails, or this user may not mount a disk.
    """
    for name in [name for name in os.environ if name.startswith(LEADING_ELSEWHERE)]:
        del os.environ[name]
    undisturbed = f"{place.root}/undisturbed"
    ending = place.run(undisturbed)
    if ending.code:
        raise Unavailable(f"an undisturbed training failed: {ending.last_error}")
    expected = place.digests(undisturbed)
    for scenario in scenarios:
        with COMMANDS[scenario.name](place) as (uri, ending):
            rerun = place.run(uri)
            lost = compare(place.digests(uri), expected)
        state, again = (f"exit code {one.code}" for one in (ending, rerun))
        yield Outcome(scenario, state, ending.seconds, ending.last_error, again, lost)


@contextmanager
def fill_disk(place: Place) -> Iterator[tuple[str, Ending]]:
    """Train on a store whose disk, in memory, is too small; yield the store and the end, with more room by then.

    Raises:
        Unavailable: If this user may not mount a disk.
    """
    disk = place.scratch / "disk"
    disk.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(disk))
    try:
        ending = place.run(f"{disk}/store")
        _mount("-o", "remount,size=200m", str(disk))
        yield f"{disk}/store", ending
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)  # noqa: S607


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        raise Unavailable(f"mount is refused ({done.stderr.strip()}); run as root to try it")


@contextmanager
def limit_memory(place: Place) -> Iterator[tuple[str, Ending]]:
    """Train with a Dask worker that may take less than Python and its libraries; yield the store and the end."""
    uri = f"{place.root}/limited"
    with _starved_dask(place.scratch) as address:
        ending = place.run(uri, "--dask-scheduler-address", address)
    yield uri, ending


@contextmanager
def terminate_command(place: Place) -> Iterator[tuple[str, Ending]]:
    """Send SIGTERM to a training while Spark takes the k-core; yield the store and the end, timed from then."""
    uri = f"{place.root}/terminated"
    with place.start(uri) as training:
        while not (ending := training.wait(LOOK_SECONDS)) and "k-core pass 1" not in str(training.read_log()):
            pass
        began = time.monotonic()
        training.terminate()
        ending = ending or training.wait() or training.kill()
    yield uri, replace(ending, seconds=time.monotonic() - began)


COMMANDS = {"disk-full": fill_disk, "memory-limit": limit_memory, "sigterm-command": terminate_command}


@contextmanager
def _starved_dask(folder: Path) -> Iterator[str]:
    """Yield the address of a Dask whose only worker may take 150 MB, with the settings that the stack gives its own."""
    environments: dict[str, Mapping[str, str]] = {one.name: one.environment for one in services(place_in_containers())}
    address = f"tcp://{LOOPBACK}:{free_port()}"
    with ExitStack() as stack:
        for name, command in {
            DASK_SCHEDULER: ("scheduler", "--port", address.rpartition(":")[2], "--dashboard-address", f"{LOOPBACK}:0"),
            "dask-worker-1": ("worker", address, "--nthreads", "1", "--memory-limit", "150MB", "--no-dashboard"),
        }.items():
            dask = {key: value for key, value in environments[name].items() if key.startswith("DASK_")}
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *command, "--host", LOOPBACK],
                env={**os.environ, **dask},
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield address
