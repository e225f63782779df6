"""A real server of the API, as its command starts it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from flows.child_server import LOOPBACK, free_port

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "serving"]
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Api:
    """A server that runs.

    Attributes:
        url: Its address.
        process: The command; with several workers, their parent.
        log_file: What it has logged.
    """

    url: str
    process: subprocess.Popen[bytes]
    log_file: Path

    def log(self) -> str:
        """Return what it has logged so far."""
        return self.log_file.read_text("utf-8")

    def until(self, check: Callable[[], Any]) -> Any:
        """Return what a check returns as soon as that is something; fail if the server ends or it takes too long."""
        ends = time.monotonic() + READY_SECONDS
        while not (found := check()):
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
                raise AssertionError(f"the server ended: {self.log()}")
            assert time.monotonic() < ends, f"{found!r} still: {self.log()}"
        return found

    def answers(self, path: str) -> bool:
        """Tell whether a path is answered with success."""
        try:
            return httpx.get(self.url + path, timeout=5).is_success
        except httpx.TransportError:
            return False


def environment(**settings: str) -> dict[str, str]:
    """Return the variables of a server: none of the settings that this process has."""
    ours = ("API_", "STORE_", "S3_", "WORK_DIR", "LOG_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
        "PYTHONPATH": str(ROOT),
        **settings,
    }


@contextmanager
def open_api(folder: Path, ready: str = "/readyz", **settings: str) -> Iterator[Api]:
    """Serve the store in a folder until the context ends; what is logged must hold no traceback.

    Args:
        folder: Has the store in ``store``; gets all else.
        ready: Path that answers 200 when it is ready.
        settings: Variables.
    """
    port = free_port()
    places = {"STORE_URI": "store", "API_PORT": str(port)}
    log_file = folder / f"api-{port}.log"
    with log_file.open("wb") as log:
        variables = environment(**places | settings)
        process = subprocess.Popen(COMMAND, cwd=folder, env=variables, stdout=log, stderr=log)
    api = Api(f"http://{LOOPBACK}:{port}", process, log_file)
    try:
        api.until(lambda: api.answers(ready))
        yield api
    finally:
        process.terminate()
        process.wait(30)
    assert "Traceback" not in api.log(), api.log()
