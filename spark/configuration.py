"""What Spark is told when a session is opened: its sizes, its jars, and where its processes find each other."""

import os
import socket
import sys
from contextlib import suppress
from ctypes.util import find_library
from pathlib import Path

from pyspark import SparkConf

from schema.s3 import S3Access
from spark.options import SparkOptions, driver_memory
from spark.s3a import jar_settings

LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")
MASTER_TIMEOUT_SECONDS = 10.0


def configuration(options: SparkOptions, app_name: str, s3a: S3Access | None) -> SparkConf:
    """Return the configuration of a session.

    Args:
        options: Where Spark runs and how much it takes there.
        app_name: What the session is for.
        s3a: The S3 server that it shall reach, if any.
    """
    log_flag = f"-Dlog4j2.configurationFile={LOG_SETTINGS.as_uri()}"
    settings = {
        "spark.driver.memory": driver_memory(options, machine_bytes()),
        "spark.driver.extraJavaOptions": f"{log_flag} -XX:+UseParallelGC {compiler_flag(options)}".strip(),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(options.spark_shuffle_partitions),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
    }
    if options.is_on_this_machine:
        settings |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    if not options.is_local:
        settings |= _executor_settings(options)
    if s3a:
        settings |= jar_settings(is_local=options.is_local, is_on_this_machine=options.is_on_this_machine)
    conf = SparkConf(loadDefaults=False)
    conf.setMaster(options.spark_master).setAppName(app_name)
    return conf.setAll(list(settings.items()))


def machine_bytes() -> int:
    """Return the memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def require_master(options: SparkOptions) -> None:
    """See that a master of a standalone cluster answers, which Spark itself would take a minute to find out.

    Raises:
        ValueError: If SPARK_MASTER names no host and port.
        ConnectionError: If none answers.
    """
    addresses = options.master_addresses
    for address in addresses:
        with suppress(OSError), socket.create_connection(address, timeout=MASTER_TIMEOUT_SECONDS):
            return
    if addresses:
        raise ConnectionError(
            f"No Spark master answers: SPARK_MASTER is {options.spark_master!r}. Start one, or unset the variable to "
            "let Spark run in the process of the run."
        )


def _executor_settings(options: SparkOptions) -> dict[str, str]:
    sizes = {
        "spark.executor.memory": options.spark_executor_memory,
        "spark.executor.cores": options.spark_executor_cores,
        "spark.cores.max": options.spark_max_cores,
    }
    given = {name: str(value) for name, value in sizes.items() if value is not None}
    own = {"spark.executorEnv.OPENBLAS_NUM_THREADS": "1", "spark.executor.extraJavaOptions": compiler_flag(options)}
    python = {"spark.pyspark.python": sys.executable} if options.is_on_this_machine else {}
    return given | own | python


def compiler_flag(options: SparkOptions) -> str:
    """Keep the JVMs to their quick compiler where all are on this machine and the heavy arithmetic is native anyway.

    The thorough compiler takes a third of the processor time of a small job and gains nothing up to a million
    interactions. The arithmetic in Java, where there is no native BLAS, would be many times slower without it.
    """
    has_native_blas = find_library("blas") is not None
    return "-XX:TieredStopAtLevel=1" if options.is_on_this_machine and has_native_blas else ""
