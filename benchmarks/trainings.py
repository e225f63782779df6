"""Trainings on a small sample that can be killed: each forked from a process that has done the imports.

A training runs as ``python flows/train.py`` does after its imports, which take far longer than what a killed training
still has to do. The process that it is forked from ends with the benchmark, and with it the training.
"""

import ctypes
import hashlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, NoReturn, Self

import psutil

from benchmarks.reader import Digests, digests
from deployments.s3_server import S3Server
from reviews.options import SampleOptions
from reviews.sample import write_sample
from storage.opening import open_store
from storage.protocol import Store
from storage.s3_options import S3Options

SAMPLE = SampleOptions(n_users=600, n_items=250)
# With a random split and a weak kNN, ALS wins, so that the files of a Spark model are at stake too.
# One block, so that sums have one order.
PARAMETERS: Mapping[str, Any] = {
    "split": "random",
    "knn_neighbours": 1,
    "search_kinds": "als-implicit",
    "search_tries": 0,
    "als_rank": [32],
    "als_reg": [0.2],
    "als_alpha": [0.5],
    "als_maxiter": 3,
    "als_blocks": 1,
}
FLAGS = ("--spark-driver-memory", "1g", "--spark-master", "local[2]", "--spark-shuffle-partitions", "1")
# What a training imports, early or late; importing it opens nothing.
IMPORTS = [
    "flows.train",
    "flows.pipeline",
    "mlflow.store.tracking.sqlalchemy_store",
    "pandera",
    "pyspark.ml.recommendation",
    "pyspark.sql.pandas.conversion",
    "storage.s3",
]
CRASHED = 70
EXIT_SECONDS = 60.0  # for what a killed training started, its JVM above all, to end by itself
LOOK_SECONDS = 0.1
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Ending:
    """The end of a training.

    Attributes:
        code: Exit code; negative for the signal that killed it.
        seconds: Time since its start.
        log: Lines of its log.
        survivors: Processes that it started and that were still there a minute after its end.
    """

    code: int
    seconds: float
    log: Sequence[str] = ()
    survivors: Sequence[str] = ()

    @property
    def was_killed(self) -> bool:
        """True if it was killed before it ended by itself."""
        return self.code == -signal.SIGKILL

    @property
    def last_line(self) -> str:
        """The last line of its log."""
        return self.log[-1] if self.log else ""

    @property
    def last_error(self) -> str:
        """The last ERROR in its log with the lines after it; if there is none, the last line.

        Example:
            >>> Ending(1, 2.0, ["12:00:00.000 | ERROR   | No space", "Try again"]).last_error
            'No space Try again'
        """
        start = max((place for place, line in enumerate(self.log) if "| ERROR" in line), default=-1)
        return " ".join(self.log[start:]).split(" | ")[-1].strip()


class Training:
    """A running training, in a session and a working folder of its own; it is killed when the block is left.

    Args:
        arguments: Command line of the training.
        folder: Its working folder, where its log goes too.
        environment: Variables to add to those of the benchmark, as they were when the first training started.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._log = folder / f"training-{uuid.uuid4().hex[:8]}.log"
        self._process = _forks().Process(target=_train, args=(list(arguments), folder, self._log, dict(environment)))
        self._process.start()
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait(self, seconds: float | None = None) -> Ending | None:
        """Return its end, or None if it still runs after so many seconds; without a number, wait for the end."""
        self._process.join(seconds)
        return None if self._process.exitcode is None else self._ending()

    def read_log(self) -> list[str]:
        """Return the lines of its log until now."""
        lines = self._log.read_text("utf-8", errors="replace").splitlines() if self._log.exists() else []
        return [line for line in lines if line.strip()]

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self._process.terminate()

    def kill(self) -> Ending:
        """Kill it with SIGKILL, if it still runs, and return its end."""
        self._process.kill()
        self._process.join()
        return self._ending()

    def _ending(self) -> Ending:
        seconds = time.monotonic() - self._started
        survivors = _end_session(self._process.pid or 0)
        return Ending(self._process.exitcode or 0, seconds, self.read_log(), survivors)


@cache
def _forks() -> ForkServerContext:
    """Return what forks trainings, from a process that has done the imports."""
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")  # it removes the semaphores of killed trainings
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(IMPORTS)
    return forks


@dataclass(frozen=True)
class Place:
    """A backend on which trainings run.

    Attributes:
        name: For the tables.
        root: URI below which there is room for stores.
        parameters: Of each training.
        scratch: Folder for working folders and logs.
        options: Options of its stores.
        environment: Variables that a training needs to write there.
        server: The server, if it is the benchmark's own and may be killed.
    """

    name: str
    root: str
    parameters: Mapping[str, Any]
    scratch: Path
    options: S3Options = field(default_factory=S3Options)
    environment: Mapping[str, str] = field(default_factory=dict)
    server: S3Server | None = None

    def start(self, uri: str, *flags: str) -> Training:
        """Start a training on a store, with more flags.

        An archive of the JVM's classes, which the first one writes, halves the start of Spark.
        """
        folder = self.scratch / f"{uri.rsplit('/', 1)[-1]}-{hashlib.sha256(uri.encode()).hexdigest()[:8]}"
        folder.mkdir(exist_ok=True)
        where = ("--store", uri, "--work-dir", str(folder / "work"), "--mlflow-artifact-dir", str(folder / "mlflow"))
        tracking = ("--mlflow-tracking-uri", f"sqlite:///{folder}/mlflow.db")
        archive = self.scratch / "classes.jsa"
        option = "SharedArchiveFile" if archive.exists() else "ArchiveClassesAtExit"
        environment = {**self.environment, "JAVA_TOOL_OPTIONS": f"-XX:{option}={archive}"}
        for name, value in self.parameters.items():
            environment[name.upper()] = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        whole_log = ["--log-level", "INFO"]  # its lines tell the steps
        return Training([*FLAGS, *whole_log, *where, *tracking, *flags], folder, environment)

    def run(self, uri: str, *flags: str, kill_after: float | None = None) -> Ending:
        """Run a training on a store; with a number of seconds, kill it if it still runs then."""
        with self.start(uri, *flags) as training:
            return training.wait(kill_after) or training.kill()

    def open_store(self, uri: str) -> Store:
        """Return a store, opened for another reader."""
        return open_store(uri, self.options)

    def digests(self, uri: str) -> Digests:
        """Return the SHA-256 of every object of a store by its key."""
        return digests(self.open_store(uri))


def prepare_parameters(folder: Path) -> dict[str, Any]:
    """Write the sample into a folder, and return the parameters of a training on it."""
    sample = write_sample(folder, SAMPLE)
    return {**PARAMETERS, "input_reviews": str(sample.reviews), "input_products": str(sample.products)}


def _train(arguments: list[str], folder: Path, log: Path, environment: dict[str, str]) -> NoReturn:
    """Run a training in this process, forked for it, and exit."""
    from flows.train import main

    code = CRASHED
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.environ.update(environment)
        os.chdir(folder)
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else CRASHED
    except Exception:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def _end_session(session: int) -> list[str]:
    """Wait until no process of a session is left; after a minute kill those that are, and return them."""
    deadline = time.monotonic() + EXIT_SECONDS
    while alive := list(_members(session)):
        if time.monotonic() > deadline:
            names = [f"{process.pid} {process.name()}" for process in alive]
            for process in alive:
                process.kill()
            return names
        time.sleep(LOOK_SECONDS)
    return []


def _members(session: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError, psutil.Error):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                yield process
