"""Serve the Prefect API for the length of one run, where none answers at ``PREFECT_API_URL``.

Every process of a run shares the one server by its URL; without one, each Dask worker would start its own.
"""

import os
import sys
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

from flows.child_server import LOOPBACK, Check, ChildServer, free_port
from schema.errors import Unavailable
from tasks.tracking import hide_user

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
    port = free_port()
    url = f"http://{LOOPBACK}:{port}/api"
    server = _child_server(port, url)
    _start(server)
    try:
        logger.info("Prefect UI while this run lasts: http://{}:{}", LOOPBACK, port)
        with temporary_settings({PREFECT_API_URL: url, PREFECT_LOGGING_INTERNAL_LEVEL: "ERROR"}):
            try:
                yield url
            finally:
                APILogHandler().flush()  # the last lines of the run, while there is a server to send them to
    finally:
        server.stop()


def _require_answer(url: str) -> None:
    try:
        httpx.get(f"{url}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        shown = hide_user(url)
        raise Unavailable(
            f"The Prefect API does not answer: PREFECT_API_URL is {shown!r} ({str(error).replace(url, shown)}). "
            "Start it with 'make ui', or unset PREFECT_API_URL to let the run start its own."
        ) from error


def _child_server(port: int, url: str) -> ChildServer:
    quiet = {
        PREFECT_SERVER_ANALYTICS_ENABLED.name: "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_UI_API_URL": url,
        **{f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in IDLE_SERVICES},
    }
    command = [sys.executable, "-m", "flows.prefect_server", str(port)]
    return ChildServer(command, {**os.environ, **quiet}, [Check(f"{url}/health")])


def _start(server: ChildServer) -> None:
    try:
        server.start()
    except Unavailable as error:
        raise Unavailable(
            "The run's own Prefect server did not start; start one with 'make ui' and set PREFECT_API_URL. "
            + str(error)
        ) from error


def serve(port: int) -> None:
    """Serve the Prefect API on loopback until SIGTERM."""
    import uvicorn
    from prefect.server.api.server import create_app

    uvicorn.run(create_app(final=True), host=LOOPBACK, port=port, log_level="critical", lifespan="on")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
