"""The edge of a run: the Prefect API it reports to and the Dask workers it runs on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import dask.config
from distributed import Client, LocalCluster
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker, NoValidWorkerError, NoWorkerError
from loguru import logger
from prefect import Flow, tags
from prefect_dask.task_runners import DaskTaskRunner

from flows.options import DaskOptions
from flows.prefect_server import open_prefect_api
from flows.settings import Settings
from schema.errors import Unavailable
from spark.options import GIB, SparkOptions, driver_memory, machine_bytes
from tasks.options import LogOptions
from tasks.processes import PreparedWorker, prepare_process

# Else a run would wait for ever: for a worker that pauses for want of memory, which is not Dask's to give back (one
# that takes too much is killed instead, and so told of), or for workers that are gone.
NO_ENDLESS_WAIT = {"distributed.worker.memory.pause": False, "distributed.scheduler.no-workers-timeout": "120s"}
GO_ON = "Run the same again: it goes on from what is done."

Result = TypeVar("Result")


def run_flow(
    flow: Flow[..., dict[str, Any]], settings: Settings, preload: Callable[[], object] = lambda: None
) -> dict[str, Any]:
    """Run a flow with nothing started beforehand, and return its result record.

    Args:
        flow: What to run.
        settings: How.
        preload: What takes seconds and can be done while the Prefect server starts, such as a slow import.
    """
    log = settings.part(LogOptions)
    prepare_process(log, is_told=True)
    threading.Thread(target=preload, daemon=True).start()
    with open_prefect_api(), open_dask(settings.part(DaskOptions), log, heap_of(settings), is_told=True) as address:
        # Typed Any: Prefect's runners are invariant in the kind of their futures.
        runner: Any = DaskTaskRunner(address=address)
        runnable = flow.with_options(task_runner=runner)
        runnable.fn = telling_of_dask(flow.fn)
        with tags(settings.environment):
            return runnable(settings)


def telling_of_dask(run: Callable[..., Result]) -> Callable[..., Result]:
    """Return the body of a flow that says plainly when Dask's scheduler or its workers were lost under it."""

    @wraps(run)
    def told(*arguments: Any, **named: Any) -> Result:
        try:
            return run(*arguments, **named)
        except FutureCancelledError as error:
            raise Unavailable(
                f"The Dask scheduler went away in the midst of the run, and tasks with it ({error.reason}). {GO_ON}"
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

    return told


@contextmanager
def open_dask(options: DaskOptions, log: LogOptions, heap: str = "1g", *, is_told: bool = False) -> Iterator[str]:
    """Yield the address of the Dask scheduler: the one set, or one of this run's own.

    Args:
        options: Which.
        log: What workers log, and how.
        heap: What Spark's driver takes of the machine beside the run's own workers, such as 6g.
        is_told: Whether a command line says the errors that the user can act on.

    Raises:
        Unavailable: If no scheduler answers at the address that is set.
    """
    if options.dask_scheduler_address:
        with _connect(options.dask_scheduler_address) as client:
            client.register_plugin(PreparedWorker(log, is_told=is_told))
            yield options.dask_scheduler_address
        return
    with _local_cluster(options, heap) as cluster, Client(cluster) as client:
        client.register_plugin(PreparedWorker(log, is_told=is_told))
        yield cluster.scheduler_address


def _connect(address: str) -> Client:
    try:
        return Client(address, timeout="10s", set_as_default=False)
    except OSError as error:
        raise Unavailable(
            f"No Dask scheduler answers at DASK_SCHEDULER_ADDRESS={address!r} ({error}). Start one with "
            "'dask scheduler', or unset the variable to let the run start workers of its own."
        ) from error


def heap_of(settings: Settings) -> str:
    """Return what Spark's driver takes of the machine, such as 6g."""
    return driver_memory(settings.part(SparkOptions), machine_bytes())


def _local_cluster(options: DaskOptions, heap: str) -> LocalCluster:
    n_processes, each = options.dask_workers, options.worker_bytes(machine_bytes(), heap)
    workers = f"{n_processes} worker processes, each" if n_processes else "threads of this process,"
    logger.info("Dask: {} with {:.1f} GiB", workers, each / GIB)
    with dask.config.set(NO_ENDLESS_WAIT):
        return LocalCluster(
            n_workers=n_processes or 1,
            threads_per_worker=1 if n_processes else None,
            processes=bool(n_processes),
            memory_limit=each,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # it serves a page of its health all the same
        )
