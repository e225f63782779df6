"""How a run behaves and where its row-parallel tasks run; what it does is said by other options."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic.json_schema import SkipJsonSchema

from spark.options import GIB, MEMORY, memory_bytes
from tasks.options import LogOptions


def _enough_to_start(memory: str) -> str:
    if memory_bytes(memory) < GIB // 2:
        raise ValueError("expected 512m or more: Python and the libraries alone take 300 MB")
    return memory


WorkerMemory = Annotated[str, Field(pattern=MEMORY), AfterValidator(_enough_to_start)]
"""Memory of a Dask worker, as Java writes it; with less, one is killed before it has done anything, again and again."""


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
    dask_worker_memory: WorkerMemory | None = Field(
        None,
        description="memory of each worker of the run's own, such as 2g, at 95 % of which it is killed; by "
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


def _web_address(secret: SecretStr) -> SecretStr:
    try:
        address = urlsplit(secret.get_secret_value())
    except ValueError:
        address = urlsplit("")
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError("expected an http:// or https:// address, such as https://hooks.example.org/recommender")
    return secret


class NoticeOptions(BaseModel):
    """Who is told when a run fails."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Left out of every dump and schema: Prefect keeps the parameters of a run, and the address may hold a token.
    notice_webhook_url: SkipJsonSchema[Annotated[SecretStr, AfterValidator(_web_address)] | None] = Field(
        None,
        exclude=True,
        description="Address that a JSON notice is posted to when a run fails or crashes; docs/notices.md.",
        json_schema_extra={"flag": False},
    )
