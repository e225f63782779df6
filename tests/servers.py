"""Servers that only tests need: a second S3 server, proxies, Toxiproxy for faults of the network, a Spark cluster."""

import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, Literal

import boto3
import httpx
import pytest
from botocore.config import Config

from deployments.s3_server import (
    S3Server,
    minio_command,
    minio_credentials,
    minio_environment,
    random_credentials,
    serving,
)
from deployments.stack.placement import SPARK_MASTER, place_on_this_machine
from deployments.stack.services import services
from deployments.stack.settings import StackSettings
from deployments.stack.supervisor import Supervisor
from flows.child_server import LOOPBACK, Check, ChildServer, find_program, free_port
from schema.errors import InvalidInput

BASH = shutil.which("bash") or "/bin/bash"
with_minio = pytest.mark.skipif(find_program("minio") is None, reason="no minio: make services")
# No bucket can be called this, so it hides none.
VERSITYGW_HEALTH = "/_health"


def need_program(name: str) -> None:
    """Skip the test where a server program is absent."""
    if find_program(name) is None:
        pytest.skip(f"{name} is neither on PATH nor in .setup/bin; to change that: make services")


def set_variables(monkeypatch: pytest.MonkeyPatch, server: S3Server) -> None:
    """Set the credentials of a server for this process and those that it starts."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)


def sourced(path: Path) -> dict[str, str]:
    """Return the variables of a shell that has sourced a file, without those that shells set themselves."""
    script = f"set -eu; source {shlex.quote(str(path))}; env -0"
    done = subprocess.run([BASH, "-c", script], env={}, capture_output=True, text=True, check=True)
    pairs = dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)
    return {name: value for name, value in pairs.items() if name not in ("PWD", "SHLVL", "_")}


def s3_client(variables: Mapping[str, str]) -> Any:
    """Return an S3 client that knows only the variables by which a child process finds a server."""
    return boto3.client(
        "s3",
        endpoint_url=variables["S3_ENDPOINT_URL"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        verify=variables.get("S3_CA_BUNDLE"),
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
    )


@dataclass(frozen=True)
class AnyCertificateCheck(Check):
    """A health check that accepts any certificate."""

    def problem(self) -> str | None:
        """Return why the server cannot be used, or None if it can."""
        try:
            answer = httpx.get(self.url, timeout=5, trust_env=False, verify=False)  # noqa: S501 - it is on loopback
        except httpx.TransportError as error:
            return str(error)
        return None if answer.is_success else f"{self.url} answers {answer.status_code}"


def make_certificate(folder: Path) -> Path:
    """Make a folder with a certificate for 127.0.0.1 that no authority signed, and its key; skip without openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is missing")
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            *("/usr/bin/env", "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "private.key"), "-out", str(folder / "public.crt")),
        ],
        check=True,
        capture_output=True,
    )
    return folder


@contextmanager
def open_custom_minio(
    folder: Path, *, bucket: str, certs: Path | None = None, domain: str | None = None
) -> Iterator[S3Server]:
    """Yield a MinIO that speaks TLS with a certificate, or takes the names of hosts below a domain for buckets."""
    address, console = f"{LOOPBACK}:{free_port()}", f"{LOOPBACK}:{free_port()}"
    credentials = random_credentials()
    scheme, tls = ("https", ("--certs-dir", str(certs))) if certs else ("http", ())
    process = ChildServer(
        [*minio_command(folder, address, console), *tls],
        minio_environment(folder) | minio_credentials(credentials) | ({"MINIO_DOMAIN": domain} if domain else {}),
        [AnyCertificateCheck(f"{scheme}://{address}/minio/health/cluster")],
    )
    ca_bundle = certs / "public.crt" if certs else None
    server = S3Server(f"{scheme}://{address}", None, bucket, credentials, process, ca_bundle)
    with serving(server):
        yield server


@contextmanager
def open_versitygw(folder: Path, *, bucket: str, one_at_a_time: bool = True) -> Iterator[S3Server]:
    """Yield a versitygw that keeps its objects as plain files in a new folder.

    With several requests at once, version 1.7.0 looks at the condition of a write first and writes later, so that two
    writers may both win.
    """
    address, credentials = f"{LOOPBACK}:{free_port()}", random_credentials()
    process = ChildServer(
        [
            *("versitygw", "--quiet", "--health", VERSITYGW_HEALTH, "--port", address, "posix"),
            *(("--concurrency", "1") if one_at_a_time else ()),
            str(folder),
        ],
        {"ROOT_ACCESS_KEY": credentials.access_key, "ROOT_SECRET_KEY": credentials.secret_key},
        [Check(f"http://{address}{VERSITYGW_HEALTH}")],
        secrets=[credentials.secret_key],
    )
    folder.mkdir(parents=True, exist_ok=True)
    server = S3Server(f"http://{address}", None, bucket, credentials, process)
    with serving(server):
        yield server


