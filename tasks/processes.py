"""What every process of a run does first, Dask workers included: one stream of logs, one BLAS thread per task."""

import os

from distributed import Worker, WorkerPlugin
from threadpoolctl import threadpool_limits

from tasks.log_lines import LogOptions
from tasks.log_stream import configure_logging


class PreparedWorker(WorkerPlugin):
    """Prepares each Dask worker as the run's own process is prepared."""

    name = "recommender-process"

    def __init__(self, log: LogOptions, *, is_told: bool) -> None:
        self.log, self.is_told = log, is_told

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 - the signature is Dask's
        """Prepare the process that the worker runs in."""
        prepare_process(self.log, is_told=self.is_told)


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
