"""The outages of a training that a command runs: a full disk, a memory limit, SIGTERM."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.crashes.rounds import digests
from benchmarks.failing.verdict import Outcome, compare
from deployments.stack.placement import DASK_SCHEDULER, place_in_containers
from deployments.stack.services import services as services_of
from flows.child_server import LOOPBACK, free_port
from schema.errors import Unavailable
from storage.opening import open_store

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 300.0
SMALL_DISK = "400k"  # less than the training publishes


@dataclass(frozen=True)
class Job:
    """The training.

    Attributes:
        flags: What it learns from and how.
        environment: Its variables.
        scratch: Folder for stores and working folders.
    """

    flags: Sequence[str]
    environment: Mapping[str, str]
    scratch: Path

    def command(self, store: Path, *more: str) -> list[str]:
        """Return the command line of the training on a store."""
        places = ("--store", str(store), "--work-dir", str(self.scratch / "work"))
        tracking = ("--mlflow-tracking-uri", f"sqlite:///{self.scratch}/{store.name}.db")
        return [sys.executable, str(ROOT / "flows" / "train.py"), *self.flags, *places, *tracking, *more]

    def run(self, store: Path, *more: str) -> tuple[str, str]:
        """Run the training on a store to its end; return how it ended and what it said last."""
        done = subprocess.run(
            self.command(store, *more),
            env=dict(self.environment),
            cwd=self.scratch,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
        return f"exit code {done.returncode}", last_error(done.stderr)


def last_error(said: str) -> str:
    r"""Return the last ERROR of what a command said; where it said none, its last line.

    Example:
        >>> last_error("12:00:00.000 | ERROR   | No space\nTry again\n")
        'No space Try again'
    """
    lines = said.strip().splitlines()
    errors = [place for place, line in enumerate(lines) if " | ERROR " in line]
    told = lines[errors[-1] :] if errors else lines[-1:]
    return " ".join(told).split(" | ")[-1].strip()


def fill_disk(job: Job) -> Outcome:
    """Train on a store whose disk is too small; then on the same with more room.

    Raises:
        Unavailable: If this user may not mount a disk.
    """
    expected = _undisturbed(job)
    with small_disk(job.scratch / "disk") as disk:
        store, began = disk / "store", time.monotonic()
        state, message = job.run(store)
        seconds = time.monotonic() - began
        _mount("-o", "remount,size=200m", str(disk))
        rerun, _ = job.run(store)
        lost = compare(digests(open_store(str(store))), expected)
    what = f"the store's disk has {SMALL_DISK}; the next run finds more room"
    return Outcome("disk-full", what, state, ("exit code 1",), seconds, message, rerun, lost)


def limit_memory(job: Job) -> Outcome:
    """Train with Dask workers that may take less than Python and its libraries; then without the limit."""
    expected, store, began = _undisturbed(job), job.scratch / "limited", time.monotonic()
    with _starved_dask(job) as address:
        state, message = job.run(store, "--dask-scheduler-address", address)
    seconds = time.monotonic() - began
    rerun, _ = job.run(store)
    lost = compare(digests(open_store(str(store))), expected)
    what = "a Dask worker may take 150 MB; the next run has no such limit"
    return Outcome("memory-limit", what, state, ("exit code 1",), seconds, message, rerun, lost)


@contextmanager
def _starved_dask(job: Job) -> Iterator[str]:
    """Yield the address of a Dask whose only worker may take 150 MB, with the settings that the stack gives its own."""
    services = {one.name: one for one in services_of(place_in_containers())}
    address = f"tcp://{LOOPBACK}:{free_port()}"
    with ExitStack() as stack:
        for name, command in {
            DASK_SCHEDULER: ("scheduler", "--port", address.rpartition(":")[2], "--dashboard-address", f"{LOOPBACK}:0"),
            "dask-worker-1": ("worker", address, "--nthreads", "1", "--memory-limit", "150MB", "--no-dashboard"),
        }.items():
            dask = {key: value for key, value in services[name].environment.items() if key.startswith("DASK_")}
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


def terminate_command(job: Job) -> Outcome:
    """Send SIGTERM to a training while Spark takes the k-core; then run it again."""
    expected, store = _undisturbed(job), job.scratch / "terminated"
    process = subprocess.Popen(
        job.command(store), env=dict(job.environment), cwd=job.scratch, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr  # noqa: S101 - for the type checker: it is a pipe
    said = ""
    while "k-core pass 1" not in said and (line := process.stderr.readline()):
        said += line
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said += process.stderr.read()
    process.wait(TIMEOUT_SECONDS)
    state, seconds = f"exit code {process.returncode}", time.monotonic() - began
    rerun, _ = job.run(store)
    lost = compare(digests(open_store(str(store))), expected)
    what = "python flows/train.py gets SIGTERM while Spark takes the k-core"
    return Outcome("sigterm-command", what, state, ("exit code 143",), seconds, last_error(said), rerun, lost)


COMMANDS = {"disk-full": fill_disk, "memory-limit": limit_memory, "sigterm-command": terminate_command}


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Yield a folder that is a disk of its own, in memory, and small.

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


def _undisturbed(job: Job) -> Mapping[str, str]:
    """Return what an undisturbed training leaves, which is made once."""
    store = job.scratch / "reference"
    state, message = job.run(store)
    if state != "exit code 0":
        raise Unavailable(f"an undisturbed training failed: {message}")
    return digests(open_store(str(store)))


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables without those that lead a command elsewhere."""
    foreign = ("STORE_", "S3_", "PREFECT_API", "DASK_", "SPARK_", "MLFLOW_", "WORK_DIR")
    return {name: value for name, value in environment.items() if not name.startswith(foreign)}
