"""What every process of a run does first, Dask workers included: one stream of logs, one BLAS thread per task."""

import os

from distributed import Worker, WorkerPlugin
from threadpoolctl import threadpool_limits

from tasks.log_lines import LogOptions
from tasks.log_stream import configure_logging


class PreparedWorker(WorkerPlugin):
    """Prepares each Dask worker as the run's own process is prepared."""

    name = "recommender-process"

    def __init__(self, log: LogOptions) -> None:
        self.log = log

    def setup(self, worker: Worker) -> None:  # noqa: ARG002 - the signature is Dask's
        """Prepare the process that the worker runs in."""
        prepare_process(self.log)


def prepare_process(log: LogOptions) -> None:
    """Route log lines and hold BLAS to one thread: row-parallel tasks share the cores, and sums keep their order."""
    # Read by MLflow when it is first imported.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    # Read by the Dask workers that this process starts, which speak before they are prepared.
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
    configure_logging(log)
    threadpool_limits(limits=1, user_api="blas")
