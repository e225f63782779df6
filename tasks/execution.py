"""How tasks run: which failures are retried, how progress is shown, and how Spark is opened."""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from functools import cache
from typing import Any

from distributed.scheduler import KilledWorker
from loguru import logger
from prefect import Task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency.sync import concurrency
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import ObjectNotFound
from py4j.protocol import Py4JNetworkError
from pyspark.sql import SparkSession
from tqdm import tqdm

from schema.errors import RecommenderError
from schema.s3 import S3Access
from spark.hadoop import local_uri
from spark.jvm import Listener
from spark.options import SparkOptions, describe_sizes, machine_bytes
from spark.session import open_session
from storage import artifacts, layout
from storage.manifest import Manifest
from storage.s3_options import S3_SCHEME, S3A_SCHEME
from tasks.options import PlaceOptions
from tasks.store import local_file, scratch_folder

TRANSIENT = (ConnectionError, TimeoutError, KilledWorker, Py4JNetworkError)
UPDATE_SECONDS = 2.0
LEASE_SECONDS = 60.0  # after which the place of a process that was killed is free again

Advance = Callable[[int, int | None], None]


def is_transient(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed task may succeed on another try: a server did not answer or a process died."""
    return isinstance(state.result(raise_on_failure=False), TRANSIENT)


NETWORK_RETRIES: dict[str, Any] = {
    "retries": 4,
    "retry_delay_seconds": [1.0, 4.0, 15.0, 60.0],
    "retry_condition_fn": is_transient,
}
COMPUTE_RETRIES: dict[str, Any] = NETWORK_RETRIES | {"retries": 2, "retry_delay_seconds": [1.0, 10.0]}


@contextmanager
def progress(title: str, *, key: str, unit: str) -> Iterator[Advance]:
    """Yield a function to call with (done so far, total or None).

    Shows a bar on a terminal and, inside a Prefect task or flow that takes more than a moment, a progress artifact,
    which goes when the work has succeeded.

    Args:
        title: The work, for people.
        key: Key of the artifact, which begins with ``progress-`` on the page: lower-case letters, digits and dashes.
        unit: What is counted; ``B`` is shown in powers of 1024.
    """
    is_in_run = bool(TaskRunContext.get() or FlowRunContext.get())
    artifact: Any = None
    n_done, shown_at = 0, time.monotonic()

    def show(percent: float) -> None:
        nonlocal artifact
        about = f"{title}: {n_done:,} done"
        if artifact:
            update_progress_artifact(artifact, percent, description=about)
        elif is_in_run:
            artifact = create_progress_artifact(percent, key=f"progress-{key}", description=about)

    is_hidden = not sys.stderr.isatty()
    with tqdm(desc=title, unit=unit, unit_scale=unit == "B", unit_divisor=1024, leave=False, disable=is_hidden) as bar:

        def advance(done: int, total: int | None) -> None:
            nonlocal n_done, shown_at
            bar.total = total
            bar.update(done - n_done)
            n_done, now = done, time.monotonic()
            if now - shown_at >= UPDATE_SECONDS:
                shown_at = now
                show(100.0 * min(done, total) / total if total else 0.0)

        yield advance
    if artifact:  # what came of the work is shown by artifacts that stay
        with get_client(sync_client=True) as client, suppress(ObjectNotFound):
            client.delete_artifact(artifact)


@contextmanager
def doing_beside(*jobs: Callable[[], object]) -> Iterator[None]:
    """Do jobs, each in a thread, while the block does other work; the end of the block waits for them.

    Raises:
        Exception: What a job raises, where the block itself raises nothing.
    """
    with ThreadPoolExecutor(max(len(jobs), 1)) as beside:
        done = [beside.submit(copy_context().run, job) for job in jobs]
        yield
        for one in done:
            one.result()


def start_dask() -> None:
    """Start the Dask of the flow, which Prefect starts for the first task else.

    Raises:
        Unavailable: If no scheduler answers at the address that is set.
    """
    getattr(getattr(FlowRunContext.get(), "task_runner", None), "client", None)


@contextmanager
def open_spark(options: SparkOptions, places: PlaceOptions, name: str) -> Iterator[SparkSession]:
    """Yield a Spark session that reaches the store, and close it at the end, whatever happens.

    Spark's driver is the process of the flow, and a process has one session at a time. A global concurrency limit of
    Prefect named ``spark-on-HOST``, where there is one, says how many processes of a machine may have one.

    Raises:
        InvalidInput: If no suitable Java is found, or the JVM does not start.
        Unavailable: If no master of the cluster answers, or the driver's JVM dies.
    """
    with ExitStack() as stack:
        _wait_for_place(stack)
        access = _s3_access(places)
        if not (options.is_local or options.spark_scratch or access):
            folder = stack.enter_context(scratch_folder(places, "spark"))
            options = options.model_copy(update={"spark_scratch": local_uri(folder)})
        session = stack.enter_context(open_session(options, name, access, _listener()))
        _log_once(describe_sizes(options, machine_bytes()))
        yield session


def warm_up_spark(options: SparkOptions, places: PlaceOptions) -> None:
    """Start Spark's JVM, and have it load what a first query needs.

    Nothing is done where the driver is not the only process of Spark, or Prefect limits how many there may be. What
    goes wrong is left to the next session to find and to say.
    """
    if options.is_local and not _is_limited():
        with suppress(RecommenderError), open_session(options, "warm up", _s3_access(places)) as session:
            session.range(1).groupBy("id").count().collect()


def spark_limit() -> str:
    """Return the name of the Prefect limit that says how many processes of this machine may have Spark open."""
    return f"spark-on-{socket.gethostname()}"


def _wait_for_place(stack: ExitStack) -> None:
    """Enter the limit of this machine, if Prefect has one, and leave it when the stack is left."""
    if TaskRunContext.get() and _is_limited():
        stack.enter_context(concurrency(spark_limit(), lease_duration=LEASE_SECONDS))


def _is_limited() -> bool:
    """Tell whether Prefect has a limit for this machine; outside of a run nothing has."""
    if not (TaskRunContext.get() or FlowRunContext.get()):
        return False
    try:
        with get_client(sync_client=True) as client:
            client.read_global_concurrency_limit_by_name(spark_limit())
    except ObjectNotFound:
        return False
    return True


def _listener() -> Listener:
    """Return a listener that logs Spark's warnings as those of the run that opens it now."""
    run, log = copy_context(), logger.bind(source="spark").log
    return lambda line: run.run(log, line.level, "{}: {}", line.logger, line.message)


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
