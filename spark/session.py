"""Opening and closing Spark: one session at a time in a process, on a JVM that is kept for the next one."""

import os
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from py4j.java_gateway import JavaGateway
from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import SparkSession

from spark.configuration import configuration, require_master
from spark.hadoop import delete
from spark.java import launch_jvm, stop_jvm
from spark.jvm_output import JvmOutput, Listener
from spark.options import SparkOptions
from spark.s3a import S3aAccess, reach

__all__ = ["SparkOptions", "open_session", "scratch_uri"]

SCRATCH_SETTING = "spark.recommender.scratch"

_open = threading.Lock()
_owner: list[int] = []
_gateways: list[JavaGateway] = []
_outputs: list[JvmOutput] = []
_reached: list[S3aAccess | None] = []  # the server that the JVM was started to reach


@contextmanager
def open_session(
    options: SparkOptions, app_name: str, s3a: S3aAccess | None = None, listener: Listener | None = None
) -> Iterator[SparkSession]:
    """Yield a Spark session, and close it whatever happens; the JVM stays for the next session of the process.

    The session has no web page, counts time in UTC, and owns a scratch folder (`scratch_uri`)
    that is removed with it. A second caller waits until the first has closed.

    Args:
        options: Where Spark runs and how much of the machine it takes.
        app_name: What the session is for.
        s3a: The S3 server that it shall reach, if any.
        listener: Called, from a thread of its own, with each thing that Spark warns of.

    Raises:
        ValueError: If no fit Java is found, the JVM does not start, or Spark refuses the options.
        ConnectionError: If no master of the cluster answers.
        RuntimeError: If the calling thread has a session open already.
    """
    with _one_at_a_time():
        context = _start_context(options, app_name, s3a, listener)
        session = SparkSession(context)
        try:
            yield session
        finally:
            _close(session)


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
    options: SparkOptions, app_name: str, s3a: S3aAccess | None, listener: Listener | None
) -> SparkContext:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    require_master(options)
    _end_unfit_jvm(s3a)
    conf = configuration(options, app_name, s3a)
    if not _gateways:
        output = JvmOutput()
        _gateways.append(launch_jvm(conf, {"OPENBLAS_NUM_THREADS": "1"}, output))
        _outputs.append(output)
        _reached.append(s3a)
    _outputs[0].listener = listener
    scratch = _make_scratch(options, s3a)
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


def _end_unfit_jvm(s3a: S3aAccess | None) -> None:
    """End the process's JVM where it died or was started for another server or none, so that a new one is started.

    What a JVM has on its class path, and as whom it speaks to a server, stays with it.
    """
    if _gateways and (_gateways[0].proc.poll() is not None or s3a not in (None, _reached[0])):
        _end_jvm()


def _end_jvm() -> None:
    stop_jvm(_gateways.pop())
    _outputs.clear()
    _reached.clear()


def _close(session: SparkSession) -> None:
    """Close a session; a JVM that cannot, as one that died, is ended, so that the next session gets another."""
    context = session.sparkContext
    try:
        delete(session, str(session.conf.get(SCRATCH_SETTING)))
        session.stop()
        _outputs[0].listener = None
    except (Py4JError, ConnectionError):
        context._jsc = None  # else stopping would get no further than asking the JVM
        context.stop()
        _end_jvm()
        raise


def _make_scratch(options: SparkOptions, s3a: S3aAccess | None) -> str:
    folder = options.spark_scratch or (s3a.scratch if s3a else None)
    if folder is not None:
        return f"{folder.rstrip('/')}/spark-{uuid.uuid4().hex}"
    return Path(tempfile.mkdtemp(prefix="recommender-spark-")).as_uri()
