"""Configure Spark: its sizes, the addresses of its processes, and its way to an S3 server."""

import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from ctypes.util import find_library
from pathlib import Path

from pyspark import SparkConf, SparkContext

from schema.errors import Unavailable
from schema.s3 import S3Access
from spark.jars import s3_jars
from spark.options import SparkOptions, driver_memory, machine_bytes

LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")
MASTER_TIMEOUT_SECONDS = 10.0
# Spark's classes outgrow the room that a JVM gives them at first four times, each with a collection of all garbage.
# To verify the code of Spark's own jars takes a second and a half of each start.
START_FLAGS = (
    "-XX:MetaspaceSize=256m -XX:+IgnoreUnrecognizedVMOptions -XX:+UnlockDiagnosticVMOptions "
    "-XX:-BytecodeVerificationRemote"
)
STACK_FLAG = "-Xss4m"  # Java 21 takes more stack than 17 to read the long lineage of ALS, and overflows the usual 1 MiB


def configuration(options: SparkOptions, app_name: str, *, needs_s3: bool = False) -> SparkConf:
    """Return the configuration of a session, with the jars that reach an S3 server where it needs them.

    Raises:
        Unavailable: If it needs them and they can be neither found nor fetched.
    """
    flags = (f"-Dlog4j2.configurationFile={LOG_SETTINGS.as_uri()}", "-XX:+UseParallelGC", START_FLAGS, STACK_FLAG)
    settings = {
        "spark.driver.memory": driver_memory(options, machine_bytes()),
        "spark.driver.extraJavaOptions": " ".join([*flags, compiler_flag(options)]).strip(),
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
    if needs_s3:
        settings |= jar_settings(options, s3_jars())
    conf = SparkConf(loadDefaults=False)
    conf.setMaster(options.spark_master).setAppName(app_name)
    return conf.setAll(list(settings.items()))


def _executor_settings(options: SparkOptions) -> dict[str, str]:
    sizes = {
        "spark.executor.memory": options.spark_executor_memory,
        "spark.executor.cores": options.spark_executor_cores,
        "spark.cores.max": options.spark_max_cores,
    }
    given = {name: str(value) for name, value in sizes.items() if value is not None}
    own = {
        "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
        "spark.executor.extraJavaOptions": f"{STACK_FLAG} {compiler_flag(options)}".strip(),
    }
    python = {"spark.pyspark.python": sys.executable} if options.is_on_this_machine else {}
    return given | own | python


def compiler_flag(options: SparkOptions) -> str:
    """Return the flag that limits the JVMs to their quick compiler, if all are on this machine and have native BLAS.

    The thorough compiler takes a third of the processor time of a small job and gains nothing up to a million
    interactions. Without native BLAS the arithmetic is in Java, and would be many times slower.
    """
    has_native_blas = find_library("blas") is not None
    return "-XX:TieredStopAtLevel=1" if options.is_on_this_machine and has_native_blas else ""


def require_master(options: SparkOptions) -> None:
    """Check that a master of a standalone cluster answers, which Spark itself would take a minute to find out.

    Raises:
        InvalidInput: If SPARK_MASTER names no host and port.
        Unavailable: If none answers.
    """
    addresses = options.master_addresses
    for address in addresses:
        with suppress(OSError), socket.create_connection(address, timeout=MASTER_TIMEOUT_SECONDS):
            return
    if addresses:
        raise Unavailable(
            f"No Spark master answers: SPARK_MASTER is {options.spark_master!r}. Start one, or unset the variable to "
            "let Spark run in the process of the run."
        )


def jar_settings(options: SparkOptions, jars: Sequence[Path]) -> dict[str, str]:
    """Return the settings for jars that lie on this machine.

    A Spark that is on this machine alone, local or a cluster, reads them in place. To executors elsewhere the driver
    sends them, 13 MB to each for every session.
    """
    if not options.is_on_this_machine:
        return {"spark.jars": ",".join(jar.as_uri() for jar in jars)}
    class_path = ":".join(map(str, jars))
    executors = {} if options.is_local else {"spark.executor.extraClassPath": class_path}
    return {"spark.driver.extraClassPath": class_path} | executors


def set_s3_access(context: SparkContext, access: S3Access) -> None:
    """Let a context reach an S3 server.

    The credentials go into Hadoop's configuration, which Spark hands to its executors and shows on no page, in no log
    and in no event file, unlike its own.
    """
    provider = "TemporaryAWSCredentialsProvider" if access.session_token else "SimpleAWSCredentialsProvider"
    settings = {
        "fs.s3a.endpoint": access.endpoint_url,
        "fs.s3a.endpoint.region": access.region,
        "fs.s3a.path.style.access": str(access.is_path_style).lower(),
        "fs.s3a.connection.ssl.enabled": str(access.endpoint_url.startswith("https:")).lower(),
        "fs.s3a.access.key": access.access_key,
        "fs.s3a.secret.key": access.secret_key,
        "fs.s3a.session.token": access.session_token,
        "fs.s3a.aws.credentials.provider": f"org.apache.hadoop.fs.s3a.{provider}",
        # Scratch files are read only when the job is done, so parts may be renamed into place at once.
        "mapreduce.fileoutputcommitter.algorithm.version": "2",
    }
    hadoop = context._jsc.hadoopConfiguration()
    for name, value in settings.items():
        if value is not None:
            hadoop.set(name, value)
