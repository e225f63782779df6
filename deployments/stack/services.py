"""The table of services: what runs, with which command and environment, and how one knows that it can be used.

To add one, write a function that returns its `Service` and name it in `services`; the process stack, the compose
file and their tests follow.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deployments.s3_server import minio_command, minio_environment
from deployments.stack.placement import (
    ACCESS_KEYS,
    API,
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
    Placement,
)
from flows.child_server import PRIVATE, Check

# Each application leaves the jars and the logs of its executors with the worker: an hour for someone to read them.
SPARK_CLEANUP = " ".join(
    f"-Dspark.worker.cleanup.{name}={value}"
    for name, value in {"enabled": "true", "interval": 600, "appDataTtl": 3600}.items()
)

# What Dask serves beside its dashboard, without its info pages, which fetch a style sheet from outside.
DASK_PAGES = [f"distributed.http.{name}" for name in ("scheduler.prometheus", "scheduler.json", "health", "statics")]

EVERY_PROFILE = ("serving", "training")


@dataclass(frozen=True)
class Service:
    """One program of the stack.

    Attributes:
        name: Its name in the table and of its log, and its host in compose.
        command: Program, looked for on PATH, and arguments.
        checks: Answers that show that it can be used; without any, it is a job, which is done when it ends with 0.
        address: Where to use it or look at it.
        ports: Ports that it listens on, by the setting that each comes from.
        depends_on: Names of services that have to be usable before it is started.
        environment: Variables without secrets.
        secrets: Names of variables with secrets that it gets.
        runs_flows: Whether the project's own code runs in it, for which it sees the environment of ``make up``.
        folders: Where it keeps what has to outlive it.
        ends_children_first: Whether the processes that it started get SIGTERM, and time to end, before it does.
        target: Stage of the Dockerfile that has what it needs.
        profiles: Parts of the compose file, which can be started alone, that it belongs to.
    """

    name: str
    command: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    address: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    runs_flows: bool = False
    folders: tuple[str, ...] = ()
    ends_children_first: bool = False
    target: str = "stack"
    profiles: tuple[str, ...] = ("training",)

    @property
    def is_job(self) -> bool:
        """Whether it is done when it ends."""
        return not self.checks


def services(at: Placement) -> tuple[Service, ...]:
    """Return every service in the order in which they are started."""
    return (
        _minio(at),
        _bucket(at),
        _prefect_server(at),
        _dask_scheduler(at),
        *(_dask_worker(at, number) for number in range(1, at.settings.dask_workers + 1)),
        _spark_master(at),
        *(_spark_worker(at, number) for number in range(1, at.settings.spark_workers + 1)),
        _mlflow(at),
        _prefect_worker(at),
        _api(at),
    )


def _minio(at: Placement) -> Service:
    port, console = at.settings.minio_port, at.settings.minio_console_port
    return Service(
        MINIO,
        minio_command(at.minio_folder, f"{at.bind}:{port}", f"{at.bind}:{console}"),
        (Check(at.url(MINIO, port, "/minio/health/cluster")), Check(at.url(MINIO, console))),
        address=at.url(MINIO, console),
        ports={"STACK_MINIO_PORT": port, "STACK_MINIO_CONSOLE_PORT": console},
        environment=minio_environment(at.minio_folder),
        secrets=MINIO_KEYS,
        folders=(str(at.minio_folder),),
        profiles=EVERY_PROFILE,
    )


def _bucket(at: Placement) -> Service:
    return Service(
        BUCKET_JOB,
        ("python", "-m", "deployments.s3_server"),
        depends_on=(MINIO,),
        environment={"S3_ENDPOINT_URL": at.flow_variables()["S3_ENDPOINT_URL"]},
        secrets=ACCESS_KEYS,
        profiles=EVERY_PROFILE,
    )


def _prefect_server(at: Placement) -> Service:
    port, home = at.settings.prefect_port, str(at.folder / "prefect")
    has_own_database = DATABASE_URL not in at.secrets
    return Service(
        PREFECT_SERVER,
        ("prefect", "server", "start", "--host", at.bind, "--port", str(port)),
        (Check(at.url(PREFECT_SERVER, port, "/api/health"), "true"),),
        address=at.url(PREFECT_SERVER, port),
        ports={"STACK_PREFECT_PORT": port},
        environment={
            "PREFECT_HOME": home,
            **PRIVATE,
            # Concurrency slots that runs hold outlive the server: kept in its memory, a restart would free them.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            # A run that is scheduled for a moment before the next look is first run a period later.
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "15",
            "PREFECT_UI_API_URL": at.page(PREFECT_SERVER, "prefect_port", "/api"),
            **({DATABASE_URL: f"sqlite+aiosqlite:///{home}/prefect.db"} if has_own_database else {}),
        },
        secrets=() if has_own_database else (DATABASE_URL,),
        folders=(home,),
    )


def _dask_scheduler(at: Placement) -> Service:
    port, page = at.settings.dask_port, at.settings.dask_dashboard_port
    listen = ("--host", at.bind, "--port", str(port), "--dashboard-address", f"{at.bind}:{page}")
    return Service(
        DASK_SCHEDULER,
        ("dask", "scheduler", *listen),
        (Check(at.url(DASK_SCHEDULER, page, "/health"), "ok"),),
        address=at.url(DASK_SCHEDULER, page),
        ports={"STACK_DASK_PORT": port, "STACK_DASK_DASHBOARD_PORT": page},
        environment={
            "DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "120s",
            "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": str(DASK_PAGES),
            "DO_NOT_TRACK": PRIVATE["DO_NOT_TRACK"],
        },
        runs_flows=True,  # tasks are unpickled in it
    )


def _dask_worker(at: Placement, number: int) -> Service:
    """Return one of the processes that row-parallel tasks run in; 1 is the first."""
    name, scheduler = f"dask-worker-{number}", at.flow_variables()["DASK_SCHEDULER_ADDRESS"]
    size = ("--nthreads", "1", "--memory-limit", at.sizes.dask_memory)
    listen = ("--host", at.host(name), "--dashboard-address", f"{at.bind}:0")
    scratch = ("--local-directory", str(at.folder / "dask"))
    known_workers = at.url(DASK_SCHEDULER, at.settings.dask_dashboard_port, "/json/identity.json")
    pause = {"DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False"}
    return Service(
        name,
        ("dask", "worker", scheduler, "--name", name, *size, *listen, *scratch, "--death-timeout", "60"),
        (Check(known_workers, rf'"id": "{name}"'),),
        address=f"one thread, {at.sizes.dask_memory}",
        depends_on=(DASK_SCHEDULER, PREFECT_SERVER, BUCKET_JOB),
        environment=at.flow_variables() | {"PYSPARK_PYTHON": at.python} | pause,
        secrets=ACCESS_KEYS,
        runs_flows=True,
    )


def _spark_master(at: Placement) -> Service:
    port, page = at.settings.spark_port, at.settings.spark_ui_port
    listen = ("--host", at.host(SPARK_MASTER), "--port", str(port), "--webui-port", str(page))
    return Service(
        SPARK_MASTER,
        ("spark-class", "org.apache.spark.deploy.master.Master", *listen),
        (Check(at.url(SPARK_MASTER, page, "/json/"), '"status" : "ALIVE"'),),
        address=at.url(SPARK_MASTER, page),
        ports={"STACK_SPARK_PORT": port, "STACK_SPARK_UI_PORT": page},
        environment=_spark_environment(at) | {"SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false"},
    )


def _spark_worker(at: Placement, number: int) -> Service:
    """Return one of the processes that start executors; 1 is the first."""
    name, setting = f"spark-worker-{number}", "STACK_SPARK_WORKER_UI_PORT"
    page = at.settings.spark_worker_ui_port + number - 1
    size = ("--cores", at.sizes.spark_cores, "--memory", at.sizes.spark_memory)
    listen = ("--host", at.host(name), "--webui-port", str(page), "--work-dir", str(at.folder / name))
    master = at.flow_variables()["SPARK_MASTER"]
    return Service(
        name,
        ("spark-class", "org.apache.spark.deploy.worker.Worker", *listen, *size, master),
        (Check(at.url(name, page, "/json/"), '"masterurl" : "spark://'),),
        address=at.url(name, page),
        ports={setting if number == 1 else f"{setting}+{number - 1}": page},
        depends_on=(SPARK_MASTER,),
        environment=_spark_environment(at) | {"SPARK_WORKER_OPTS": SPARK_CLEANUP, "PYSPARK_PYTHON": at.python},
    )


def _spark_environment(at: Placement) -> dict[str, str]:
    local = {} if at.in_containers else {"SPARK_LOCAL_IP": at.host(SPARK_MASTER)}
    return local | {"SPARK_DAEMON_MEMORY": "512m", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


def _mlflow(at: Placement) -> Service:
    port, folder, variables = at.settings.mlflow_port, at.folder / "mlflow", at.flow_variables()
    store = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db")
    artifacts = ("--serve-artifacts", "--artifacts-destination", "s3://recommender/mlflow")
    listen = ("--host", at.bind, "--port", str(port), "--workers", "1")
    published = f"${{STACK_MLFLOW_PORT:-{port}}}" if at.in_containers else str(port)
    allowed = f"{at.host(MLFLOW)}:{port},localhost:{published},127.0.0.1:{published}"
    return Service(
        MLFLOW,
        ("mlflow", "server", *store, *artifacts, *listen, "--allowed-hosts", allowed),
        (Check(at.url(MLFLOW, port, "/health"), "OK"),),
        address=at.url(MLFLOW, port),
        ports={"STACK_MLFLOW_PORT": port},
        depends_on=(BUCKET_JOB,),
        environment={
            "MLFLOW_S3_ENDPOINT_URL": variables["S3_ENDPOINT_URL"],
            "AWS_DEFAULT_REGION": variables["AWS_REGION"],
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            **PRIVATE,
        },
        secrets=ACCESS_KEYS,
        folders=(str(folder),),
    )


def _prefect_worker(at: Placement) -> Service:
    port, home = at.settings.prefect_worker_port, str(at.folder / "prefect-worker")
    polling = ("start", "--pool", WORK_POOL, "--type", "process", "--name", PREFECT_WORKER)
    health = {"PREFECT_WORKER_WEBSERVER_HOST": at.bind, "PREFECT_WORKER_WEBSERVER_PORT": str(port)}
    own = {"PREFECT_HOME": home, "PYSPARK_PYTHON": at.python}
    return Service(
        PREFECT_WORKER,
        ("python", "-m", "deployments.stack.worker", *polling, "--with-healthcheck", "--install-policy", "never"),
        (Check(at.url(PREFECT_WORKER, port, "/health")),),
        address=f"work pool {WORK_POOL}",
        ports={"STACK_PREFECT_WORKER_PORT": port},
        depends_on=(PREFECT_SERVER, DASK_SCHEDULER, SPARK_MASTER, MLFLOW, BUCKET_JOB),
        environment=at.flow_variables() | health | own,
        secrets=ACCESS_KEYS,
        runs_flows=True,
        ends_children_first=True,
        folders=(home,),
    )


def _api(at: Placement) -> Service:
    """Return the API, which answers as soon as there is a champion, and follows it from then on.

    It asks for no keys unless `API_KEYS_FILE` is set: whatever else listens here asks for none either.
    """
    port, folder, variables = at.settings.api_port, at.folder / API, at.flow_variables()
    return Service(
        API,
        ("python", "-m", "serving"),
        (Check(at.url(API, port, "/healthz"), "ok"),),
        address=at.url(API, port),
        ports={"STACK_API_PORT": port},
        depends_on=(BUCKET_JOB,),
        environment={
            **{name: variables[name] for name in ("STORE_URI", "S3_ENDPOINT_URL", "AWS_REGION")},
            "API_HOST": at.bind,
            "API_PORT": str(port),
            "API_WORKERS": str(at.settings.api_workers),
            "API_ALLOW_ANONYMOUS": "true",
            **dict.fromkeys(("API_TLS_CERTIFICATE", "API_TLS_KEY"), ""),  # what looks at its health speaks HTTP
            "API_EVENTS_DIR": str(folder / "events"),
            "WORK_DIR": str(folder / "work"),
        },
        secrets=ACCESS_KEYS,
        runs_flows=True,
        folders=(str(folder),),
        target="serving",
        profiles=("serving",),
    )
