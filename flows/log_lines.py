"""The form of a line of the log, as text for people, in full or in short, or as JSON for machines.

Everything that logs during a run (the project, Prefect, Dask and Spark's JVM) is written in this one form. In short,
the lines shown are warnings, and those that are marked: ``logger.bind(in_short=True).info(…)``.
"""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

from loguru import logger

from flows.run_options import LogFormat, RunOptions
from schema.errors import RecommenderError

if TYPE_CHECKING:
    from loguru import Message

OURS = (
    *("__main__", "benchmarks", "deployments", "evaluation", "flows", "models", "reports", "reviews", "serving"),
    *("storage", "tasks"),
)
LIBRARIES = {"prefect": "prefect", "distributed": "dask", "dask": "dask"}
RUN = ("flow_run_name", "flow_run_id", "task_run_name")
SHORT_ID = 8


class LineFormatter(logging.Formatter):
    """Writes records of Python's logging as lines of the log.

    A line of JSON has ``time`` (ISO 8601 in UTC), ``level``, ``source`` (see `source_of`), ``message``, ``flow_run``,
    ``flow_run_id`` and ``task_run`` (names and id of the run that it belongs to) and ``exception`` (the traceback,
    except for an error whose message is enough); null where there is none. In short, no run is named.

    Example:
        >>> slow = {"msg": "ALS: slow", "source": "spark", "flow_run_id": "b7d91a0e-8ff3", "task_run_name": "fit"}
        >>> print(LineFormatter("text").format(logging.makeLogRecord(slow | {"levelname": "INFO"})).split(" | ", 1)[1])
        INFO    | b7d91a0e Task run 'fit' - spark: ALS: slow
    """

    def __init__(self, log_format: LogFormat, *, is_short: bool = False) -> None:
        super().__init__()
        self.log_format, self.is_short = log_format, is_short

    def shows(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is shown."""
        return not self.is_short or record.levelno >= logging.WARNING or getattr(record, "in_short", False)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, without a line break at its end."""
        named = (getattr(record, name, None) for name in RUN)
        flow_run, flow_run_id, task_run = (None if value is None else str(value) for value in named)
        time, source, message = datetime.fromtimestamp(record.created, UTC), source_of(record), record.getMessage()
        has_trace = record.exc_info and record.exc_info[0] and not can_be_acted_on(record)
        exception = self.formatException(record.exc_info) if record.exc_info and has_trace else None
        if self.log_format == "json":
            line = {
                "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "level": record.levelname,
                "source": source,
                "message": message,
                "flow_run": flow_run,
                "flow_run_id": flow_run_id,
                "task_run": task_run,
                "exception": exception,
            }
            return json.dumps(line, ensure_ascii=False)
        run = f"Task run {task_run!r}" if task_run else f"Flow run {flow_run!r}"
        run = f"{flow_run_id[:SHORT_ID]} {run} - " if flow_run_id else ""
        # Only strangers are named: not the project, and not Prefect about a run.
        is_expected = source.split(".")[0] in OURS or (source == "prefect" and flow_run_id)
        stranger = "" if is_expected else f"{source}: "
        if self.is_short:
            level = f"{record.levelname:<7} | " if record.levelno >= logging.WARNING else ""
            text = f"{time.astimezone():%H:%M:%S} | {level}{stranger}{message}"
        else:
            text = f"{time.astimezone():%H:%M:%S.%f}"[:-3] + f" | {record.levelname:<7} | {run}{stranger}{message}"
        return f"{text}\n{exception}" if exception else text


def source_of(record: logging.LogRecord) -> str:
    """Return the source of a record: a module of ours, ``prefect``, ``dask``, ``spark``, or the name of a logger.

    Example:
        >>> source_of(logging.makeLogRecord({"name": "distributed.nanny"}))
        'dask'
    """
    named: str | None = getattr(record, "source", None)
    return named or LIBRARIES.get(record.name.split(".")[0], record.name)


def can_be_acted_on(record: logging.LogRecord) -> bool:
    """Tell whether a record reports an error of the project's own, whose message says what to do."""
    return isinstance(record.exc_info[1] if record.exc_info else None, RecommenderError)


def start_log(options: RunOptions) -> None:
    """Send the project's log to standard error until a run is prepared, and in JSON uncaught errors as well."""
    formatter = LineFormatter(options.log_format, is_short=options.is_short)

    def log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        about = {"name": __name__, "levelname": "CRITICAL", "msg": f"{kind.__name__}: {error}"}
        record = logging.makeLogRecord(about | {"exc_info": (kind, error, trace)})
        sys.stderr.write(f"{formatter.format(record)}\n")

    take_loguru(lambda message: write_loguru(message, formatter), options)
    if options.log_format == "json":
        sys.excepthook = log_uncaught


def take_loguru(sink: Callable[["Message"], None], options: RunOptions) -> None:
    """Send what Loguru is told to one place."""
    logger.remove()
    logger.add(sink, level=options.level, format="{message}", backtrace=False, diagnose=False)


def write_loguru(message: "Message", formatter: LineFormatter) -> None:
    """Write a line of Loguru's, which belongs to no run, to standard error."""
    said, error = message.record, message.record["exception"]
    about = {
        "created": said["time"].timestamp(),
        "levelname": said["level"].name,
        "levelno": said["level"].no,
        "in_short": said["extra"].get("in_short", False),
        "source": said["extra"].get("source", said["name"]),
        "msg": said["message"],
        "exc_info": error and (error.type, error.value, error.traceback),
    }
    record = logging.makeLogRecord(about)
    if formatter.shows(record):
        sys.stderr.write(f"{formatter.format(record)}\n")
