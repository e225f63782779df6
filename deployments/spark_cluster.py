"""A real Spark standalone cluster on loopback, master and workers, for tests and a machine of one's own."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pyspark

from deployments.processes import LOOPBACK, START_TIMEOUT_SECONDS, ServerProcess, free_port
from schema.errors import Unavailable
from spark.java import find_java

SPARK_CLASS = Path(pyspark.__file__).parent / "bin" / "spark-class"
DEPLOY = "org.apache.spark.deploy"
DAEMON_MEMORY = "512m"
# Each application leaves the jars and the logs of its executors with the worker: an hour for someone to read them.
CLEANUP = " ".join(
    f"-Dspark.worker.cleanup.{name}={value}"
    for name, value in {"enabled": "true", "interval": 600, "appDataTtl": 3600}.items()
)


@dataclass(frozen=True)
class Daemon:
    """How a master or a worker is started.

    Attributes:
        command: The program and its arguments; it stays in the foreground.
        environment: Variables that it needs.
        web_url: Its page; ``/json/`` below it answers as soon as it runs.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    web_url: str

    def process(self) -> ServerProcess:
        """Return it as a process that is not started yet."""
        return ServerProcess(self.command, self.environment, [f"{self.web_url}/json/"])


def master_daemon(port: int, web_port: int, *, host: str = LOOPBACK) -> Daemon:
    """Return how a master is started that takes drivers and workers at ``spark://host:port``.

    Raises:
        ValueError: If there is no Java.
    """
    places = ("--host", host, "--port", str(port), "--webui-port", str(web_port))
    command = (str(SPARK_CLASS), f"{DEPLOY}.master.Master", *places)
    return Daemon(command, daemon_environment(host), f"http://{host}:{web_port}")


def worker_daemon(
    master_url: str,
    web_port: int,
    folder: Path,
    *,
    cores: int | None = None,
    memory: str | None = None,
    host: str = LOOPBACK,
) -> Daemon:
    """Return how a worker is started.

    Args:
        master_url: Of the master, spark://host:port.
        web_port: Of its page.
        folder: For the files and logs of its executors; made if absent.
        cores: That its executors may take; by default all of the machine.
        memory: That its executors may take, such as 1g; by default all of the machine but 1 GiB.
        host: Its address.

    Raises:
        ValueError: If there is no Java.
    """
    places = ("--host", host, "--webui-port", str(web_port), "--work-dir", str(folder))
    sizes = (*(("--cores", str(cores)) if cores else ()), *(("--memory", memory) if memory else ()))
    command = (str(SPARK_CLASS), f"{DEPLOY}.worker.Worker", *places, *sizes, master_url)
    return Daemon(command, daemon_environment(host) | {"SPARK_WORKER_OPTS": CLEANUP}, f"http://{host}:{web_port}")


def daemon_environment(host: str) -> dict[str, str]:
    """Return the variables of a master or a worker: the Java and the Python of this project, and its address.

    Raises:
        ValueError: If there is no Java.
    """
    return {
        "JAVA_HOME": str(find_java().absolute().parents[1]),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_DAEMON_MEMORY": DAEMON_MEMORY,
        "SPARK_LOCAL_IP": host,
        "SPARK_PUBLIC_DNS": host,
    }


@dataclass(frozen=True)
class SparkCluster:
    """A standalone cluster that runs.

    Attributes:
        master_url: What ``SPARK_MASTER`` is set to.
        web_url: The master's page.
        master: The master's process.
        workers: The workers' processes; their executors are children of theirs.
    """

    master_url: str
    web_url: str
    master: ServerProcess = field(repr=False)
    workers: tuple[ServerProcess, ...] = field(repr=False)

    def n_alive_workers(self) -> int:
        """Return how many workers the master counts as alive."""
        return int(httpx.get(f"{self.web_url}/json/", timeout=5, trust_env=False).json()["aliveworkers"])

    def applications(self) -> list[str]:
        """Return the names of the applications that the master knows of, running or ended."""
        state = httpx.get(f"{self.web_url}/json/", timeout=5, trust_env=False).json()
        return [app["name"] for app in (*state["activeapps"], *state["completedapps"])]

    def wait_for_workers(self, n_workers: int) -> None:
        """Return when the master counts so many workers as alive.

        Raises:
            Unavailable: If it does not within START_TIMEOUT_SECONDS.
        """
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while (n_alive := self.n_alive_workers()) != n_workers:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"The Spark master at {self.master_url} counts {n_alive} workers after "
                    f"{START_TIMEOUT_SECONDS:.0f} s; expected {n_workers}. Its page {self.web_url} says which."
                )
            time.sleep(0.1)


@contextmanager
def open_spark_cluster(
    folder: Path, *, n_workers: int = 2, cores: int = 1, memory: str = "1g", port: int | None = None
) -> Iterator[SparkCluster]:
    """Yield a master and workers on loopback, all registered, and stop them in the end.

    Args:
        folder: Where workers keep the files and logs of their executors; made if absent.
        n_workers: How many workers.
        cores: Of each worker.
        memory: Of each worker's executors, such as 1g.
        port: The master's; by default any that is free.

    Raises:
        InvalidInput: If the port cannot be had.
        ValueError: If there is no Java.
        Unavailable: If one of them does not start.
    """
    port = free_port(port)
    master_url = f"spark://{LOOPBACK}:{port}"
    master = master_daemon(port, free_port())
    with ExitStack() as stack:
        master_process = _started(master, stack)
        workers = []
        for number in range(n_workers):
            own = folder.resolve() / f"worker-{number}"
            workers.append(_started(worker_daemon(master_url, free_port(), own, cores=cores, memory=memory), stack))
        cluster = SparkCluster(master_url, master.web_url, master_process, tuple(workers))
        cluster.wait_for_workers(n_workers)
        yield cluster


def _started(daemon: Daemon, stack: ExitStack) -> ServerProcess:
    process = daemon.process()
    process.start()
    stack.callback(process.stop)
    return process
