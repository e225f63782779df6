"""Where the services of the stack run and find each other: on this machine, or each in a container of its own."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath

from deployments.minio import choose_credentials
from deployments.s3_server import REGION, STORE_URI, Credentials, minio_credentials
from deployments.stack.settings import StackSettings, WorkerSizes, choose_sizes, variable
from flows.child_server import LOOPBACK, PRIVATE

MINIO = "minio"
BUCKET_JOB = "store-bucket"
PREFECT_SERVER = "prefect-server"
PREFECT_WORKER = "prefect-worker"
DASK_SCHEDULER = "dask-scheduler"
SPARK_MASTER = "spark-master"
MLFLOW = "mlflow"
API = "api"

WORK_POOL = "recommender"
HEARTBEAT_SECONDS = 30  # the shortest that Prefect takes

ACCESS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
MINIO_KEYS = ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")
DATABASE_URL = "PREFECT_SERVER_DATABASE_CONNECTION_URL"

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - in a container, whose ports are published on loopback only
CONTAINER_DATA = PurePosixPath("/app/data")


@dataclass(frozen=True)
class Placement:
    """Where the services run.

    Attributes:
        settings: Ports and numbers of workers.
        sizes: How much of the machine each worker takes.
        folder: Where databases are.
        minio_folder: Where MinIO keeps objects.
        work_dir: Folder for scratch files of flows, which flows and Dask workers share.
        python: The Python that Spark's executors run.
        in_containers: Whether each service has a host of its own, which is called as the service is.
        secrets: Values of the variables that hold secrets.
    """

    settings: StackSettings
    sizes: WorkerSizes
    folder: PurePath
    minio_folder: PurePath
    work_dir: PurePath
    python: str
    in_containers: bool = False
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

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

    def page(self, service: str, port_setting: str, path: str = "") -> str:
        """Return the address of a page of a service for a browser on this machine, which sees published ports."""
        port = getattr(self.settings, port_setting)
        if self.in_containers:
            return f"http://localhost:${{{variable(port_setting)}:-{port}}}{path}"
        return self.url(service, port, path)

    def flow_variables(self) -> dict[str, str]:
        """Return the variables, without secrets, by which a flow finds the services."""
        settings = self.settings
        variables = {
            "PREFECT_API_URL": self.url(PREFECT_SERVER, settings.prefect_port, "/api"),
            "DASK_SCHEDULER_ADDRESS": f"tcp://{self.host(DASK_SCHEDULER)}:{settings.dask_port}",
            "SPARK_MASTER": f"spark://{self.host(SPARK_MASTER)}:{settings.spark_port}",
            "STORE_URI": STORE_URI,
            "S3_ENDPOINT_URL": self.url(MINIO, settings.minio_port),
            "S3_CONSOLE_URL": self.page(MINIO, "minio_console_port"),
            "AWS_REGION": REGION,
            "MLFLOW_TRACKING_URI": self.url(MLFLOW, settings.mlflow_port),
            "WORK_DIR": str(self.work_dir),
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
            "DO_NOT_TRACK": PRIVATE["DO_NOT_TRACK"],
        }
        if self.in_containers:
            return variables | {"PREFECT_UI_URL": self.page(PREFECT_SERVER, "prefect_port")}
        # Spark's driver, which executors talk to, would take an address of the network otherwise.
        return variables | {"SPARK_LOCAL_IP": self.host(SPARK_MASTER)}


def place_on_this_machine(settings: StackSettings) -> Placement:
    """Return the placement of the process stack.

    Raises:
        InvalidInput: If MinIO's credentials are not complete.
    """
    folder = settings.folder.resolve()
    url = settings.prefect_database_url
    return Placement(
        settings=settings,
        sizes=choose_sizes(settings),
        folder=folder,
        minio_folder=settings.minio_folder.resolve(),
        work_dir=folder / "work",
        python=sys.executable,
        secrets=credential_variables(choose_credentials(os.environ, credentials_file(settings)))
        | ({DATABASE_URL: url.get_secret_value()} if url else {}),
    )


def place_in_containers(dask_workers: int = 2, spark_workers: int = 1) -> Placement:
    """Return the placement of the compose file, whatever else the environment says."""
    defaults = {name: field.default for name, field in StackSettings.model_fields.items()}
    numbers = {"dask_workers": dask_workers, "spark_workers": spark_workers}
    return Placement(
        settings=StackSettings.model_construct(**{**defaults, **numbers}),
        sizes=WorkerSizes(
            dask_memory="${STACK_DASK_WORKER_MEMORY:-2g}",
            spark_memory="${STACK_SPARK_WORKER_MEMORY:-4g}",
            spark_cores="${STACK_SPARK_WORKER_CORES:-2}",
        ),
        folder=CONTAINER_DATA / "stack",
        minio_folder=PurePosixPath("/minio"),
        work_dir=CONTAINER_DATA / "work",
        python="python",
        in_containers=True,
    )


def credentials_file(settings: StackSettings) -> Path:
    """Return the file of MinIO's credentials, which ``make minio`` keeps in the same place."""
    folder = settings.minio_folder.resolve()
    return folder.parent / f"{folder.name}.env"


def credential_variables(credentials: Credentials) -> dict[str, str]:
    """Return the variables by which MinIO and its users know the credentials."""
    values = (credentials.access_key, credentials.secret_key)
    return minio_credentials(credentials) | dict(zip(ACCESS_KEYS, values, strict=True))
