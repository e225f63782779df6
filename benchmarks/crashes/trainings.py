"""Trainings that can be killed: how they are started, ended, and seen to leave no process behind."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import psutil

from benchmarks.crashes.forking import KILL

LAST_WORDS_SECONDS = 60.0  # for what a killed training started, its JVM above all, to end by itself
LOOK_SECONDS = 0.1
TAIL_BYTES = 4000


@dataclass(frozen=True)
class Ending:
    """How a training ended.

    Attributes:
        code: Its exit code; negative for the signal that killed it.
        seconds: How long it ran.
        log: What it said, line by line.
        survivors: Processes that it started and that were still there a minute after its end.
    """

    code: int
    seconds: float
    log: Sequence[str]
    survivors: Sequence[str]

    @property
    def was_killed(self) -> bool:
        """Whether it was killed, and had not ended before."""
        return self.code == -signal.SIGKILL

    @property
    def last_line(self) -> str:
        """The last thing it said."""
        return self.log[-1] if self.log else ""

    @property
    def last_error(self) -> str:
        """The last error that it told, else the last thing it said."""
        errors = [line for line in self.log if "| ERROR" in line]
        return errors[-1] if errors else self.last_line


class Training:
    """A training that runs, in a session of its own."""

    def __init__(self, server: "ForkServer", pid: int, log: Path) -> None:
        self._server, self._pid, self._log = server, pid, log
        self._started = time.monotonic()

    def wait(self, seconds: float | None = None) -> Ending | None:
        """Return how it ended, or None if it still runs after so many seconds; without a number, wait for the end."""
        if not self._server.has_answer(seconds):
            return None
        return self._ending(int(self._server.answer()["code"]))

    def kill(self) -> Ending:
        """Kill it with SIGKILL, if it still runs, and return how it ended."""
        self._server.order(KILL)
        return self._ending(int(self._server.answer()["code"]))

    def _ending(self, code: int) -> Ending:
        seconds = time.monotonic() - self._started
        survivors = end_session(self._pid)
        lines = self._log.read_text("utf-8", errors="replace").splitlines()
        return Ending(code, seconds, [line for line in lines if line.strip()], survivors)


class ForkServer:
    """The other side of `benchmarks.crashes.forking`."""

    def __init__(self, orders: IO[bytes], answers: IO[bytes], errors: IO[bytes]) -> None:
        self._orders, self._answers, self._errors = orders, answers, errors
        self._n_trainings = 0

    def start(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Training:
        """Start a training in a folder, where its log goes too, with some variables added."""
        self._n_trainings += 1
        log = folder / f"training-{self._n_trainings:04}.log"
        self.order(
            {"arguments": list(arguments), "folder": str(folder), "log": str(log), "environment": dict(environment)}
        )
        return Training(self, int(self.answer()["pid"]), log)

    def order(self, order: Mapping[str, Any]) -> None:
        """Send an order."""
        self._orders.write(json.dumps(order).encode() + b"\n")

    def has_answer(self, seconds: float | None) -> bool:
        """Wait for an answer, for ever or for so many seconds, and tell whether there is one."""
        return bool(select.select([self._answers], [], [], seconds)[0])

    def answer(self) -> dict[str, Any]:
        """Return the next answer.

        Raises:
            RuntimeError: If the process has ended; with what it said last.
        """
        line = self._answers.readline()
        if not line:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace")[-TAIL_BYTES:]
            raise RuntimeError(f"the process that starts trainings has ended; it said: {said}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def open_fork_server(environment: Mapping[str, str], scratch: Path) -> Iterator[ForkServer]:
    """Yield what starts trainings, once it is ready; with its end ends the training that runs, if one does.

    Args:
        environment: All variables that trainings see: where servers are, and who may use them.
        scratch: Folder for what it says and for temporary files.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with (scratch / "forking.log").open("w+b") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.crashes.forking"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            env={**environment, "TMPDIR": str(scratch), "SPARK_LOCAL_DIRS": str(scratch)},
            start_new_session=True,  # Ctrl-C is this process's to act on
        )
        orders, answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        try:
            server = ForkServer(orders, answers, errors)
            server.answer()
            yield server
        finally:
            orders.close()
            process.wait()


def end_session(session: int) -> list[str]:
    """Wait until no process of a session is left, and return those that had to be killed after a minute."""
    deadline = time.monotonic() + LAST_WORDS_SECONDS
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
