"""Server programs as child processes that end with their parent, however the parent ends."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from ssl import SSLContext
from typing import IO, NoReturn

import httpx

from schema.errors import InvalidInput, Unavailable

LOOPBACK = "127.0.0.1"
BUILT_PROGRAMS = Path(__file__).parents[1] / ".setup" / "bin"
START_TIMEOUT_SECONDS = 60.0
TAIL_BYTES = 2000
# What a server may see of our environment; everything else, such as settings meant for another server, stays out.
INHERITED = ("LD_LIBRARY_PATH", "PATH", "TMPDIR")


def find_program(name: str) -> Path | None:
    """Return a program of that name: the one on PATH, else the one that ``make services`` built, else None."""
    found = shutil.which(name) or shutil.which(name, path=str(BUILT_PROGRAMS))
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
    """Return a port of an address of this machine that nothing listens on now: the one that is wanted, or any.

    Raises:
        InvalidInput: If the one that is wanted cannot be had.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted or 0))
        except (OSError, OverflowError) as error:
            raise InvalidInput(
                f"port {wanted} of {host} cannot be listened on ({error}). "
                "Stop what listens there, or choose another port."
            ) from error
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """A server program, started and stopped any number of times with the same command.

    Args:
        command: The program and its arguments.
        environment: Variables for the program, besides `INHERITED`.
        health_urls: Addresses that all answer with success as soon as the server can be used.
        trust: What the certificate of an https address is checked against.
        secret: Text that no error message may show.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        health_urls: Sequence[str],
        *,
        trust: SSLContext | None = None,
        secret: str | None = None,
    ) -> None:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self._command = list(command)
        self._environment = inherited | dict(environment)
        self._health_urls = list(health_urls)
        self._trust = trust
        self._secret = secret
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self.pid = 0

    def start(self) -> None:
        """Start the server and return when it is healthy.

        Raises:
            Unavailable: If it ends, or is not healthy within START_TIMEOUT_SECONDS; with what it said last.
        """
        self._log = _nameless_file()
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", "deployments.supervisor", *self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=self._environment,
            start_new_session=True,  # Ctrl-C is the parent's to act on
        )
        try:
            self._await_health(self._supervisor)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server, by force where it does not obey; nothing happens if it has ended already."""
        if self._supervisor:
            for pipe in (self._supervisor.stdin, self._supervisor.stdout):
                if pipe:
                    pipe.close()
            self._supervisor.terminate()
            self._supervisor.wait()
        if self._log:
            self._log.close()

    def kill(self) -> None:
        """End the server as a crash would, with SIGKILL, and return when it is gone."""
        if self._supervisor and self._supervisor.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._supervisor.wait()

    def restart(self) -> None:
        """Start the server again, after stopping it where it still runs.

        Raises:
            Unavailable: As from `start`.
        """
        self.stop()
        self.start()

    def run_to_end(self) -> NoReturn:
        """Wait until the server ends.

        Raises:
            Unavailable: When it has ended by itself; with what it said last.
        """
        if self._supervisor:
            self._supervisor.wait()
        raise self._unavailable("ended by itself")

    def _await_health(self, supervisor: "subprocess.Popen[bytes]") -> None:
        self.pid = int((supervisor.stdout.readline() if supervisor.stdout else b"") or 0)
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        with httpx.Client(timeout=5, trust_env=False, verify=self._trust or True) as client:
            while supervisor.poll() is None:
                with suppress(httpx.TransportError):
                    if all(client.get(url).is_success for url in self._health_urls):
                        return
                if time.monotonic() > deadline:
                    raise self._unavailable(f"did not answer within {START_TIMEOUT_SECONDS:.0f} s")
                time.sleep(0.05)
        raise self._unavailable(f"ended before it answered, with exit code {supervisor.returncode}")

    def _unavailable(self, problem: str) -> Unavailable:
        name = Path(self._command[0]).name
        return Unavailable(f"{name} at {self._health_urls[0]} {problem}. It said: {self._last_words()}")

    def _last_words(self) -> str:
        if self._log is None:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        said = os.pread(self._log.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES)).decode(errors="replace").strip()
        return said.replace(self._secret, "***") if self._secret else said


def _nameless_file() -> IO[bytes]:
    """Return a file that leaves nothing behind, even when nobody gets to close it."""
    return tempfile.TemporaryFile()
