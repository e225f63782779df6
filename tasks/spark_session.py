"""Open Spark for a task.

Spark is opened in the process of the flow, its driver, and a process has one session at a time. How many processes
of a machine have one at a time is up to Prefect: a global concurrency limit named ``spark-on-HOST`` says so where
there is one.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from functools import cache

from loguru import logger
from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.context import TaskRunContext
from prefect.exceptions import ObjectNotFound
from pyspark.sql import SparkSession

from schema.s3 import S3Access
from spark.jvm import JvmLine, Listener
from spark.options import SparkOptions, describe_sizes, machine_bytes
from spark.session import open_session
from storage import artifacts, layout
from storage.manifest import Manifest
from storage.opening import S3_SCHEME, S3A_SCHEME
from tasks.options import PlaceOptions
from tasks.store import local_file, scratch_folder

LEASE_SECONDS = 60.0  # after which the place of a process that was killed is free again


@contextmanager
def open_spark(options: SparkOptions, places: PlaceOptions, name: str) -> Iterator[SparkSession]:
    """Yield a Spark session that reaches the store, and close it at the end, whatever happens.

    Raises:
        InvalidInput: If no suitable Java is found, or the JVM does not start.
        Unavailable: If no master of the cluster answers, or the driver's JVM dies.
    """
    with ExitStack() as stack:
        _wait_for_place(stack)
        access = _s3_access(places)
        if not (options.is_local or options.spark_scratch or access):
            folder = stack.enter_context(scratch_folder(places, "spark"))
            options = options.model_copy(update={"spark_scratch": folder.absolute().as_uri()})
        session = stack.enter_context(open_session(options, name, access, _listener()))
        _log_once(describe_sizes(options, machine_bytes()))
        yield session


def spark_limit() -> str:
    """Return the name of the Prefect limit that says how many processes of this machine may have Spark open."""
    return f"spark-on-{socket.gethostname()}"


def _wait_for_place(stack: ExitStack) -> None:
    """Enter the limit of this machine, if Prefect has one, and leave it when the stack is left."""
    if TaskRunContext.get() is None:
        return
    try:
        with get_client(sync_client=True) as client:
            client.read_global_concurrency_limit_by_name(spark_limit())
    except ObjectNotFound:
        return
    stack.enter_context(concurrency(spark_limit(), lease_duration=LEASE_SECONDS))


def _listener() -> Listener:
    """Return a listener that logs Spark's warnings as those of the run that opens it now."""
    run = copy_context()

    def log(line: JvmLine) -> None:
        logger.bind(source="spark").log(line.level, "{}: {}", line.logger, line.message)

    return lambda line: run.run(log, line)


@cache
def _log_once(sentence: str) -> None:
    """Log a sentence about the whole process, the first time only."""
    logger.info("{}", sentence)


def spark_uri(places: PlaceOptions, artifact: Manifest, name: str) -> str:
    """Return where Spark itself reads a file of an artifact: on the S3 server, or a local, verified path.

    Raises:
        ObjectNotFound: If the artifact has no such file.
    """
    if not spark_reaches_store(places):
        return str(local_file(places, artifact, name))
    path = artifacts.entry(artifact, name).path
    key = f"{layout.artifact_prefix(artifact.kind, artifact.id)}/{path}"
    return S3A_SCHEME + places.open_store().locate(key).removeprefix(S3_SCHEME)


def spark_reaches_store(places: PlaceOptions) -> bool:
    """Return whether the store is on an S3 server whose certificate, if it has one, Spark's JVM accepts too."""
    return places.store_uri.lower().startswith(S3_SCHEME) and places.s3.tls_verification is True


def _s3_access(places: PlaceOptions) -> S3Access | None:
    if not spark_reaches_store(places):
        return None
    from storage.s3 import S3Store

    return S3Store(places.store_uri, places.s3).access()
