"""Prepare a process of a run, Dask workers included: one stream of logs, and one BLAS thread per task.

The project's lines go through Prefect's logger of the run that they belong to, so that its pages show them too.
"""

import logging
import os
import sys
from typing import TYPE_CHECKING, TextIO

from distributed import Worker, WorkerPlugin
from distributed.comm.core import CommClosedError
from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_run_logger
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.settings import PREFECT_API_URL
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from flows.log_lines import LineFormatter, can_be_acted_on, take_loguru, write_loguru
from flows.run_options import RunOptions
from tasks.addresses import PASSING

if TYPE_CHECKING:
    from loguru import Message

QUIET = ("alembic", "distributed", "httpx", "prefect.task_runner")
RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
HAVE_HANDLERS = ("distributed", "prefect._internal")  # which would write to standard error by themselves
STREAM = "recommender-log"
# Below 3.11.9 a process whose threads are looked at (sys._current_frames) while others end can freeze, and handles
# no signal: https://github.com/python/cpython/issues/106883.
MAY_BE_PROFILED = sys.version_info >= (3, 11, 9)
UNNEEDED = ("Finished in state Completed", "Beginning flow run", "Running hook", "Hook ")


class BesideBars(logging.StreamHandler[TextIO]):
    """Writes lines above the progress bars, where a terminal shows some."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        with tqdm.external_write_mode(self.stream):
            super().emit(record)


class PreparedWorker(WorkerPlugin):
    """Prepares each Dask worker as the run's own process is prepared."""

    name = "recommender-process"

    def __init__(self, log: RunOptions, *, has_caller: bool) -> None:
        self.log, self.has_caller = log, has_caller

    def setup(self, worker: Worker) -> None:
        """Prepare the process that the worker runs in, and leave out the profile that Dask takes every 10 ms."""
        prepare_process(self.log, has_caller=self.has_caller)
        if not MAY_BE_PROFILED and (profile := worker.periodic_callbacks.pop("profile", None)):
            profile.stop()


def prepare_process(log: RunOptions, *, has_caller: bool = False) -> None:
    """Hold BLAS to one thread, and send all that this process logs to standard error, a run's lines to Prefect too.

    Row-parallel tasks share the cores, and with one thread sums keep their order.

    Args:
        log: What is logged, and how.
        has_caller: Whether a caller, such as the command line, shows the errors that the user can act on. What it shows
            is in short unless a level is given.
    """
    # Read by MLflow when it is first imported.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Read by the Dask workers that this process starts, which log before they are prepared.
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
    threadpool_limits(limits=1, user_api="blas")
    formatter = LineFormatter(log.log_format, is_short=has_caller and log.is_short)

    def forward(message: "Message") -> None:
        record, error = message.record, message.record["exception"]
        if not (TaskRunContext.get() or FlowRunContext.get()):
            write_loguru(message, formatter)
            return
        about = {"source": record["extra"].get("source", record["name"])}
        about["in_short"] = record["extra"].get("in_short", False)
        exc_info = error.value if error else None
        get_run_logger().log(record["level"].no, record["message"], exc_info=exc_info, extra=about)

    take_loguru(forward, log)
    _make_stream(formatter, has_caller=has_caller)
    logging.captureWarnings(True)
    for name in QUIET:
        logging.getLogger(name).setLevel("WARNING")
    logging.getLogger("distributed.worker").addFilter(_is_no_last_heartbeat)
    for name in RUN_LOGGERS:
        logging.getLogger(name).setLevel(log.level)
        logging.getLogger(name).addFilter(_is_needed)


def name_run(record: logging.LogRecord) -> bool:
    """Name the run that is going on in a record that names none; a filter that lets every record pass."""
    flow, task = FlowRunContext.get(), TaskRunContext.get()
    at_hand = {
        "flow_run_name": flow.flow_run.name if flow and flow.flow_run else None,
        "flow_run_id": flow.flow_run.id if flow and flow.flow_run else None,
        "task_run_name": task.task_run.name if task else None,
    }
    vars(record).update(at_hand | vars(record))
    return True


def _make_stream(formatter: LineFormatter, *, has_caller: bool) -> None:
    """Install one handler at the root that writes to standard error: Prefect's own where it gives colours."""
    root = logging.getLogger()
    ours = [one for one in root.handlers if isinstance(one, PrefectConsoleHandler) or one.get_name() == STREAM]
    prefects = next((one for one in ours if isinstance(one, PrefectConsoleHandler)), None)
    gives_colours = prefects and formatter.log_format == "text" and not formatter.is_short
    stream = prefects if prefects and gives_colours else BesideBars(sys.stderr)
    for handler in ours:
        root.removeHandler(handler)
    stream.set_name(STREAM)
    stream.setFormatter(formatter)
    stream.addFilter(name_run)
    if formatter.is_short:
        stream.addFilter(formatter.shows)
    stream.removeFilter(_is_not_shown_by_caller)
    if has_caller:
        stream.addFilter(_is_not_shown_by_caller)
    root.addHandler(stream)
    for name in HAVE_HANDLERS:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def _is_not_shown_by_caller(record: logging.LogRecord) -> bool:
    """Leave out errors that the user can act on, which the caller shows in one message."""
    return not can_be_acted_on(record) and not record.getMessage().startswith("Finished in state Failed")


def _is_no_last_heartbeat(record: logging.LogRecord) -> bool:
    """Leave out heartbeats that a worker's end cuts off; where the scheduler's end did so, the run tells of it."""
    is_cut_off = record.exc_info and isinstance(record.exc_info[1], CommClosedError)
    return not (is_cut_off and "heartbeat" in record.getMessage())


def _is_needed(record: logging.LogRecord) -> bool:
    """Leave out lines of Prefect's that say nothing new; mark retries, and the page of a run that outlives the run."""
    said = record.getMessage()
    if said.startswith("Task run failed with") or (
        said.startswith("View at") and PREFECT_API_URL.value() not in PASSING
    ):
        record.in_short = True
    return hasattr(record, "source") or not record.getMessage().startswith(UNNEEDED)
