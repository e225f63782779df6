"""Opening Spark for a task: what is wrong with the machine or the options is said without a traceback.

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

from schema.errors import InvalidInput, Unavailable
from schema.s3 import S3Access
from spark.configuration import machine_bytes
from spark.jvm_output import JvmLine, Listener
from spark.options import SparkOptions, describe_sizes
from spark.session import DriverLost, open_session
from storage import artifacts, layout
from storage.manifest import Manifest
from storage.opening import S3_SCHEME, S3A_SCHEME
from tasks.options import PlaceOptions
from tasks.store import local_file, scratch_folder

LEASE_SECONDS = 60.0  # after which the place of a process that was killed is free again


@contextmanager
def open_spark(options: SparkOptions, places: PlaceOptions, name: str) -> Iterator[SparkSession]:
    """Yield a Spark session that reaches the store, and is closed at the end, whatever happens.

    Raises:
        InvalidInput: If no fit Java is found, or Spark refuses the options.
        Unavailable: If no master of the cluster answers, or the driver's JVM dies.
    """
    with _telling_of_the_driver(), ExitStack() as stack:
        _wait_for_place(stack)
        s3a = _s3a_access(places)
        if not (options.is_local or options.spark_scratch or s3a):
            folder = stack.enter_context(scratch_folder(places, "spark"))
            options = options.model_copy(update={"spark_scratch": folder.absolute().as_uri()})
        try:
            session = stack.enter_context(open_session(options, name, s3a, _listener()))
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        except ConnectionError as error:
            raise Unavailable(str(error)) from error
        _tell_once(describe_sizes(options, machine_bytes()))
        yield session


@contextmanager
def _telling_of_the_driver() -> Iterator[None]:
    """Say that the driver's JVM died, and what may help."""
    try:
        yield
    except DriverLost as error:
        raise Unavailable(
            f"{error}\nExit code -9 is a kill, as when the machine is out of memory: see SPARK_DRIVER_MEMORY and what "
            "else runs there. Run the same again: it goes on from what is done."
        ) from error


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
    """Return what logs Spark's warnings as those of the run that opens it now."""
    run = copy_context()

    def log(line: JvmLine) -> None:
        logger.bind(source="spark").log(line.level, "{}: {}", line.logger, line.message)

    return lambda line: run.run(log, line)


@cache
def _tell_once(sentence: str) -> None:
    """Log what holds for the whole process the first time that it is found."""
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
    """Tell whether the store is on an S3 server whose certificate, if it has one, Spark's JVM accepts too."""
    return places.store_uri.lower().startswith(S3_SCHEME) and places.s3_options.tls_verification is True


def _s3a_access(places: PlaceOptions) -> S3Access | None:
    if not spark_reaches_store(places):
        return None
    from storage.s3 import S3Store

    return S3Store(places.store_uri, places.s3_options).access()
