"""Opening and closing Spark: one session at a time in a process, on a JVM that is kept for the next one."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from py4j.java_gateway import JavaGateway
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkContext
from pyspark.sql import SparkSession

from schema.s3 import S3Access
from spark.configuration import configuration, require_master
from spark.hadoop import delete
from spark.java import forget_connection, launch_jvm, stop_jvm
from spark.jvm_output import JvmOutput, Listener
from spark.options import SparkOptions
from spark.s3a import reach

__all__ = ["DriverLost", "SparkOptions", "open_session", "scratch_uri"]

SCRATCH_SETTING = "spark.recommender.scratch"
BREAK_OFF_SECONDS = 10.0

DEATH_SECONDS = 2.0


class DriverLost(ConnectionError):
    """The JVM of a session ended before the session was closed."""


_open = threading.Lock()
_owner: list[int] = []
_gateways: list[JavaGateway] = []
_outputs: list[JvmOutput] = []
_reached: list[S3Access | None] = []  # the server that the JVM was started to reach


@contextmanager
def open_session(
    options: SparkOptions, app_name: str, s3a: S3Access | None = None, listener: Listener | None = None
) -> Iterator[SparkSession]:
    """Yield a Spark session, and close it whatever happens; the JVM stays for the next session of the process.

    The session has no web page, counts time in UTC, and owns a scratch folder (`scratch_uri`)
    that is removed with it. A second caller waits until the first has closed. Where a signal interrupts what is done
    with it (KeyboardInterrupt and the like, in the main thread), its jobs are cancelled; a JVM that does not come to
    an end within 10 s is killed.

    Args:
        options: Where Spark runs and how much of the machine it takes.
        app_name: What the session is for.
        s3a: The S3 server that it shall reach, if any.
        listener: Called, from a thread of its own, with each thing that Spark warns of.

    Raises:
        ValueError: If no fit Java is found, the JVM does not start, or Spark refuses the options.
        ConnectionError: If no master of the cluster answers.
        RuntimeError: If the calling thread has a session open already.
        DriverLost: If the JVM ends before the session is closed, or open; the next session gets another.
    """
    require_master(options)
    with _one_at_a_time():
        scratch = _make_scratch(options, s3a)
        try:
            session = SparkSession(_start_context(options, app_name, s3a, listener, scratch))
        except BaseException as error:
            _remove_local(scratch)
            if died := _say_how_jvm_died(error):
                _end_context()
                raise DriverLost(f"Spark's JVM, its driver, ended while {app_name!r} opened it, {died}") from error
            raise
        try:
            yield session
        except Exception as error:
            died = _say_how_jvm_died(error)
            with suppress(Py4JError, ConnectionError) if died else nullcontext():
                _close(session, scratch)
            if died:
                raise DriverLost(f"Spark's JVM, its driver, ended in the middle of {app_name!r}, {died}") from error
            raise
        except BaseException:
            _break_off(session, scratch)
            raise
        else:
            _close(session, scratch)


def scratch_uri(session: SparkSession, name: str) -> str:
    """Return a fresh URI in the session's scratch folder, which driver and executors both reach."""
    return f"{session.conf.get(SCRATCH_SETTING)}/{name}-{uuid.uuid4().hex}"


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if threading.get_ident() in _owner:
        raise RuntimeError("This thread has a Spark session open; use it, or close it before opening another.")
    with _open:
        _owner.append(threading.get_ident())
        try:
            yield
        finally:
            _owner.clear()


def _start_context(
    options: SparkOptions, app_name: str, s3a: S3Access | None, listener: Listener | None, scratch: str
) -> SparkContext:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    _end_unfit_jvm(s3a)
    conf = configuration(options, app_name, s3a)
    if not _gateways:
        output = JvmOutput()
        _gateways.append(launch_jvm(conf, {"OPENBLAS_NUM_THREADS": "1"}, output))
        _outputs.append(output)
        _reached.append(s3a)
    _outputs[0].listener = listener
    conf.set(SCRATCH_SETTING, scratch)
    context = SparkContext(conf=conf, gateway=_gateways[0])
    try:
        if s3a:
            reach(context, s3a)
        context.setCheckpointDir(f"{scratch}/checkpoints")
    except BaseException:
        context.stop()
        raise
    return context


def _end_unfit_jvm(s3a: S3Access | None) -> None:
    """End the process's JVM where it died or was started for another server or none, so that a new one is started.

    What a JVM has on its class path, and as whom it speaks to a server, stays with it.
    """
    if _gateways and (_gateways[0].proc.poll() is not None or s3a not in (None, _reached[0])):
        _end_jvm()


def _say_how_jvm_died(error: BaseException) -> str | None:
    """Return with which exit code the JVM ended and what it said last; None if it lives, or what failed is no call."""
    if not isinstance(error, Py4JError | ConnectionError) or isinstance(error, Py4JJavaError) or not _gateways:
        return None
    try:
        code = _gateways[0].proc.wait(DEATH_SECONDS)
    except subprocess.TimeoutExpired:
        return None
    return f"with exit code {code}. What it said last:\n{_outputs[0].last_words()}"


def _end_context() -> None:
    """Forget the JVM that died, and the context that it was to have or half had."""
    context = SparkContext._active_spark_context
    if context:
        context._jsc = None  # else stopping would get no further than asking the JVM
        context.stop()
    _end_jvm()


def _end_jvm() -> None:
    stop_jvm(_gateways.pop())
    _outputs.clear()
    _reached.clear()


def _close(session: SparkSession, scratch: str) -> None:
    """Close a session; a JVM that cannot, as one that died, is ended, so that the next session gets another."""
    context = session.sparkContext
    try:
        delete(session, scratch)
        session.stop()
        _outputs[0].listener = None
    except (Py4JError, ConnectionError):
        context._jsc = None  # else stopping would get no further than asking the JVM
        context.stop()
        _end_jvm()
        _remove_local(scratch)
        raise


def _break_off(session: SparkSession, scratch: str) -> None:
    """Close a session in the midst of what it does."""
    impatience = threading.Timer(BREAK_OFF_SECONDS, _gateways[0].proc.kill)
    impatience.daemon = True
    impatience.start()
    forget_connection(_gateways[0])
    with suppress(Py4JError, ConnectionError):
        session.sparkContext.cancelAllJobs()
    with suppress(Py4JError, ConnectionError):
        _close(session, scratch)
    impatience.cancel()


def _remove_local(scratch: str) -> None:
    """Remove a scratch folder without a JVM, if it is on this machine."""
    if scratch.startswith("file:"):
        shutil.rmtree(unquote(urlsplit(scratch).path), ignore_errors=True)


def _make_scratch(options: SparkOptions, s3a: S3Access | None) -> str:
    folder = options.spark_scratch or (s3a.scratch if s3a else None)
    if folder is not None:
        return f"{folder.rstrip('/')}/spark-{uuid.uuid4().hex}"
    return Path(tempfile.mkdtemp(prefix="recommender-spark-")).as_uri()
