"""How a run behaves and where its row-parallel tasks run; what it does is said by other options."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RunOptions(BaseModel):
    """How a run behaves, whatever it does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level of log lines.")
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
