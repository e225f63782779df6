"""Opening and closing Spark: one session at a time in a process, on a JVM that is kept for the next one."""

import os
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path

from py4j.java_gateway import JavaGateway
from pydantic import BaseModel, ConfigDict, Field
from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from spark.hadoop import delete
from spark.java import launch_jvm, stop_jvm
from spark.s3a import S3aAccess, jar_settings, reach

GIB = 1024**3
SCRATCH_SETTING = "spark.recommender.scratch"
LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")

_open = threading.Lock()
_owner: list[int] = []
_gateways: list[JavaGateway] = []
_reached: list[S3aAccess | None] = []  # the server that the JVM was started to reach


class SparkOptions(BaseModel):
    """Where Spark runs and how much of the machine it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spark_master: str = Field("local[*]", description="Spark master: local[N], spark://host:port, yarn or k8s://…")
    spark_driver_memory: str | None = Field(
        None,
        pattern=r"^[1-9]\d*[mg]$",
        description="heap of the driver's JVM, such as 4g; by default a quarter of the machine, 1g to 8g; "
        "taken at the first session of a process",
    )
    spark_shuffle_partitions: int = Field(8, ge=1, description="partitions of a shuffle, at most")
    spark_scratch: str | None = Field(
        None,
        description="URI of a folder for intermediate files that the driver and all executors reach (needed on a "
        "cluster); by default a hidden folder of the store where that is on S3, else a temporary local one",
    )


@contextmanager
def open_session(options: SparkOptions, app_name: str, s3a: S3aAccess | None = None) -> Iterator[SparkSession]:
    """Yield a Spark session, and close it whatever happens; the JVM stays for the next session of the process.

    The session logs errors only, has no web page, counts time in UTC, and owns a scratch folder (`scratch_uri`)
    that is removed with it. A second caller waits until the first has closed.

    Args:
        options: Where Spark runs and how much of the machine it takes.
        app_name: What the session is for.
        s3a: The S3 server that it shall reach, if any.

    Raises:
        ValueError: If no fit Java is found, the JVM does not start, or Spark refuses the options.
        RuntimeError: If the calling thread has a session open already.
    """
    with _one_at_a_time():
        context = _start_context(options, app_name, s3a)
        session = SparkSession(context)
        try:
            yield session
        finally:
            _close(session)


def scratch_uri(session: SparkSession, name: str) -> str:
    """Return a fresh URI in the session's scratch folder, which driver and executors both reach."""
    return f"{session.conf.get(SCRATCH_SETTING)}/{name}-{uuid.uuid4().hex}"


def driver_memory(options: SparkOptions, machine_bytes: int) -> str:
    """Return the heap of the driver: as set, else a quarter of the machine between 1 and 8 GiB.

    Example:
        >>> driver_memory(SparkOptions(), machine_bytes=24 * 1024**3)
        '6g'
    """
    return options.spark_driver_memory or f"{min(max(machine_bytes // 4 // GIB, 1), 8)}g"


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


def _start_context(options: SparkOptions, app_name: str, s3a: S3aAccess | None) -> SparkContext:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    _end_jvm_that_cannot_reach(s3a)
    conf = _configuration(options, app_name, s3a)
    if not _gateways:
        _gateways.append(launch_jvm(conf, {"OPENBLAS_NUM_THREADS": "1"}))
        _reached.append(s3a)
    scratch = _make_scratch(options, s3a)
    conf.set(SCRATCH_SETTING, scratch)
    context = SparkContext(conf=conf, gateway=_gateways[0])
    if s3a:
        reach(context, s3a)
    context.setCheckpointDir(f"{scratch}/checkpoints")
    return context


def _end_jvm_that_cannot_reach(s3a: S3aAccess | None) -> None:
    """End the process's JVM where it was started for another server or none, so that a new one is started.

    What a JVM has on its class path, and as whom it speaks to a server, stays with it.
    """
    if _gateways and s3a not in (None, _reached[0]):
        stop_jvm(_gateways.pop())
        _reached.clear()


def _close(session: SparkSession) -> None:
    try:
        delete(session, str(session.conf.get(SCRATCH_SETTING)))
    finally:
        session.stop()


def _make_scratch(options: SparkOptions, s3a: S3aAccess | None) -> str:
    folder = options.spark_scratch or (s3a.scratch if s3a else None)
    if folder is not None:
        return f"{folder.rstrip('/')}/spark-{uuid.uuid4().hex}"
    return Path(tempfile.mkdtemp(prefix="recommender-spark-")).as_uri()


def _configuration(options: SparkOptions, app_name: str, s3a: S3aAccess | None) -> SparkConf:
    is_local = options.spark_master.startswith("local")
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    log_flag = f"-Dlog4j2.configurationFile={LOG_SETTINGS.as_uri()}"
    settings = {
        "spark.driver.memory": driver_memory(options, memory_bytes),
        "spark.driver.extraJavaOptions": f"{log_flag} -XX:+UseParallelGC {_compiler_flag(options)}".strip(),
        "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(options.spark_shuffle_partitions),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    if is_local:
        settings |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    if s3a:
        settings |= jar_settings(is_local=is_local)
    conf = SparkConf(loadDefaults=False)
    conf.setMaster(options.spark_master).setAppName(app_name)
    return conf.setAll(list(settings.items()))


def _compiler_flag(options: SparkOptions) -> str:
    """Keep a local JVM to its quick compiler where the heavy arithmetic is native anyway.

    The thorough compiler takes a third of the processor time of a small job and gains nothing up to a million
    interactions. The arithmetic in Java, where there is no native BLAS, would be many times slower without it.
    """
    has_native_blas = find_library("blas") is not None
    return "-XX:TieredStopAtLevel=1" if options.spark_master.startswith("local") and has_native_blas else ""
