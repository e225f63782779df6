"""The edge of a run: its Prefect flow, the Prefect API that it reports to and the Dask workers that it runs on."""

import gc
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import wraps
from importlib import import_module
from typing import Any
from uuid import UUID

import dask.config
from distributed import Client, LocalCluster, Worker
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker, NoValidWorkerError, NoWorkerError
from loguru import logger
from prefect import Flow, runtime, tags
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import TagsContext
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, PREFECT_LOGGING_INTERNAL_LEVEL, temporary_settings
from prefect_dask.task_runners import DaskTaskRunner
from pydantic import BaseModel, ValidationError

from flows.child_server import LOOPBACK, PRIVATE, Check, ChildServer, free_port
from flows.form import fill_open
from flows.log_stream import PreparedWorker, prepare_process
from flows.notices import send_notice
from flows.settings import Environment, read, read_variables
from flows.tracked_end import end_tracked_runs
from schema.errors import InvalidSettings, Unavailable
from schema.proxies import proxy_before
from spark.options import GIB, driver_memory, machine_bytes
from storage.files import try_place
from tasks.addresses import PASSING, health_problem, hide_user
from tasks.links import show_first
from tasks.steps import show_steps, timing

# Without these a run would wait without end: for a worker that pauses for want of memory, which Dask cannot give back
# (one that takes too much is killed instead, and reported), or for workers that are gone.
NO_ENDLESS_WAIT = {"distributed.worker.memory.pause": False, "distributed.scheduler.no-workers-timeout": "120s"}
# Looks at what each thread does 100 times a second, for a page that is not served.
NO_PROFILE = {"distributed.worker.profile.enabled": False}
GO_ON = "Run the same again: it goes on from what is done."
# What a server does in the background for deployments and past runs; one that lives for a single run has neither.
IDLE_SERVICES = (
    "CANCELLATION_CLEANUP",
    "CLEANUP_RECONCILER",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "SCHEDULER",
    "TRIGGERS",
)

Result = Mapping[str, Any]