@dataclass(frozen=True)
class RefusingProxy:
    """A company's proxy that answers 403 to everything.

    Attributes:
        variables: By which processes find it; without NO_PROXY, which a process has to set for itself.
        requests: What it was asked for, one line each.
    """

    variables: dict[str, str]
    requests: list[str]


@contextmanager
def open_refusing_proxy() -> Iterator[RefusingProxy]:
    """Yield a proxy that refuses everything."""
    requests: list[str] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            requests.append(self.rfile.readline().decode().strip())
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    with ThreadingTCPServer((LOOPBACK, 0), Handler) as server:
        threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True).start()
        names = (f"{kind}_proxy" for kind in ("http", "https", "all"))
        address = f"http://ada:hunter22@{LOOPBACK}:{server.server_address[1]}"
        variables = {spelt: address for name in names for spelt in (name, name.upper())}
        yield RefusingProxy(variables | {"no_proxy": "", "NO_PROXY": ""}, requests)
        server.shutdown()


Toxic = Literal["latency", "bandwidth", "limit_data", "timeout", "reset_peer"]
Stream = Literal["downstream", "upstream"]


@dataclass(frozen=True)
class Proxy:
    """A way to a server that can be made to suffer: connections to it go on to there while it is enabled."""

    url: str
    _name: str = field(repr=False)
    _api: httpx.Client = field(repr=False)

    def add_toxic(self, toxic: Toxic, *, stream: Stream = "downstream", **attributes: int) -> str:
        """Make connections suffer from the server or to it, and return the name for `remove_toxic`."""
        wanted = {"type": toxic, "stream": stream, "attributes": attributes}
        name: str = _answer(self._api.post(f"/proxies/{self._name}/toxics", json=wanted))["name"]
        return name

    def remove_toxic(self, name: str) -> None:
        """Let connections be as they were before that toxic."""
        _answer(self._api.delete(f"/proxies/{self._name}/toxics/{name}"))

    def enable(self, *, is_enabled: bool = True) -> None:
        """Take connections, or cut all and refuse new ones."""
        _answer(self._api.post(f"/proxies/{self._name}", json={"enabled": is_enabled}))

    def disable(self) -> None:
        """Cut all connections and refuse new ones."""
        self.enable(is_enabled=False)


@contextmanager
def open_toxiproxy() -> Iterator[httpx.Client]:
    """Yield the API of a Toxiproxy without proxies."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    process = ChildServer(["toxiproxy-server", "-host", LOOPBACK, "-port", str(port)], {}, [Check(f"{url}/version")])
    process.start()
    try:
        with httpx.Client(base_url=url, trust_env=False) as api:
            yield api
    finally:
        process.stop()


def add_proxy(toxiproxy: httpx.Client, upstream: str) -> Proxy:
    """Return a new proxy, on a free port, in front of an address: host and port."""
    name = f"proxy-{len(_answer(toxiproxy.get('/proxies')))}"
    wanted = {"name": name, "listen": f"{LOOPBACK}:0", "upstream": upstream, "enabled": True}
    return Proxy(f"http://{_answer(toxiproxy.post('/proxies', json=wanted))['listen']}", name, toxiproxy)


def _answer(response: httpx.Response) -> Any:
    response.raise_for_status()
    return response.json() if response.content else None


@dataclass(frozen=True)
class SparkCluster:
    """A standalone cluster that runs: the value for ``SPARK_MASTER``, and the master's page."""

    master_url: str
    web_url: str

    def applications(self) -> list[str]:
        """Return the names of the applications that the master knows of, running or ended."""
        state = httpx.get(f"{self.web_url}/json/", timeout=5, trust_env=False).json()
        return [app["name"] for app in (*state["activeapps"], *state["completedapps"])]


@contextmanager
def open_spark_cluster(folder: Path, *, n_workers: int = 2) -> Iterator[SparkCluster]:
    """Yield the Spark of a process stack: a master and registered workers of one core and 1 GiB each."""
    settings = StackSettings(
        _env_file=None,
        folder=folder,
        spark_port=free_port(),
        spark_ui_port=free_port(),
        spark_worker_ui_port=free_ports_in_a_row(n_workers),
        spark_workers=n_workers,
        spark_worker_cores=1,
        spark_worker_memory="1g",
    )
    placement = place_on_this_machine(settings)
    spark = [service for service in services(placement) if service.name.startswith("spark-")]
    supervisor = Supervisor(spark, folder, secrets={})
    try:
        supervisor.start()
        yield SparkCluster(
            placement.flow_variables()["SPARK_MASTER"], placement.url(SPARK_MASTER, settings.spark_ui_port)
        )
    finally:
        supervisor.stop()


def free_ports_in_a_row(n_ports: int) -> int:
    """Return the first of several free ports that follow each other."""
    while True:
        first = free_port()
        with suppress(InvalidInput):
            for port in range(first + 1, first + n_ports):
                free_port(port)
            return first
