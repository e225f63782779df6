"""How much of the machine each worker takes."""

import os
from dataclasses import dataclass

import psutil

from deployments.stack.settings import StackSettings

MIB = 1024**2
LEAST_DASK_MIB, LEAST_SPARK_MIB = 512, 1024  # an executor of Spark takes 1g unless a run says otherwise


@dataclass(frozen=True)
class Sizes:
    """Memory of each worker, as Dask and Spark write it, and cores of each Spark worker."""

    dask_memory: str
    spark_memory: str
    spark_cores: str

    def __str__(self) -> str:
        """Return what is worth a line of the log."""
        return (
            f"{self.dask_memory} for each Dask worker, "
            f"{self.spark_memory} and {self.spark_cores} core(s) for each Spark worker"
        )


def choose_sizes(settings: StackSettings, machine_bytes: int | None = None, n_cores: int | None = None) -> Sizes:
    """Return what is set, and for the rest a share of the machine: a quarter for Dask and a quarter for Spark.

    Args:
        settings: What is set, and the numbers of workers.
        machine_bytes: Memory of the machine; None looks.
        n_cores: Cores of the machine; None looks.

    Example:
        >>> choose_sizes(StackSettings(_env_file=None, dask_workers=2), machine_bytes=24 * 1024**3, n_cores=4)
        Sizes(dask_memory='3072m', spark_memory='6144m', spark_cores='4')
    """
    quarter_mib = (psutil.virtual_memory().total if machine_bytes is None else machine_bytes) // 4 // MIB
    n_cores = n_cores or os.cpu_count() or 1
    dask_mib = max(quarter_mib // settings.dask_workers, LEAST_DASK_MIB)
    spark_mib = max(quarter_mib // settings.spark_workers, LEAST_SPARK_MIB)
    return Sizes(
        dask_memory=settings.dask_worker_memory or f"{dask_mib}m",
        spark_memory=settings.spark_worker_memory or f"{spark_mib}m",
        spark_cores=str(settings.spark_worker_cores or max(n_cores // settings.spark_workers, 1)),
    )
