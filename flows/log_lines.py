"""The form of a line of the log, as text for people or as JSON for machines.

Everything that logs during a run (the project, Prefect, Dask and Spark's JVM) is written in this one form.
"""

import json
import sys
import traceback
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

from loguru import logger

from tasks.options import LogFormat, LogOptions

if TYPE_CHECKING:
    from loguru import Message

OURS = (
    *(
        "benchmarks",
        "deployments",
        "evaluation",
        "flows",
        "models",
        "reports",
        "reviews",
        "serving",
        "storage",
        "tasks",
    ),
    "__main__",
)
SHORT_ID = 8


@dataclass(frozen=True)
class LogLine:
    """One line of the log.

    Attributes:
        time: When it was logged.
        level: DEBUG, INFO, WARNING, ERROR or CRITICAL.
        source: A module of the project, ``prefect``, ``dask``, ``spark``, or the name of a logger.
        message: May have several lines.
        flow_run: Name of the flow run that it belongs to, if any.
        flow_run_id: Its id.
        task_run: Name of the task run that it belongs to, if any.
        exception: The traceback, if an error is reported.
    """

    time: datetime
    level: str
    source: str
    message: str
    flow_run: str | None = None
    flow_run_id: str | None = None
    task_run: str | None = None
    exception: str | None = None

    def write(self, log_format: LogFormat) -> str:
        """Return the line as it is written, without a line break at its end.

        Example:
            >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
            >>> line = LogLine(noon, "INFO", "spark", "ALS: slow", "train on x", "b7d91a0e-8ff3", "fit")
            >>> print(line.write("json"))  # doctest: +ELLIPSIS
            {"time": "2026-01-01T12:00:00.000Z", "level": "INFO", "source": "spark", "message": "ALS: slow", ...}
            >>> print(line.write("text").split(" | ", 1)[1])
            INFO    | b7d91a0e Task run 'fit' - spark: ALS: slow
        """
        return self._as_json() if log_format == "json" else self._as_text()

    def _as_json(self) -> str:
        time = self.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json.dumps(asdict(self) | {"time": time}, ensure_ascii=False)

    def _as_text(self) -> str:
        time = self.time.astimezone().strftime("%H:%M:%S.%f")[:-3]
        text = f"{time} | {self.level:<7} | {self._run()}{self._source_prefix()}{self.message}"
        return f"{text}\n{self.exception}" if self.exception else text

    def _run(self) -> str:
        if self.flow_run_id is None:
            return ""
        run = f"Task run {self.task_run!r}" if self.task_run else f"Flow run {self.flow_run!r}"
        return f"{self.flow_run_id[:SHORT_ID]} {run} - "

    def _source_prefix(self) -> str:
        """Return the source where it is neither the project nor Prefect about a run."""
        is_expected = self.source.split(".")[0] in OURS or (self.source == "prefect" and self.flow_run_id)
        return "" if is_expected else f"{self.source}: "


def start_log(options: LogOptions) -> None:
    """Send the project's log to standard error until a run is prepared, and in JSON uncaught errors as well."""
    logger.remove()
    logger.add(
        lambda message: write_loguru(message, options.log_format),
        level=options.log_level,
        format="{message}",
        backtrace=False,
        diagnose=False,
    )
    if options.log_format == "json":
        sys.excepthook = _log_uncaught


def write_loguru(message: "Message", log_format: LogFormat) -> None:
    """Write a line of Loguru's, which belongs to no run, to standard error."""
    record = message.record
    found = record["exception"]
    line = LogLine(
        record["time"],
        record["level"].name,
        str(record["extra"].get("source", record["name"])),
        record["message"],
        exception="".join(traceback.format_exception(found.value)).rstrip() if found and found.value else None,
    )
    sys.stderr.write(f"{line.write(log_format)}\n")


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    text = "".join(traceback.format_exception(kind, error, trace)).rstrip()
    line = LogLine(datetime.now(UTC), "CRITICAL", __name__, f"{kind.__name__}: {error}", exception=text)
    sys.stderr.write(f"{line.write('json')}\n")
