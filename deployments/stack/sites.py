"""Where the services of the stack run and find each other: on this machine, or each in a container of its own."""

from dataclasses import dataclass
from pathlib import PurePath

from deployments.s3_server import REGION, STORE_URI
from deployments.stack.names import DASK_SCHEDULER, HEARTBEAT_SECONDS, MINIO, MLFLOW, PREFECT_SERVER, SPARK_MASTER
from deployments.stack.settings import StackSettings
from deployments.stack.sizes import Sizes
from flows.child_server import LOOPBACK

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - in a container, whose ports are published on loopback only


@dataclass(frozen=True)
class Site:
    """Where the services run.

    Attributes:
        settings: Ports and numbers of workers.
        sizes: How much of the machine each worker takes.
        folder: Where databases are.
        minio_folder: Where MinIO keeps objects.
        work_dir: Folder for scratch files of flows, which flows and Dask workers share.
        python: The Python that Spark's executors run.
        in_containers: Whether each service has a host of its own, which is called as the service is.
        database_url: The Prefect server's database, where it is no SQLite file in the folder.
    """

    settings: StackSettings
    sizes: Sizes
    folder: PurePath
    minio_folder: PurePath
    work_dir: PurePath
    python: str
    in_containers: bool = False
    database_url: str | None = None

    @property
    def bind(self) -> str:
        """Address that a service listens on."""
        return EVERY_ADDRESS if self.in_containers else self.settings.host

    def host(self, service: str) -> str:
        """Return the host under which other services find one."""
        if self.in_containers:
            return service
        return LOOPBACK if self.settings.host == EVERY_ADDRESS else self.settings.host

    def url(self, service: str, port: int, path: str = "") -> str:
        """Return the address of a page of a service."""
        return f"http://{self.host(service)}:{port}{path}"

    def reach(self) -> dict[str, str]:
        """Return the variables, without secrets, by which a flow finds the services."""
        settings = self.settings
        variables = {
            "PREFECT_API_URL": self.url(PREFECT_SERVER, settings.prefect_port, "/api"),
            "DASK_SCHEDULER_ADDRESS": f"tcp://{self.host(DASK_SCHEDULER)}:{settings.dask_port}",
            "SPARK_MASTER": f"spark://{self.host(SPARK_MASTER)}:{settings.spark_port}",
            "STORE_URI": STORE_URI,
            "S3_ENDPOINT_URL": self.url(MINIO, settings.minio_port),
            "AWS_REGION": REGION,
            "MLFLOW_TRACKING_URI": self.url(MLFLOW, settings.mlflow_port),
            "WORK_DIR": str(self.work_dir),
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        }
        # Spark's driver, which executors talk to, would take an address of the network otherwise.
        return variables if self.in_containers else variables | {"SPARK_LOCAL_IP": self.host(SPARK_MASTER)}
