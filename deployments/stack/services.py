"""The table of services: what runs, with which command and environment, and how one knows that it does.

To add one, write a function that returns its `Service` and name it in `services`; the process stack, the compose
file and their tests follow.
"""

from deployments.s3_server import MINIO_SILENCE
from deployments.stack.engines import dask_scheduler, dask_worker, spark_master, spark_worker
from deployments.stack.health import Check
from deployments.stack.names import (
    ACCESS_KEYS,
    BUCKET_JOB,
    DASK_SCHEDULER,
    DATABASE_URL,
    MINIO,
    MINIO_KEYS,
    MLFLOW,
    PREFECT_SERVER,
    PREFECT_WORKER,
    SPARK_MASTER,
    WORK_POOL,
)
from deployments.stack.service import Service
from deployments.stack.sites import Site


def services(site: Site) -> tuple[Service, ...]:
    """Return every service in the order in which they are started."""
    settings = site.settings
    return (
        _minio(site),
        _bucket(site),
        _prefect_server(site),
        dask_scheduler(site),
        *(dask_worker(site, number) for number in range(1, settings.dask_workers + 1)),
        spark_master(site),
        *(spark_worker(site, number) for number in range(1, settings.spark_workers + 1)),
        _mlflow(site),
        _prefect_worker(site),
    )


def _minio(site: Site) -> Service:
    port, console = site.settings.minio_port, site.settings.minio_console_port
    addresses = ("--address", f"{site.bind}:{port}", "--console-address", f"{site.bind}:{console}")
    folder = str(site.minio_folder)
    return Service(
        MINIO,
        ("minio", "server", folder, *addresses),
        "the artifact store, with a console",
        (Check(url=site.url(MINIO, port, "/minio/health/cluster")), Check(url=site.url(MINIO, console))),
        address=site.url(MINIO, console),
        ports={"STACK_MINIO_PORT": port, "STACK_MINIO_CONSOLE_PORT": console},
        # HOME is where it would look for certificates that nobody named.
        environment={**MINIO_SILENCE, "HOME": folder},
        secrets=MINIO_KEYS,
        folders=(folder,),
    )


def _bucket(site: Site) -> Service:
    return Service(
        BUCKET_JOB,
        ("python", "-m", "deployments.s3_server"),
        "makes the store's bucket",
        depends_on=(MINIO,),
        environment={"S3_ENDPOINT_URL": site.reach()["S3_ENDPOINT_URL"]},
        secrets=ACCESS_KEYS,
    )


def _prefect_server(site: Site) -> Service:
    port, home = site.settings.prefect_port, str(site.folder / "prefect")
    shown_at = (
        f"http://localhost:${{STACK_PREFECT_PORT:-{port}}}/api"
        if site.in_containers
        else site.reach()["PREFECT_API_URL"]
    )
    environment = {
        "PREFECT_HOME": home,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # Places that runs have taken outlive the server: in its memory, a restart would lose who has which.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # What is scheduled for a moment before the next look is first run a period later.
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "15",
        "PREFECT_UI_API_URL": shown_at,
        "DO_NOT_TRACK": "1",
    }
    if site.database_url is None:
        environment[DATABASE_URL] = f"sqlite+aiosqlite:///{home}/prefect.db"
    return Service(
        PREFECT_SERVER,
        ("prefect", "server", "start", "--host", site.bind, "--port", str(port)),
        "schedules and shows flow runs",
        (Check(url=site.url(PREFECT_SERVER, port, "/api/health"), pattern="true"),),
        address=site.url(PREFECT_SERVER, port),
        ports={"STACK_PREFECT_PORT": port},
        environment=environment,
        secrets=(DATABASE_URL,) if site.database_url else (),
        folders=(home,),
    )


def _mlflow(site: Site) -> Service:
    port, folder = site.settings.mlflow_port, site.folder / "mlflow"
    store = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db")
    artifacts = ("--serve-artifacts", "--artifacts-destination", "s3://recommender/mlflow")
    listen = ("--host", site.bind, "--port", str(port), "--workers", "1")
    seen_as = f"${{STACK_MLFLOW_PORT:-{port}}}" if site.in_containers else str(port)
    allowed = f"{site.host(MLFLOW)}:{port},localhost:{seen_as},127.0.0.1:{seen_as}"
    return Service(
        MLFLOW,
        ("mlflow", "server", *store, *artifacts, *listen, "--allowed-hosts", allowed),
        "keeps the record of trainings",
        (Check(url=site.url(MLFLOW, port, "/health"), pattern="OK"),),
        address=site.url(MLFLOW, port),
        ports={"STACK_MLFLOW_PORT": port},
        depends_on=(BUCKET_JOB,),
        environment={
            "MLFLOW_S3_ENDPOINT_URL": site.reach()["S3_ENDPOINT_URL"],
            "AWS_DEFAULT_REGION": site.reach()["AWS_REGION"],
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        },
        secrets=ACCESS_KEYS,
        folders=(str(folder),),
    )


def _prefect_worker(site: Site) -> Service:
    port, home = site.settings.prefect_worker_port, str(site.folder / "prefect-worker")
    polls = ("start", "--pool", WORK_POOL, "--type", "process", "--name", PREFECT_WORKER)
    health = {"PREFECT_WORKER_WEBSERVER_HOST": site.bind, "PREFECT_WORKER_WEBSERVER_PORT": str(port)}
    return Service(
        PREFECT_WORKER,
        ("python", "-m", "deployments.stack.worker", *polls, "--with-healthcheck", "--install-policy", "never"),
        "runs scheduled flows",
        (Check(url=site.url(PREFECT_WORKER, port, "/health")),),
        address=f"work pool {WORK_POOL}",
        ports={"STACK_PREFECT_WORKER_PORT": port},
        depends_on=(PREFECT_SERVER, DASK_SCHEDULER, SPARK_MASTER, MLFLOW, BUCKET_JOB),
        environment=site.reach() | health | {"PREFECT_HOME": home, "PYSPARK_PYTHON": site.python, "DO_NOT_TRACK": "1"},
        secrets=ACCESS_KEYS,
        runs_flows=True,
        ends_children_first=True,
        folders=(home,),
    )
