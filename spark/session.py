"""Open and close Spark: one session at a time in a process, on a JVM that stays for the next one."""

import os
import shutil
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import SparkSession

from schema.errors import Unavailable
from schema.s3 import S3Access
from spark.configuration import configuration, require_master, set_s3_access
from spark.hadoop import SCRATCH_SETTING, delete, local_path, local_uri
from spark.jvm import Jvm, Listener, launch_jvm
from spark.options import SparkOptions

BREAK_OFF_SECONDS = 10.0


class DriverLost(Unavailable):
    """The JVM of a session ended before the session was closed."""


_lock = threading.Lock()
_owner: list[int] = []  # the thread that has the session open
_jvms: list[Jvm] = []  # the JVM of this process, once it has one


@contextmanager
def open_session(
    options: SparkOptions, app_name: str, s3: S3Access | None = None, listener: Listener | None = None
) -> Iterator[SparkSession]:
    """Yield a Spark session, and close it whatever happens; the JVM stays for the next session of the process.

    The session has no web page, counts time in UTC, and owns a scratch folder (`spark.hadoop.scratch_uri`) that is
    removed with it. A second caller waits until the first has closed. Where a signal interrupts the block
    (KeyboardInterrupt and the like, in the main thread), its jobs are cancelled; a JVM that does not come to an end
    within 10 s is killed.

    The listener is called, from a thread of its own, with each warning of Spark.

    Raises:
        InvalidInput: If no suitable Java is found, the JVM does not start, or SPARK_MASTER is no address.
        Unavailable: If no master of the cluster answers.
        RuntimeError: If the calling thread has a session open already.
        DriverLost: If the JVM ends while the session is opened or open; the next session gets another.
    """
    require_master(options)
    with _one_at_a_time():
        scratch = _make_scratch(options, s3)
        try:
            session = SparkSession(_start_context(options, app_name, s3, listener, scratch))
        except BaseException as error:
            _remove_local(scratch)
            if died := _jvms and _jvms[0].describe_death(error):
                _end_context(SparkContext._active_spark_context)
                raise _driver_lost(f"while {app_name!r} opened it, {died}") from error
            raise
        try:
            yield session
        except Exception as error:
            died = _jvms[0].describe_death(error)
            with suppress(Py4JError, ConnectionError) if died else nullcontext():
                _close(session, scratch)
            if died:
                raise _driver_lost(f"in the middle of {app_name!r}, {died}") from error
            raise
        except BaseException:
            _break_off(session, scratch)
            raise
        else:
            _close(session, scratch)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if threading.get_ident() in _owner:
        raise RuntimeError("This thread has a Spark session open; use it, or close it before opening another.")
    with _lock:
        _owner.append(threading.get_ident())
        try:
            yield
        finally:
            _owner.clear()


def _make_scratch(options: SparkOptions, s3: S3Access | None) -> str:
    folder = options.spark_scratch or (s3.scratch if s3 else None)
    if folder:
        return f"{folder.rstrip('/')}/spark-{uuid.uuid4().hex}"
    return local_uri(Path(tempfile.mkdtemp(prefix="recommender-spark-")))


def _start_context(
    options: SparkOptions, app_name: str, s3: S3Access | None, listener: Listener | None, scratch: str
) -> SparkContext:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if _jvms and (_jvms[0].gateway.proc.poll() is not None or s3 not in (None, _jvms[0].s3)):
        _jvms.pop().stop()
    conf = configuration(options, app_name, needs_s3=s3 is not None)
    if not _jvms:
        _jvms.append(launch_jvm(conf, s3))
    _jvms[0].output.listener = listener
    conf.set(SCRATCH_SETTING, scratch)
    context = SparkContext(conf=conf, gateway=_jvms[0].gateway)
    try:
        if s3:
            set_s3_access(context, s3)
        context.setCheckpointDir(f"{scratch}/checkpoints")
    except BaseException:
        context.stop()
        raise
    return context


def _driver_lost(circumstances: str) -> DriverLost:
    return DriverLost(
        f"Spark's JVM, its driver, ended {circumstances}\n"
        "Exit code -9 is a kill, as when the machine is out of memory: see SPARK_DRIVER_MEMORY and what else runs "
        "there. Run the same again: it goes on from what is done."
    )


def _end_context(context: SparkContext | None) -> None:
    """End a context without its JVM's help, and the JVM."""
    if context:
        context._jsc = None  # otherwise stopping begins with a call of the JVM, and fails
        context.stop()
    _jvms.pop().stop()


def _close(session: SparkSession, scratch: str) -> None:
    """Close a session; a JVM that fails to do so is ended, so that the next session gets another."""
    context = session.sparkContext
    try:
        delete(session, scratch)
        session.stop()
        _jvms[0].output.listener = None
    except (Py4JError, ConnectionError):
        _end_context(context)
        _remove_local(scratch)
        raise


def _break_off(session: SparkSession, scratch: str) -> None:
    """Close a session whose work was interrupted."""
    impatience = threading.Timer(BREAK_OFF_SECONDS, _jvms[0].gateway.proc.kill)
    impatience.daemon = True
    impatience.start()
    _jvms[0].forget_connection()
    with suppress(Py4JError, ConnectionError):
        session.sparkContext.cancelAllJobs()
    with suppress(Py4JError, ConnectionError):
        _close(session, scratch)
    impatience.cancel()


def _remove_local(scratch: str) -> None:
    """Remove a scratch folder without a JVM, if it is on this machine."""
    if folder := local_path(scratch):
        shutil.rmtree(folder, ignore_errors=True)
