"""A Prefect server for the length of one run, for when none answers at ``PREFECT_API_URL``.

Every process of a run shares the one server by its URL; without one, each Dask worker would start its own.
The server is a child process that ends with its parent, however the parent ends: it watches its standard
input, which the operating system closes when the parent is gone.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from loguru import logger
from prefect.logging.handlers import APILogHandler
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_LOGGING_INTERNAL_LEVEL,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    temporary_settings,
)

from schema.errors import Unavailable

START_TIMEOUT_SECONDS = 120.0
# What a server does in the background for deployments and past runs; one that lives for a single run has neither.
IDLE_SERVICES = (
    "CANCELLATION_CLEANUP",
    "CLEANUP_RECONCILER",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "SCHEDULER",
    "TRIGGERS",
)


@contextmanager
def open_prefect_api() -> Iterator[str]:
    """Yield the address of the Prefect API, starting a server of the run's own where none is set.

    Raises:
        Unavailable: If the API at ``PREFECT_API_URL`` does not answer, or no server could be started.
    """
    configured = PREFECT_API_URL.value()
    if configured:
        _require_answer(configured)
        with temporary_settings({PREFECT_LOGGING_INTERNAL_LEVEL: "ERROR"}):
            yield configured
        return
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    server = _start(port)
    try:
        _wait_until_healthy(server, url)
        logger.info("Prefect UI while this run lasts: http://127.0.0.1:{}", port)
        with temporary_settings({PREFECT_API_URL: url, PREFECT_LOGGING_INTERNAL_LEVEL: "ERROR"}):
            try:
                yield url
            finally:
                APILogHandler().flush()  # the last lines of the run, while there is a server to send them to
    finally:
        _stop(server)


def _require_answer(url: str) -> None:
    try:
        httpx.get(f"{url}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable(
            f"The Prefect API does not answer: PREFECT_API_URL is {url!r} ({error}). "
            "Start it with 'make ui', or unset PREFECT_API_URL to let the run start its own."
        ) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start(port: int) -> "subprocess.Popen[bytes]":
    quiet = {
        PREFECT_SERVER_ANALYTICS_ENABLED.name: "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_UI_API_URL": f"http://127.0.0.1:{port}/api",
        **{f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in IDLE_SERVICES},
    }
    return subprocess.Popen(
        [sys.executable, "-m", "flows.prefect_server", str(port)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **quiet},
    )


def _wait_until_healthy(server: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    with httpx.Client(timeout=5) as client:
        while time.monotonic() < deadline and server.poll() is None:
            try:
                if client.get(f"{url}/health").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
    _stop(server)
    said = server.stderr.read().decode(errors="replace")[-2000:] if server.stderr else ""
    raise Unavailable(
        f"The run's own Prefect server did not start within {START_TIMEOUT_SECONDS:.0f} s "
        f"(exit code {server.returncode}). Start one with 'make ui' and set PREFECT_API_URL. It said: {said}"
    )


def _stop(server: "subprocess.Popen[bytes]") -> None:
    if server.stdin:
        server.stdin.close()
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def serve(port: int) -> None:
    """Serve the Prefect API on loopback until standard input closes."""
    import uvicorn
    from prefect.server.api.server import create_app

    server = uvicorn.Server(
        uvicorn.Config(create_app(final=True), host="127.0.0.1", port=port, log_level="critical", lifespan="on")
    )

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.run()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
