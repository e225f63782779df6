"""Outages of a training that a command runs: a full disk, a memory limit, SIGTERM."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reader import compare, digests
from benchmarks.scenarios import EXIT_0, Outcome, Scenario
from deployments.stack.placement import DASK_SCHEDULER, place_in_containers
from deployments.stack.services import services
from flows.child_server import LOOPBACK, free_port
from schema.errors import Unavailable
from storage.opening import open_store

ROOT = Path(__file__).parents[1]
TIMEOUT_SECONDS = 300.0
SMALL_DISK = "400k"  # less than the training publishes
LEADING_ELSEWHERE = ("STORE_", "S3_", "PREFECT_API", "DASK_", "SPARK_", "MLFLOW_", "WORK_DIR")


@dataclass(frozen=True)
class Job:
    """The training.

    Attributes:
        flags: Its inputs and options.
        scratch: Folder for stores and working folders.
    """

    flags: Sequence[str]
    scratch: Path

    @property
    def undisturbed(self) -> Path:
        """The store of a training that nobody disturbed."""
        return self.scratch / "undisturbed"

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a command, without those that lead it elsewhere."""
        return {name: value for name, value in os.environ.items() if not name.startswith(LEADING_ELSEWHERE)}

    def command(self, store: Path, *more: str) -> list[str]:
        """Return the command line of the training on a store."""
        places = ("--store", str(store), "--work-dir", str(self.scratch / "work"))
        tracking = ("--mlflow-tracking-uri", f"sqlite:///{self.scratch}/{store.name}.db")
        return [sys.executable, str(ROOT / "flows" / "train.py"), *self.flags, *places, *tracking, *more]

    def run(self, store: Path, *more: str) -> tuple[str, str]:
        """Run the training on a store to its end; return its exit code as text and its last error."""
        done = subprocess.run(
            self.command(store, *more),
            env=self.environment,
            cwd=self.scratch,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
        return f"exit code {done.returncode}", last_error(done.stderr)

    def rerun(self, scenario: Scenario, state: str, seconds: float, message: str, store: Path) -> Outcome:
        """Run the training again on a store after an outage, and compare the store with the undisturbed one."""
        rerun, _ = self.run(store)
        found, expected = (digests(open_store(str(one))) for one in (store, self.undisturbed))
        return Outcome(scenario, state, seconds, message, rerun, compare(found, expected))


def last_error(log: str) -> str:
    r"""Return the last ERROR in the log of a command; if there is none, its last line.

    Example:
        >>> last_error("12:00:00.000 | ERROR   | No space\nTry again\n")
        'No space Try again'
    """
    lines = log.strip().splitlines()
    errors = [place for place, line in enumerate(lines) if " | ERROR " in line]
    message = lines[errors[-1] :] if errors else lines[-1:]
    return " ".join(message).split(" | ")[-1].strip()


def try_command(scenario: Scenario, job: Job) -> Outcome:
    """Return the outcome of an outage; an undisturbed training runs first, to compare with.

    Raises:
        Unavailable: If the undisturbed training fails.
    """
    state, error = job.run(job.undisturbed)
    if state != EXIT_0:
        raise Unavailable(f"an undisturbed training failed: {error}")
    return COMMANDS[scenario.name](job, scenario)


def fill_disk(job: Job, scenario: Scenario) -> Outcome:
    """Train on a store whose disk is too small; then on the same with more room.

    Raises:
        Unavailable: If this user may not mount a disk.
    """
    with small_disk(job.scratch / "disk") as disk:
        store, began = disk / "store", time.monotonic()
        state, message = job.run(store)
        seconds = time.monotonic() - began
        _mount("-o", "remount,size=200m", str(disk))
        return job.rerun(scenario, state, seconds, message, store)


def limit_memory(job: Job, scenario: Scenario) -> Outcome:
    """Train with a Dask worker that may take less than Python and its libraries; then without the limit."""
    store, began = job.scratch / "limited", time.monotonic()
    with _starved_dask(job) as address:
        state, message = job.run(store, "--dask-scheduler-address", address)
    seconds = time.monotonic() - began
    return job.rerun(scenario, state, seconds, message, store)


def terminate_command(job: Job, scenario: Scenario) -> Outcome:
    """Send SIGTERM to a training while Spark takes the k-core; then run it again."""
    store = job.scratch / "terminated"
    command = job.command(store)
    with subprocess.Popen(command, env=job.environment, cwd=job.scratch, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr  # noqa: S101 - for the type checker: it is a pipe
        log = ""
        while "k-core pass 1" not in log and (line := process.stderr.readline()):
            log += line
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        log += process.stderr.read()
    seconds = time.monotonic() - began
    return job.rerun(scenario, f"exit code {process.returncode}", seconds, last_error(log), store)


COMMANDS = {"disk-full": fill_disk, "memory-limit": limit_memory, "sigterm-command": terminate_command}


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Yield a folder that is a small disk of its own, in memory.

    Raises:
        Unavailable: If this user may not mount one.
    """
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        raise Unavailable(f"mount is refused ({done.stderr.strip()}); run as root to try it")


@contextmanager
def _starved_dask(job: Job) -> Iterator[str]:
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
                env={**job.environment, **dask},
                cwd=job.scratch,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield address
