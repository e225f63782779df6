"""What every process of a run does first, Dask workers included: one stream of logs, one BLAS thread per task.

Loguru's lines go to Prefect where a run is going on, and to standard error elsewhere.
"""

import logging
import os
import sys
from typing import TYPE_CHECKING

from distributed import Worker, WorkerPlugin
from loguru import logger
from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_run_logger
from prefect.logging.handlers import PrefectConsoleHandler
from threadpoolctl import threadpool_limits

from storage.errors import RecommenderError

if TYPE_CHECKING:
    from loguru import Message

QUIET = ("alembic", "distributed", "httpx", "prefect.task_runner")
FORMAT = "{time:HH:mm:ss.SSS} | {level: <7} | {message}"


class PreparedWorker(WorkerPlugin):
    """Prepares each Dask worker as the run's own process is prepared."""

    name = "recommender-process"

    def __init__(self, log_level: str) -> None:
        self.log_level = log_level

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 - the signature is Dask's
        """Prepare the process that the worker runs in."""
        prepare_process(self.log_level)


def prepare_process(log_level: str) -> None:
    """Route log lines and hold BLAS to one thread: row-parallel tasks share the cores, and sums keep their order."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # read by MLflow when it is first imported
    configure_logging(log_level)
    threadpool_limits(limits=1, user_api="blas")


def configure_logging(level: str) -> None:
    """Send every Loguru line of this process to the Prefect run that it belongs to, else to standard error."""

    def forward(message: "Message") -> None:
        record = message.record
        if TaskRunContext.get() or FlowRunContext.get():
            get_run_logger().log(record["level"].no, record["message"], exc_info=_exc_info(message))
        else:
            sys.stderr.write(message)

    logger.remove()
    logger.add(forward, level=level, format=FORMAT, backtrace=False, diagnose=False)
    for name in QUIET:
        logging.getLogger(name).setLevel("WARNING")
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).addFilter(_is_news)


def _exc_info(message: "Message") -> BaseException | None:
    exception = message.record["exception"]
    return exception.value if exception else None


def _is_for_the_terminal(record: logging.LogRecord) -> bool:
    """Leave to the UI what the command line says in one message: errors that the user can act on."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, RecommenderError) and not record.getMessage().startswith("Finished in state Failed")


def _is_news(record: logging.LogRecord) -> bool:
    # Prefect makes its handlers anew with each change of settings, so they are looked up when there is a record.
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler):
            handler.addFilter(_is_for_the_terminal)
    return not record.getMessage().startswith(("Finished in state Completed", "Beginning flow run"))
