"""What every process of a run does first, Dask workers included: one stream of logs, one BLAS thread per task."""

import os
import sys

from distributed import Worker, WorkerPlugin
from threadpoolctl import threadpool_limits

from tasks.log_stream import configure_logging
from tasks.options import LogOptions

# Below 3.11.9 a process whose threads are looked at (sys._current_frames) while others end can freeze, and hears
# no signal: https://github.com/python/cpython/issues/106883.
MAY_BE_PROFILED = sys.version_info >= (3, 11, 9)


class PreparedWorker(WorkerPlugin):
    """Prepares each Dask worker as the run's own process is prepared."""

    name = "recommender-process"

    def __init__(self, log: LogOptions, *, is_told: bool) -> None:
        self.log, self.is_told = log, is_told

    def setup(self, worker: Worker) -> None:
        """Prepare the process that the worker runs in, and leave out the profile that Dask takes every 10 ms."""
        prepare_process(self.log, is_told=self.is_told)
        if not MAY_BE_PROFILED and (profile := worker.periodic_callbacks.pop("profile", None)):
            profile.stop()


def prepare_process(log: LogOptions, *, is_told: bool = False) -> None:
    """Route log lines and hold BLAS to one thread: row-parallel tasks share the cores, and sums keep their order.

    Args:
        log: What is logged, and how.
        is_told: Whether a command line says the errors that the user can act on.
    """
    # Read by MLflow when it is first imported.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    # Read by the Dask workers that this process starts, which speak before they are prepared.
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
    configure_logging(log, is_told=is_told)
    threadpool_limits(limits=1, user_api="blas")
