"""What Spark's JVM prints: log lines for whoever listens, and the last of everything for when it does not start."""

import json
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

KEPT_LINES = 40
END_SECONDS = 5.0
LEVELS = {"WARN": "WARNING", "FATAL": "CRITICAL"}


@dataclass(frozen=True)
class JvmLine:
    """A log line of the JVM.

    Attributes:
        level: DEBUG, INFO, WARNING, ERROR or CRITICAL.
        logger: Class that speaks, without its package.
        message: What it says, with the stack trace of an exception.
    """

    level: str
    logger: str
    message: str


Listener = Callable[[JvmLine], None]


class JvmOutput:
    """The reading end of what a JVM prints; a thread reads it until the JVM ends.

    Attributes:
        writer: File descriptor that the JVM writes to.
        listener: Called with each log line; None drops them.
    """

    def __init__(self) -> None:
        reader, self.writer = os.pipe()
        self.listener: Listener | None = None
        self._last: deque[str] = deque(maxlen=KEPT_LINES)
        self._thread = threading.Thread(target=self._read, args=(reader,), name="spark-jvm-output", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the writing end, which is the JVM's alone from then on; nothing happens the second time."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def last_words(self) -> str:
        """Return what a JVM that has ended printed last."""
        self._thread.join(END_SECONDS)
        return "\n".join(self._last)

    def _read(self, reader: int) -> None:
        with os.fdopen(reader, encoding="utf-8", errors="replace") as stream:
            for text in stream:
                self._last.append(text.rstrip())
                line, listener = parse_line(text), self.listener
                if line and listener:
                    listener(line)


def parse_line(text: str) -> JvmLine | None:
    """Return the log line that ``log4j2.properties`` has the JVM print; None for anything else, such as its launcher's.

    Example:
        >>> parse_line('{"level": "WARN", "logger": "ALS", "message": "slow", "exception": ""}')
        JvmLine(level='WARNING', logger='ALS', message='slow')
        >>> parse_line("WARNING: Using incubator modules: jdk.incubator.vector")
    """
    try:
        found = json.loads(text)
        level, message = str(found["level"]), f"{found['message']}\n{found['exception']}".rstrip()
        return JvmLine(LEVELS.get(level, level), str(found["logger"]), message)
    except (ValueError, KeyError, TypeError):
        return None
