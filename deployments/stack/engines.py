"""The rows of the table of services that are Dask and Spark."""

from deployments.stack.health import Check
from deployments.stack.names import ACCESS_KEYS, BUCKET_JOB, DASK_SCHEDULER, PREFECT_SERVER, SPARK_MASTER
from deployments.stack.service import Service
from deployments.stack.sites import Site

_MASTER, _WORKER = "org.apache.spark.deploy.master.Master", "org.apache.spark.deploy.worker.Worker"
DAEMON_MEMORY = "512m"
# Each application leaves the jars and the logs of its executors with the worker: an hour for someone to read them.
CLEANUP = " ".join(
    f"-Dspark.worker.cleanup.{name}={value}"
    for name, value in {"enabled": "true", "interval": 600, "appDataTtl": 3600}.items()
)


def dask_scheduler(site: Site) -> Service:
    """Return the scheduler of row-parallel tasks."""
    port, page = site.settings.dask_port, site.settings.dask_dashboard_port
    listen = ("--host", site.bind, "--port", str(port), "--dashboard-address", f"{site.bind}:{page}")
    return Service(
        DASK_SCHEDULER,
        ("dask", "scheduler", *listen),
        "hands row-parallel tasks out",
        (Check(url=site.url(DASK_SCHEDULER, page, "/health"), pattern="ok"),),
        address=site.reach()["DASK_SCHEDULER_ADDRESS"],
        ports={"STACK_DASK_PORT": port, "STACK_DASK_DASHBOARD_PORT": page},
        environment={"DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "120s"},
        runs_flows=True,  # what tasks are made of is unpickled in it
    )


def dask_worker(site: Site, number: int) -> Service:
    """Return one of the processes that row-parallel tasks run in; 1 is the first."""
    name = f"dask-worker-{number}"
    scheduler = site.reach()["DASK_SCHEDULER_ADDRESS"]
    size = ("--nthreads", "1", "--memory-limit", site.sizes.dask_memory)
    where = (
        "--host",
        site.host(name),
        "--dashboard-address",
        f"{site.bind}:0",
        "--local-directory",
        str(site.folder / "dask"),
    )
    known = site.url(DASK_SCHEDULER, site.settings.dask_dashboard_port, "/json/identity.json")
    return Service(
        name,
        ("dask", "worker", scheduler, "--name", name, *size, *where, "--death-timeout", "60"),
        "runs row-parallel tasks",
        (Check(url=known, pattern=rf'"id": "{name}"'),),
        address=f"one thread, {site.sizes.dask_memory}",
        depends_on=(DASK_SCHEDULER, PREFECT_SERVER, BUCKET_JOB),
        environment=site.reach() | {"PYSPARK_PYTHON": site.python, "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False"},
        secrets=ACCESS_KEYS,
        runs_flows=True,
    )


def spark_master(site: Site) -> Service:
    """Return what hands out Spark's executors."""
    port, page = site.settings.spark_port, site.settings.spark_ui_port
    listen = ("--host", site.host(SPARK_MASTER), "--port", str(port), "--webui-port", str(page))
    return Service(
        SPARK_MASTER,
        ("spark-class", _MASTER, *listen),
        "hands Spark's executors out",
        (Check(url=site.url(SPARK_MASTER, page, "/json/"), pattern='"status" : "ALIVE"'),),
        address=site.url(SPARK_MASTER, page),
        ports={"STACK_SPARK_PORT": port, "STACK_SPARK_UI_PORT": page},
        environment=_spark_environment(site),
    )


def spark_worker(site: Site, number: int) -> Service:
    """Return one of the processes that start executors; 1 is the first."""
    name, setting = f"spark-worker-{number}", "STACK_SPARK_WORKER_UI_PORT"
    page = site.settings.spark_worker_ui_port + number - 1
    size = ("--cores", site.sizes.spark_cores, "--memory", site.sizes.spark_memory)
    where = ("--host", site.host(name), "--webui-port", str(page), "--work-dir", str(site.folder / name))
    return Service(
        name,
        ("spark-class", _WORKER, *where, *size, site.reach()["SPARK_MASTER"]),
        "runs Spark's executors",
        (Check(url=site.url(name, page, "/json/"), pattern='"masterurl" : "spark://'),),
        address=site.url(name, page),
        ports={setting if number == 1 else f"{setting}+{number - 1}": page},
        depends_on=(SPARK_MASTER,),
        environment=_spark_environment(site) | {"SPARK_WORKER_OPTS": CLEANUP, "PYSPARK_PYTHON": site.python},
    )


def _spark_environment(site: Site) -> dict[str, str]:
    local = {} if site.in_containers else {"SPARK_LOCAL_IP": site.host(SPARK_MASTER)}
    return local | {"SPARK_DAEMON_MEMORY": DAEMON_MEMORY, "OPENBLAS_NUM_THREADS": "1"}
