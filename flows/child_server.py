"""Run server programs as child processes that end with their parent, however the parent ends.

    python -m flows.child_server PROGRAM ARGUMENT…

runs a program for as long as the process that asked for it lives: `ChildServer` starts this between itself and its
program. The parent holds the other end of standard input and never writes to it. The operating system closes it when
the parent is gone; where a process forked from the parent still has it open, the parent's process id tells.
The first line of standard output is the program's process id; all that the program says goes to standard error.

Only Python's standard library is imported here, so that a guard takes little memory and starts at once.
"""

import errno
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from pathlib import Path
from random import SystemRandom
from typing import IO, NoReturn
from urllib.error import HTTPError
from urllib.request import OpenerDirector, ProxyHandler, build_opener

from schema.errors import InvalidInput, Unavailable

LOOPBACK = "127.0.0.1"
SERVER_PORTS = range(10_000, 32_768)  # below those that Linux gives to outgoing connections, and macOS too
PORT_TRIES = 20
BUILT_PROGRAMS = Path(__file__).parents[1] / ".setup" / "bin"
# What a server may see of our environment; everything else, such as settings meant for another server, stays out.
INHERITED = ("LD_LIBRARY_PATH", "PATH", "TMPDIR")
# Keeps servers, and the pages that they serve, from asking anybody outside. Prefect's second version of its pages asks
# an analytics host whatever is set, so the first is what its front page opens.
PRIVATE = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
}
START_TIMEOUT_SECONDS = 120.0
CHECK_TIMEOUT_SECONDS = 5.0
POLL_SECONDS = 0.05
GRACE_SECONDS = 5.0
PARENT_POLL_SECONDS = 1.0
TAIL_LINES, TAIL_BYTES = 20, 4000


def search_path() -> str:
    """Return the folders of programs: that of this Python, those on PATH, and what ``make services`` built."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), str(BUILT_PROGRAMS)])


def find_program(name: str) -> Path | None:
    """Return a program of that name, where there is one: see `search_path`."""
    found = shutil.which(name, path=search_path())
    return Path(found) if found else None


def require_program(name: str) -> Path:
    """Return a program of that name.

    Raises:
        InvalidInput: If there is none.
    """
    found = find_program(name)
    if found is None:
        raise InvalidInput(f"{name} is neither on PATH nor in {BUILT_PROGRAMS}. Build it with: make services")
    return found


def free_port(wanted: int | None = None, host: str = LOOPBACK) -> int:
    """Return a port, of an address of this machine, that nothing listens on now: the one wanted, or any.

    Any is one of `SERVER_PORTS`: a connection cannot take it before its server does.

    Raises:
        InvalidInput: If the wanted port, or any, cannot be listened on.
    """
    *others, last = [wanted] if wanted else SystemRandom().sample(SERVER_PORTS, PORT_TRIES)
    for port in others:
        with suppress(InvalidInput):
            return _require_free(port, host)
    return _require_free(last, host)


def _require_free(port: int, host: str) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            advice = "Stop what listens there, or choose another port" if is_taken else "Choose another port or address"
            raise InvalidInput(f"port {port} of {host} cannot be listened on ({error}). {advice}.") from error
    return port


def inherited(*more: str) -> dict[str, str]:
    """Return the part of this process's environment that servers see: `INHERITED`, and the names given."""
    return {name: os.environ[name] for name in (*INHERITED, *more) if name in os.environ}


@dataclass(frozen=True)
class Check:
    """A health check: an address that answers with success, and a regular expression found in its answer."""

    url: str
    pattern: str = ""

    def problem(self) -> str | None:
        """Return why the server cannot be used, or None if it can."""
        try:
            with _direct().open(self.url, timeout=CHECK_TIMEOUT_SECONDS) as answer:
                said = answer.read().decode(errors="replace")
        except HTTPError as error:
            error.close()
            return f"{self.url} answers {error.code}"
        except (OSError, HTTPException) as error:
            return f"{self.url} does not answer: {getattr(error, 'reason', error)}"
        return None if re.search(self.pattern, said, flags=re.DOTALL) else f"{self.url} does not say {self.pattern!r}"


@cache
def _direct() -> OpenerDirector:
    """Return what asks servers without a proxy: one for all, since each reads the certificates of this machine."""
    return build_opener(ProxyHandler({}))


