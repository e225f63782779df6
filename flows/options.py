"""How a run behaves and where its row-parallel tasks run; what it does is said by other options."""

from pydantic import BaseModel, ConfigDict, Field

from spark.options import MEMORY, memory_bytes
from tasks.log_lines import LogOptions


class RunOptions(LogOptions):
    """How a run behaves, whatever it does."""

    environment: str = Field("development", description="Name of this installation; a tag of Prefect and MLflow runs.")


class DaskOptions(BaseModel):
    """Where row-parallel tasks run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dask_scheduler_address: str | None = Field(
        None,
        description="Address of a running Dask scheduler; without it, the run starts workers of its own.",
    )
    dask_workers: int = Field(
        0,
        ge=0,
        description="Worker processes to start; 0 runs the tasks in threads of the run's own process, "
        "which starts at once.",
    )
    dask_worker_memory: str | None = Field(
        None,
        pattern=MEMORY,
        description="memory of each worker of the run's own, such as 2g, at 80 % of which it takes no more tasks; by "
        "default an equal share of what Spark's heap leaves of the machine",
    )

    def worker_bytes(self, machine_bytes: int, heap: str) -> int:
        """Return the memory of each worker.

        Args:
            machine_bytes: Of the machine.
            heap: Of Spark's driver, such as 6g.

        Example:
            >>> DaskOptions(dask_workers=2).worker_bytes(24 * 1024**3, heap="6g") / 1024**3
            9.0
        """
        if self.dask_worker_memory:
            return memory_bytes(self.dask_worker_memory)
        return max(machine_bytes - memory_bytes(heap), machine_bytes // 2) // (self.dask_workers or 1)
