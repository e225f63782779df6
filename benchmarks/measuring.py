"""Time and memory of calls, each in a process of its own, and the spread of repeated measurements."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil

from flows.child_server import inherited
from schema.errors import RecommenderError, Unavailable

MEGABYTE = 1_000_000
ROOT = Path(__file__).parents[1]
SELF = Path("/proc/self")
RESET_PEAK = "5"  # written to clear_refs, makes VmHWM count from what is resident now

Run = Callable[[], Any]


class Spread(NamedTuple):
    """The median of repeated measurements, the least and the greatest."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of some values.

        Example:
            >>> Spread.of([3.0, 1.0, 2.0])
            Spread(value=2.0, low=1.0, high=3.0)
        """
        return cls(median(values), min(values), max(values))

    @classmethod
    def of_ratios(cls, values: Sequence[float], others: Sequence[float]) -> "Spread":
        """Return the ratio of two medians, with the range of the ratios of each repetition.

        Example:
            >>> Spread.of_ratios([2.0, 4.0, 3.0], [1.0, 0.5, 2.0])
            Spread(value=3.0, low=1.5, high=8.0)
        """
        ratios = [value / other for value, other in zip(values, others, strict=True)]
        return cls(median(values) / median(others), min(ratios), max(ratios))


@dataclass(frozen=True)
class Measurement:
    """Time and memory of one call in a process of its own.

    Attributes:
        seconds: From the call to its return.
        cpu_seconds: Processor time of all threads of the process; not of a JVM.
        idle_bytes: Memory resident when the call began.
        peak_bytes: Most memory resident at once until the call returned; not that of a JVM.
        answer: What the call returned.
    """

    seconds: float
    cpu_seconds: float
    idle_bytes: int
    peak_bytes: int
    answer: Any = None

    @property
    def bytes_above_idle(self) -> int:
        """Peak memory without what was resident before the call."""
        return self.peak_bytes - self.idle_bytes


def measure_in_child(
    prepare: Callable[..., AbstractContextManager[Run]], arguments: Mapping[str, Any], environment: Mapping[str, str]
) -> Measurement:
    """Measure a call in a fresh process, so that its time and memory are its own.

    Args:
        prepare: Function of a module, not of a script: a context manager that yields what is measured.
        arguments: JSON values for it, by name.
        environment: Variables of the process, besides `flows.child_server.INHERITED`: nobody's own settings count.

    Raises:
        Unavailable: If the process fails; it says why on standard error.
    """
    code = (
        f"from {prepare.__module__} import {prepare.__name__}; from benchmarks.measuring import answer_parent; "
        f"answer_parent({prepare.__name__})"
    )
    with _child([sys.executable, "-c", code, json.dumps(arguments)], inherited() | dict(environment)) as process:
        output, _ = process.communicate()
    if process.returncode:
        work = " ".join(str(value) for value in arguments.values())
        raise Unavailable(f"'{work}' ended with exit code {process.returncode}; its error is above.")
    return Measurement(**json.loads(output.splitlines()[-1]))


def answer_parent(prepare: Callable[..., AbstractContextManager[Run]]) -> None:
    """Measure a call in this process, started by `measure_in_child`, and print the measurement as JSON."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        with prepare(**json.loads(sys.argv[1])) as run:
            measured = measure(run)
    except (RecommenderError, ValueError) as error:
        sys.exit(str(error))
    print(json.dumps(vars(measured)))


def measure(run: Run) -> Measurement:
    """Call a function and measure it."""
    idle_bytes = reset_peak()
    started, started_cpu = time.perf_counter(), time.process_time()
    answer = run()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
    return Measurement(seconds, cpu_seconds, idle_bytes, peak_bytes(), answer)


def reset_peak() -> int:
    """Count the peak of memory from now on, and return the bytes resident now."""
    (SELF / "clear_refs").write_text(RESET_PEAK)
    return peak_bytes()


def peak_bytes(process: Path = SELF) -> int:
    """Return the most bytes that were resident at once since the last `reset_peak`, or since the process began."""
    lines = (process / "status").read_text("ascii").splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024


def jvm_figures() -> dict[str, float]:
    """Return the most bytes that the JVM of this process was resident with, and its processor time; 0 without one."""
    jvms = [one for one in psutil.Process().children(recursive=True) if one.name() == "java"]
    return {
        "jvm_bytes": sum(peak_bytes(Path(f"/proc/{one.pid}")) for one in jvms),
        "jvm_cpu_seconds": sum(sum(one.cpu_times()[:2]) for one in jvms),
    }


@contextmanager
def _child(command: Sequence[str], environment: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    """Yield a process that is killed, with all of its session, when the block is left before it ends.

    Interrupts are held back while it starts: one in the middle would leave a process that nobody knows.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the parent's to act on
        )
        with process:
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