def first_problem(checks: Sequence[Check]) -> str | None:
    """Return the first problem that a check finds, or None if there is none."""
    return next((problem for check in checks if (problem := check.problem())), None)


def last_words(log: IO[bytes], secrets: Collection[str] = ()) -> str:
    """Return the last lines of a log, with ``***`` in place of each secret, also of one that the cut would halve."""
    margin = max(map(len, secrets), default=0)
    start = max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES - margin)
    said = os.pread(log.fileno(), TAIL_BYTES + margin, start).decode(errors="replace")
    for secret in secrets:
        said = said.replace(secret, "***")
    return "\n".join(said[margin if start else 0 :].strip().splitlines()[-TAIL_LINES:])


class ChildServer:
    """A server program, started and stopped any number of times with the same command.

    Args:
        command: The program, or its name as `require_program` takes it, and its arguments.
        environment: Variables for the program, besides `INHERITED`.
        checks: Health checks that all pass as soon as the server can be used.
        secrets: Text that no error message may show.

    Raises:
        InvalidInput: If there is no such program.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        checks: Sequence[Check],
        *,
        secrets: Collection[str] = (),
    ) -> None:
        self._command = [str(require_program(command[0])), *command[1:]]
        self._environment = inherited() | dict(environment)
        self._checks = tuple(checks)
        self._secrets = tuple(secrets)
        self._guard: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self.pid = 0

    def start(self) -> None:
        """Start the server, after stopping it where it still runs, and return when it is healthy.

        Raises:
            Unavailable: If it ends, or is not healthy within START_TIMEOUT_SECONDS; with what it said last.
        """
        self.stop()
        self._log = _unnamed_file()
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "flows.child_server", *self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=self._environment,
            start_new_session=True,  # Ctrl-C is for the parent to handle
        )
        try:
            self._wait_until_healthy(self._guard)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server and what it started, by force where it does not obey; do nothing if it has ended already."""
        if self._guard:
            for pipe in (self._guard.stdin, self._guard.stdout):
                if pipe:
                    pipe.close()
            self._guard.terminate()
            self._guard.wait()
        if self._log:
            self._log.close()

    def kill(self) -> None:
        """End the server as a crash would, with SIGKILL, and return when it is gone; `start` starts it again."""
        if self._guard and self._guard.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._guard.wait()

    def run_to_end(self) -> NoReturn:
        """Wait until the server ends.

        Raises:
            Unavailable: When it has ended by itself; with what it said last.
        """
        if self._guard:
            self._guard.wait()
        raise self._unavailable("ended by itself")

    def _wait_until_healthy(self, guard: "subprocess.Popen[bytes]") -> None:
        self.pid = int((guard.stdout.readline() if guard.stdout else b"") or 0)
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while guard.poll() is None:
            if first_problem(self._checks) is None:
                return
            if time.monotonic() > deadline:
                raise self._unavailable(f"did not answer within {START_TIMEOUT_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
        raise self._unavailable(f"ended before it answered, with exit code {guard.returncode}")

    def _unavailable(self, problem: str) -> Unavailable:
        said = last_words(self._log, self._secrets) if self._log else ""
        return Unavailable(f"{Path(self._command[0]).name} at {self._checks[0].url} {problem}. It said: {said}")


def _unnamed_file() -> IO[bytes]:
    """Return a file that leaves nothing behind, even when nobody gets to close it."""
    return tempfile.TemporaryFile()


def guard(command: Sequence[str]) -> int:
    """Run a command until it ends, the parent does or SIGTERM comes; return its exit code if it ended by itself."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parent = os.getppid()
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0)
    try:
        threading.Thread(target=_end_with, args=(parent, server), daemon=True).start()
        sys.stdout.write(f"{server.pid}\n")
        sys.stdout.flush()
        return server.wait()
    finally:
        _end(server)


def _end_with(parent: int, server: "subprocess.Popen[bytes]") -> None:
    while os.getppid() == parent and not select.select([sys.stdin], [], [], PARENT_POLL_SECONDS)[0]:
        pass
    _end(server)


def _end(server: "subprocess.Popen[bytes]") -> None:
    """End a server with SIGTERM, and what is left of its process group after the grace with SIGKILL."""
    server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_SECONDS)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
