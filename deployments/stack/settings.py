"""The settings of the process stack, in variables that begin with ``STACK_`` or in the file ``.env.stack``."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.settings import WorkerMemory

PREFIX = "STACK_"
MAX_WORKERS = 64
MIB = 1024**2
LEAST_DASK_MIB, LEAST_SPARK_MIB = 512, 1024  # an executor of Spark takes 1g unless a run says otherwise

_MEMORY = r"^[1-9]\d*[mg]$"


def _port(default: int, of: str) -> int:
    port: int = Field(default, ge=1, le=65535, description=f"Port of {of}.")
    return port


class StackSettings(BaseSettings):
    """All settings of the process stack: how large it is, where it keeps things and where it listens.

    Raises:
        pydantic.ValidationError: If a value does not fit, two ports are the same, or a name in the file is unknown.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env.stack",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
    )

    folder: Path = Field(Path("data/stack"), description="Folder of databases, logs and the state of the stack.")
    minio_folder: Path = Field(
        Path("data/minio"), description="Folder of MinIO's objects; its credentials stand beside it, as FOLDER.env."
    )
    host: str = Field(
        "127.0.0.1",
        pattern=r"^\d+(\.\d+){3}$",
        description="Address that everything listens on. Only MinIO asks for a password: anything but loopback lets "
        "everyone who reaches the machine run code on it.",
    )
    hang_seconds: int = Field(
        60,
        ge=15,
        description="Seconds for which a service that runs may fail its health checks before it is restarted.",
    )
    prefect_port: int = _port(4200, "the Prefect API and UI")
    prefect_worker_port: int = _port(4201, "the health check of the Prefect worker")
    prefect_database_url: SecretStr | None = Field(
        None, description="postgresql+asyncpg://user:password@host/database; unset: SQLite in the stack's folder."
    )
    dask_port: int = _port(8786, "the Dask scheduler")
    dask_dashboard_port: int = _port(8787, "the Dask scheduler's web page")
    dask_workers: int = Field(2, ge=1, le=MAX_WORKERS, description="Dask worker processes.")
    dask_worker_memory: WorkerMemory | None = Field(
        None,
        description="Memory of a Dask worker, such as 2g; unset: a quarter of the machine for all.",
    )
    spark_port: int = _port(7077, "the Spark master")
    spark_ui_port: int = _port(8080, "the Spark master's web page")
    spark_worker_ui_port: int = _port(8081, "the first Spark worker's web page; the next workers take the next ones")
    spark_workers: int = Field(1, ge=1, le=MAX_WORKERS, description="Spark worker processes.")
    spark_worker_memory: str | None = Field(
        None,
        pattern=_MEMORY,
        description="Memory that a Spark worker gives to executors, such as 4g; "
        "unset: a quarter of the machine for all, at least the 1g of one executor.",
    )
    spark_worker_cores: int | None = Field(
        None, ge=1, description="Cores that a Spark worker gives to executors; unset: those of the machine for all."
    )
    minio_port: int = _port(9000, "MinIO's S3 API")
    minio_console_port: int = _port(9001, "MinIO's console")
    mlflow_port: int = _port(5000, "the MLflow API and UI")
    api_port: int = _port(8000, "the API that answers with recommendations, and its page")
    api_workers: int = Field(2, ge=1, le=MAX_WORKERS, description="Processes of the API, which share its memory.")

    @model_validator(mode="after")
    def _have_distinct_ports(self) -> Self:
        users: dict[int, str] = {}
        for name, port in self.ports().items():
            if port in users:
                raise ValueError(f"{name} and {users[port]} are both {port}; give each a port of its own")
            users[port] = name
        return self

    def ports(self) -> dict[str, int]:
        """Return every port that is listened on, by the setting that it comes from."""
        ports = {variable(name): int(port) for name, port in self if name.endswith("_port")}
        first = variable("spark_worker_ui_port")
        return ports | {f"{first}+{n}": ports[first] + n for n in range(1, self.spark_workers)}


def variable(name: str) -> str:
    """Return the variable of a setting.

    Example:
        >>> variable("prefect_port")
        'STACK_PREFECT_PORT'
    """
    return PREFIX + name.upper()


@dataclass(frozen=True)
class WorkerSizes:
    """Memory of each worker, as Dask and Spark write it, and cores of each Spark worker."""

    dask_memory: str
    spark_memory: str
    spark_cores: str

    def __str__(self) -> str:
        """Return the sizes as a line of a log has them."""
        return (
            f"{self.dask_memory} for each Dask worker, "
            f"{self.spark_memory} and {self.spark_cores} core(s) for each Spark worker"
        )


def choose_sizes(settings: StackSettings, machine_bytes: int | None = None, n_cores: int | None = None) -> WorkerSizes:
    """Return the sizes that are set, and for the rest a share of the machine: a quarter for Dask, a quarter for Spark.

    Args:
        settings: Sizes where they are set, and the numbers of workers.
        machine_bytes: Memory of the machine; None: as found.
        n_cores: Cores of the machine; None: as found.

    Example:
        >>> choose_sizes(StackSettings(_env_file=None, dask_workers=2), machine_bytes=24 * 1024**3, n_cores=4)
        WorkerSizes(dask_memory='3072m', spark_memory='6144m', spark_cores='4')
    """
    quarter_mib = (psutil.virtual_memory().total if machine_bytes is None else machine_bytes) // 4 // MIB
    n_cores = n_cores or os.cpu_count() or 1
    dask_mib = max(quarter_mib // settings.dask_workers, LEAST_DASK_MIB)
    spark_mib = max(quarter_mib // settings.spark_workers, LEAST_SPARK_MIB)
    return WorkerSizes(
        dask_memory=settings.dask_worker_memory or f"{dask_mib}m",
        spark_memory=settings.spark_worker_memory or f"{spark_mib}m",
        spark_cores=str(settings.spark_worker_cores or max(n_cores // settings.spark_workers, 1)),
    )