def make_flow(body: Callable[..., Result], name_run: Callable[..., str], *, is_tracked: bool = False) -> Flow[..., Any]:
    """Return the flow of a function whose parameters are groups of options, keyword-only.

    It is the same flow from the command line and as a deployment: its tasks run on the Dask of the environment, and
    failures send notices. What nobody gave has the value of the environment: see `fill_open`.

    ``name_run`` takes the same groups and returns the name of a run. A run that ends before it starts, as one whose
    parameters are refused, is named too: for its flow alone where the groups that ``name_run`` names do not fit. What
    a tracked flow left running in MLflow is ended with it.
    """
    takes = inspect.signature(body).parameters
    named_by = takes.keys() & inspect.signature(name_run).parameters.keys()

    @wraps(body)
    def run(**groups: BaseModel) -> Result:
        environment = read(Environment)
        prepare_process(environment.run, has_caller=_has_caller())
        if not _has_caller():  # whoever scheduled it does not know where it runs; `open_run` tags the others
            with get_client(sync_client=True) as client:
                tagged = {*runtime.flow_run.tags, environment.run.environment}
                client.update_flow_run(UUID(runtime.flow_run.id), tags=tagged)
        with TagsContext(current_tags=set()), explaining_lost_dask():  # a task with tags asks for a place of each first
            environment.places.try_writing()
            gc.freeze()  # a quarter of a million objects of libraries, which each full collection would look through
            with timing() as seconds:
                record = body(**_filled(groups))
            if isinstance(record, Mapping):  # and not a state that the flow is to end in
                show_first(environment.places, record)
                if len(seconds) > 1:
                    show_steps(seconds)
                    record = {**record, "seconds": seconds}
            return record

    def name(parameters: Mapping[str, Any]) -> str:
        try:
            groups = {key: takes[key].annotation.model_validate(parameters.get(key, {})) for key in named_by}
            return name_run(**_filled(groups))
        except (InvalidSettings, ValidationError):
            return body.__name__  # the run itself fails with what is wrong

    # The names of the parameters are Prefect's: a worker calls hooks by them.
    def name_unstarted(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
        with get_client(sync_client=True) as client:
            if not client.read_flow_run(flow_run.id).run_count:
                flow_run.name = name(flow_run.parameters)
                client.update_flow_run(flow_run.id, name=flow_run.name)

    cluster: Any = open_dask  # Prefect enters whatever this returns, and connects to what that yields
    runner: Any = DaskTaskRunner(cluster_class=cluster)  # Prefect's runners are invariant in the kind of their futures
    ends: list[Any] = [end_tracked_runs] if is_tracked else []
    return Flow(
        run,
        name=body.__name__,
        description=inspect.getdoc(body),
        flow_run_name=lambda: name(runtime.flow_run.parameters),
        task_runner=runner,
        on_failure=[name_unstarted, *ends, send_notice],
        on_crashed=[name_unstarted, *ends, send_notice],
        on_cancellation=ends,
    )


def run_flow(flow: Flow[..., Any], groups: Mapping[str, BaseModel], preload: Sequence[str] = ()) -> Result:
    """Run a flow with nothing started beforehand, and return its result record.

    Args:
        flow: What to run.
        groups: Its parameters.
        preload: Modules that take seconds to import, beside those that every flow needs.
    """
    with open_run(preload):
        record: Any = flow(**groups)
        return dict(record)


@contextmanager
def open_run(preload: Sequence[str] = ()) -> Iterator[None]:
    """Prepare this process, and a Prefect API, for one flow or for several one after the other: see `run_flow`."""
    options = read(Environment).run
    prepare_process(options, has_caller=True)
    modules = ("flows.pipeline", *preload)
    loading = threading.Thread(target=lambda: list(map(import_module, modules)), daemon=True)
    loading.start()
    with open_prefect_api(), tags(options.environment):
        loading.join()  # Prefect imports parts of itself late, and two threads must not import the same at once
        yield


def _filled(groups: Mapping[str, BaseModel]) -> dict[str, BaseModel]:
    values = read_variables()
    return {name: fill_open(group, values) for name, group in groups.items()}


def _has_caller() -> bool:
    """Tell whether errors of this run reach a caller, such as the command line, which shows them itself."""
    return runtime.deployment.id is None


@contextmanager
def open_prefect_api() -> Iterator[str]:
    """Yield the address of the Prefect API, starting a server of the run's own where none is set.

    Every process of a run shares the one server by its URL; without one, each Dask worker would start its own.

    Raises:
        Unavailable: If the API at ``PREFECT_API_URL`` does not answer, or no server could be started.
    """
    configured = PREFECT_API_URL.value()
    if configured:
        _require_answer(configured)
        with temporary_settings({PREFECT_LOGGING_INTERNAL_LEVEL: "ERROR"}):
            yield configured
        return
    try_place(PREFECT_HOME.value(), "PREFECT_HOME")
    port = free_port()
    url = f"http://{LOOPBACK}:{port}/api"
    PASSING.add(url)
    server = _child_server(port, url)
    try:
        server.start()
    except Unavailable as error:
        start = "The run's own Prefect server did not start; start one with 'make ui' and set PREFECT_API_URL."
        raise Unavailable(f"{start} {error}") from error
    try:
        logger.bind(in_short=True).info("Prefect UI while this run lasts: http://{}:{}", LOOPBACK, port)
        with temporary_settings({PREFECT_API_URL: url, PREFECT_LOGGING_INTERNAL_LEVEL: "ERROR"}):
            try:
                yield url
            finally:
                APILogHandler().flush()  # the last lines of the run, while there is a server to send them to
    finally:
        server.stop()


def _require_answer(url: str) -> None:
    if problem := health_problem(url):
        raise Unavailable(
            f"The Prefect API {problem}: PREFECT_API_URL is {hide_user(url)!r}. "
            f"Start it with 'make ui', or unset PREFECT_API_URL to let the run start its own.{proxy_before(url)}"
        )


def _child_server(port: int, url: str) -> ChildServer:
    quiet = {
        **PRIVATE,
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_UI_API_URL": url,
        "PREFECT__SERVER_FINAL": "true",
        **{f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false" for service in IDLE_SERVICES},
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "flows.prefect_app:create_app"]
    command += ["--host", LOOPBACK, "--port", str(port), "--log-level", "critical", "--lifespan", "on"]
    return ChildServer(command, {**os.environ, **quiet}, [Check(f"{url}/health")])


@contextmanager
def explaining_lost_dask() -> Iterator[None]:
    """Explain that Dask's scheduler or its workers were lost during the run.

    Raises:
        Unavailable: If they were.
    """
    try:
        yield
    except FutureCancelledError as error:
        raise Unavailable(
            f"Lost the Dask scheduler during the run, and tasks with it ({error.reason}). {GO_ON}"
        ) from error
    except (NoWorkerError, NoValidWorkerError) as error:
        raise Unavailable(
            f"No Dask worker was there to run a task for two minutes ({error}). See that workers run, and what "
            f"they said last: one that takes more memory than it may is killed. {GO_ON}"
        ) from error
    except KilledWorker as error:
        raise Unavailable(
            f"{error.allowed_failures + 1} Dask workers died one after the other while they ran {error.task!r}, as "
            "they do that take more memory than they may. Give each more (--dask-worker-memory, or "
            f"STACK_DASK_WORKER_MEMORY for the stack), or run fewer of them. {GO_ON}"
        ) from error


@contextmanager
def open_dask(environment: Environment | None = None) -> Iterator[str]:
    """Yield the address of the Dask scheduler: the one that the environment names, or one of this run's own.

    Args:
        environment: By default that of the process.

    Raises:
        Unavailable: If no scheduler answers at the address that is set.
    """
    environment = environment or read(Environment)
    address = environment.dask.dask_scheduler_address
    with nullcontext(address) if address else _local_cluster(environment) as place:
        with _connect(address) if address else Client(place, set_as_default=False) as client:
            level = environment.run.level if address else environment.run.log_level  # those of others have a log each
            log = environment.run.model_copy(update={"log_level": level})
            client.register_plugin(PreparedWorker(log, has_caller=_has_caller()))
            found = client.scheduler.address
        yield found


def _connect(address: str) -> Client:
    try:
        return Client(address, timeout="10s", set_as_default=False)
    except OSError as error:
        raise Unavailable(
            f"No Dask scheduler answers at DASK_SCHEDULER_ADDRESS={address!r} ({error}). Start one with "
            "'dask scheduler', or unset the variable to let the run start workers of its own."
        ) from error


class _LoopbackWorker(Worker):
    """A worker in threads of this process, whose web server, which Dask always starts, listens on loopback only."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"dashboard_address": f"{LOOPBACK}:0"})


def _local_cluster(environment: Environment) -> LocalCluster:
    heap = driver_memory(environment.spark, machine_bytes())
    n_processes, each = environment.dask.dask_workers, environment.dask.worker_bytes(machine_bytes(), heap)
    workers = f"{n_processes} worker processes, each" if n_processes else "threads of this process,"
    logger.info("Dask: {} with {:.1f} GiB", workers, each / GIB)
    with dask.config.set(NO_ENDLESS_WAIT | NO_PROFILE):
        return LocalCluster(
            n_workers=n_processes or 1,
            threads_per_worker=1 if n_processes else None,
            processes=bool(n_processes),
            worker_class=None if n_processes else _LoopbackWorker,  # processes listen where their scheduler does
            memory_limit=each,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": f"{LOOPBACK}:0"},  # it serves a page of its health all the same
        )
