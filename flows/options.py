"""How a run behaves and where its row-parallel tasks run; what it does is said by other options."""

from pydantic import BaseModel, ConfigDict, Field

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
