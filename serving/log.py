"""The log of the API: lines of text for people, or of JSON for machines, on standard error."""

import json
import logging
import sys
import traceback
from datetime import UTC
from typing import TYPE_CHECKING, Literal

from loguru import logger

if TYPE_CHECKING:
    from loguru import Message

TEXT = "{time:HH:mm:ss.SSS} | {level: <7} | {message}"


class _ToLoguru(logging.Handler):
    """Passes on what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        source = "" if record.name.startswith("uvicorn") else f"{record.name}: "
        logger.opt(exception=record.exc_info).log(record.levelname, "{}{}", source, record.getMessage())


def start_log(level: str, form: Literal["text", "json"]) -> None:
    """Send all that is logged to standard error, libraries' warnings and uvicorn's lines among it."""
    logger.remove()
    if form == "json":
        logger.add(_write_json, level=level, format="{message}", backtrace=False, diagnose=False)
    else:
        logger.add(sys.stderr, level=level, format=TEXT, backtrace=False, diagnose=False, colorize=False)
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
    logging.getLogger("uvicorn").setLevel(level)


def _write_json(message: "Message") -> None:
    said, error = message.record, message.record["exception"]
    time = said["time"].astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    trace = "".join(traceback.format_exception(error.value)) if error else None
    line = {"time": time, "level": said["level"].name, "source": said["name"], "message": said["message"]}
    sys.stderr.write(json.dumps(line | {"exception": trace}, ensure_ascii=False) + "\n")
