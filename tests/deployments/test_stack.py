"""The real stack: started once on free ports, hurt, looked at and stopped; and what goes wrong at its start."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from doors import find_doors
from sample_bundle import write_store
from servers import RefusingProxy, s3_client, sourced, with_minio

from deployments.stack.process_tree import find_processes
from deployments.stack.settings import StackSettings
from deployments.stack.state import StackState, read_state
from flows.child_server import free_port
from storage.opening import open_store
from storage.s3_options import S3Options
from tasks.addresses import store_page

PORTS = sorted(name for name in StackSettings.model_fields if name.endswith("_port"))
SERVICES = {
    *("minio", "store-bucket", "prefect-server", "prefect-worker", "dask-scheduler", "dask-worker-1"),
    *("spark-master", "spark-worker-1", "mlflow", "api"),
}

pytestmark = [with_minio, pytest.mark.timeout(1500)]


@dataclass(frozen=True)
class Stack:
    """A folder for a stack, and the variables that keep it there and on ports of its own."""

    folder: Path
    variables: dict[str, str]

    def run(self, command: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the stack to its end."""
        return subprocess.run(
            self.command(command),
            capture_output=True,
            text=True,
            check=False,
            env={**clean_environment(), **self.variables, **more},
        )

    def command(self, command: str) -> list[str]:
        """Return a command of the stack as one types it."""
        return [sys.executable, "-m", "deployments.stack", command]

    def state(self) -> StackState:
        """Return what the stack's supervisor saw last."""
        state = read_state(self.folder)
        assert state
        return state

    def pid(self, service: str) -> int:
        """Return the process id of a service."""
        identity = next(one.process for one in self.state().services if one.name == service)
        assert identity
        return identity.pid

    def port(self, of: str) -> int:
        """Return the port of a service."""
        return int(self.variables[f"STACK_{of.upper()}_PORT"])

    @property
    def ports(self) -> list[int]:
        """Every port that is set."""
        return [int(self.variables[f"STACK_{name.upper()}"]) for name in PORTS]


def clean_environment() -> dict[str, str]:
    """Return this environment without what would lead a stack elsewhere."""
    foreign = ("STACK_", "MINIO_", "PREFECT_", "AWS_", "API_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def free_ports(n_ports: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < n_ports:
        ports.add(free_port())
    return list(ports)


def new_stack(folder: Path) -> Stack:
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    variables = {f"STACK_{name.upper()}": str(port) for name, port in ports.items()}
    places = {"STACK_FOLDER": str(folder / "stack"), "STACK_MINIO_FOLDER": str(folder / "minio")}
    sizes = {"STACK_DASK_WORKERS": "1", "STACK_SPARK_WORKERS": "1", "STACK_DASK_WORKER_MEMORY": "1g"}
    return Stack(folder / "stack", {**variables, **places, **sizes, "STACK_SPARK_WORKER_MEMORY": "1g"})


def wait_for(what: Callable[[], object], seconds: float = 300) -> None:
    """Return when something has become true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.5)


def listening(ports: list[int]) -> list[int]:
    """Return the ports that something listens on."""
    used = {one.laddr.port for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN}
    return [port for port in ports if port in used]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, refusing_proxy: RefusingProxy) -> Iterator[Stack]:
    """The whole stack, as small as it goes, started by a command that was killed and one that took it up."""
    plain = new_stack(tmp_path_factory.mktemp("stack"))
    made = replace(plain, variables={**plain.variables, **refusing_proxy.variables})
    try:
        killed = subprocess.Popen(made.command("up"), env={**clean_environment(), **made.variables})
        wait_for(lambda: read_state(made.folder))
        killed.kill()
        killed.wait()
        assert made.state().phase == "starting"
        done = made.run("up")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "running already" in done.stdout
        assert made.state().phase == "running"
        yield made
    finally:
        made.run("down")
        assert find_processes(made.folder) == []


def test_status_shows_every_service_healthy_with_its_address_and_log(stack):
    done = stack.run("status")
    assert done.returncode == 0, done.stdout
    assert {one.name for one in stack.state().services} == SERVICES
    for service in stack.state().services:
        line = next(line for line in done.stdout.splitlines() if line.startswith(f" {service.name} "))
        assert "healthy" in line or (service.name == "store-bucket" and "done" in line)
        assert service.address in line
        assert Path(service.log).name in line
        assert Path(service.log).exists()


def test_sourced_variables_lead_flows_to_every_service_and_only_their_owner_reads_them(stack):
    path = stack.folder / "stack.env"
    told = sourced(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(told) == {
        *("PREFECT_API_URL", "DASK_SCHEDULER_ADDRESS", "SPARK_MASTER", "SPARK_LOCAL_IP", "MLFLOW_TRACKING_URI"),
        *("STORE_URI", "S3_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "WORK_DIR"),
        *("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "NO_PROXY", "no_proxy", "S3_CONSOLE_URL", "DO_NOT_TRACK"),
    }
    assert httpx.get(f"{told['PREFECT_API_URL']}/health").json() is True
    assert httpx.get(f"{told['MLFLOW_TRACKING_URI']}/health").text == "OK"
    s3_client(told).head_bucket(Bucket="recommender")


def test_no_request_to_the_stack_goes_to_the_proxy_that_the_environment_names(stack, refusing_proxy):
    told = sourced(stack.folder / "stack.env")
    ask = "import os, sys, httpx; sys.exit(httpx.get(os.environ['PREFECT_API_URL'] + '/health').is_error)"
    subprocess.run([sys.executable, "-c", ask], env={**os.environ, **refusing_proxy.variables, **told}, check=True)
    assert refusing_proxy.requests == []


def test_secrets_are_in_no_log_state_or_command_line(stack):
    secret = sourced(stack.folder / "stack.env")["AWS_SECRET_ACCESS_KEY"]
    files = [stack.folder / "state.json", *(stack.folder / "logs").iterdir()]
    assert [path.name for path in files if secret.encode() in path.read_bytes()] == []
    assert [one.pid for one in find_processes(stack.folder) if secret in " ".join(one.cmdline())] == []


def test_only_services_that_use_the_store_know_its_password(stack):
    knowing = {
        service
        for service in SERVICES - {"store-bucket"}
        if "AWS_SECRET_ACCESS_KEY" in psutil.Process(stack.pid(service)).environ()
    }
    assert knowing == {"mlflow", "prefect-worker", "dask-worker-1", "api"}


def test_the_api_answers_without_a_champion_and_takes_up_the_first_one_by_itself(stack):
    url = next(one.address for one in stack.state().services if one.name == "api")
    assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
    waiting = httpx.get(f"{url}/readyz")
    assert waiting.status_code == 503
    assert "champion" in waiting.json()["detail"]
    told = sourced(stack.folder / "stack.env")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            patch.setenv(name, told[name])
        store = open_store(told["STORE_URI"], S3Options(s3_endpoint_url=told["S3_ENDPOINT_URL"]))
        sample = write_store(store)
    wait_for(lambda: httpx.get(f"{url}/readyz").status_code == 200, seconds=60)
    # each of its processes looks by itself
    wait_for(lambda: httpx.get(f"{url}/v1/model").json().get("model_id") == sample.model_id, seconds=60)


def test_started_twice_it_says_so_and_nothing_is_doubled(stack):
    before = {one.pid for one in find_processes(stack.folder)}
    done = stack.run("up")
    assert done.returncode == 0
    assert "running already" in done.stdout
    assert {one.pid for one in find_processes(stack.folder)} == before


def test_everything_listens_on_loopback_only_and_sparks_master_on_its_two_ports(stack):
    doors = find_doors(find_processes(stack.folder))
    assert [one for one in doors if one.is_open] == []
    assert {one.port for one in doors} >= set(stack.ports)
    of_master = find_doors([psutil.Process(stack.pid("spark-master"))])
    assert {one.port for one in of_master} == {stack.port("spark"), stack.port("spark_ui")}


def test_only_their_owner_reads_what_services_keep(stack):
    paths = [path for path in stack.folder.parent.rglob("*") if not path.is_symlink()]
    assert {"prefect.db", "mlflow.db", "minio.log", "state.json", "format.json"} <= {path.name for path in paths}
    assert [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_folder_that_others_could_read_is_closed_to_them(tmp_path):
    stack = new_stack(tmp_path)
    stack.folder.mkdir(mode=0o755)
    stack.run("down")
    assert stat.S_IMODE(stack.folder.stat().st_mode) == 0o700


def test_pages_open_and_ask_nobody_but_the_stack(browser, stack):
    told = sourced(stack.folder / "stack.env")
    s3_client(told).put_object(Bucket="recommender", Key="a b/c/seen.txt", Body=b"content")
    folder = store_page("s3://recommender/a b", S3Options(s3_console_url=told["S3_CONSOLE_URL"]), "c/")
    assert folder
    context, asked = browser.new_context(), set()
    context.on("request", lambda request: asked.add(urlsplit(request.url).hostname))
    for service, sign in {
        "prefect-server": "text=Deployments",
        "mlflow": "text=Experiments",
        "dask-scheduler": "canvas",
        "spark-master": "text=Spark Master at",
        "spark-worker-1": "text=Spark Worker at",
    }.items():
        page = context.new_page()  # the others stay open, and may ask on
        page.goto(next(one.address for one in stack.state().services if one.name == service))
        page.locator(sign).first.wait_for(state="attached")
    page = context.new_page()
    page.goto(folder)
    page.fill("#accessKey", told["AWS_ACCESS_KEY_ID"])
    page.fill("#secretKey", told["AWS_SECRET_ACCESS_KEY"])
    page.click("button[type=submit]")
    page.locator("text=seen.txt").first.wait_for()
    assert asked - {None, ""} == {"127.0.0.1"}


def test_login_of_minio_is_named_and_not_shown(stack):
    said = stack.run("status").stdout
    assert f"MinIO's login is in {stack.folder.parent / 'minio.env'}" in " ".join(said.split())
    assert sourced(stack.folder / "stack.env")["AWS_SECRET_ACCESS_KEY"] not in said


def test_killed_services_are_started_again_and_those_that_need_them_find_them(stack):
    killed = {name: stack.pid(name) for name in ("dask-scheduler", "spark-master")}
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: stack.run("status").returncode == 1)
    wait_for(lambda: all(one.condition in ("healthy", "done") for one in stack.state().services))
    wait_for(lambda: stack.run("status").returncode == 0)
    restarts = {one.name: one.n_restarts for one in stack.state().services}
    assert all(restarts[name] == 1 and stack.pid(name) != pid for name, pid in killed.items())
    assert "dask-scheduler ended with exit code -9" in (stack.folder / "logs" / "supervisor.log").read_text()


def test_down_leaves_no_process_and_no_port_even_after_the_supervisor_and_a_service_were_killed(stack):
    everything = find_processes(stack.folder)
    assert set(listening(stack.ports)) == set(stack.ports)
    for pid in (stack.state().supervisor.pid, stack.pid("dask-worker-1")):
        os.kill(pid, signal.SIGKILL)
    orphaned = stack.run("status")
    assert orphaned.returncode == 1
    assert "supervisor does not run" in orphaned.stdout
    done = stack.run("down")
    assert done.returncode == 0, done.stderr
    assert [one for one in everything if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert find_processes(stack.folder) == []
    assert listening(stack.ports) == []
    assert not (stack.folder / "stack.env").exists()
    assert stack.run("status").returncode == 1
    assert "No stack runs" in stack.run("down").stdout


def test_port_in_use_is_one_line_that_names_the_setting_and_nothing_is_started(tmp_path):
    stack = new_stack(tmp_path)
    taken = subprocess.Popen(
        [sys.executable, "-m", "http.server", stack.variables["STACK_MLFLOW_PORT"], "--bind", "127.0.0.1"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert taken.stdout
        assert b"Serving" in taken.stdout.readline()
        done = stack.run("up")
    finally:
        taken.terminate()
        taken.communicate()
    assert done.returncode == 1
    assert f"mlflow cannot listen on port {stack.variables['STACK_MLFLOW_PORT']}, STACK_MLFLOW_PORT" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (stack.folder / "state.json").exists()
    assert not (tmp_path / "minio.env").exists()


def test_service_that_dies_at_its_start_shows_what_it_said_and_nothing_is_left_running(tmp_path):
    stack = new_stack(tmp_path)
    url = "postgresql+asyncpg://somebody:open-sesame@127.0.0.1:9/none"
    done = stack.run("up", STACK_PREFECT_DATABASE_URL=url)
    assert done.returncode == 1
    assert "prefect-server ended at its start" in done.stderr
    assert "prefect-server.log" in done.stderr
    assert "onnect" in done.stderr.split("prefect-server.log")[1]
    assert "Everything else has been stopped" in done.stderr
    assert "open-sesame" not in done.stderr + (stack.folder / "logs" / "supervisor.log").read_text()
    assert find_processes(stack.folder) == []
    assert listening(stack.ports) == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"STACK_PREFECT_PORT": "none"}, "STACK_PREFECT_PORT: "),
        (
            {"STACK_PREFECT_PORT": "4300", "STACK_MLFLOW_PORT": "4300"},
            "STACK_MLFLOW_PORT and STACK_PREFECT_PORT are both",
        ),
        ({"STACK_HOST": "localhost"}, "STACK_HOST: "),
    ],
)
def test_setting_that_does_not_fit_is_one_line(tmp_path, variables, message):
    done = new_stack(tmp_path).run("status", **variables)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "place", "why"),
    [
        ("STACK_FOLDER", "file/stack", "file: Not a directory"),
        ("STACK_FOLDER", "/proc/stack", "/proc: No such file"),
        ("STACK_MINIO_FOLDER", "file/minio", "file: Not a directory"),
        ("STACK_MINIO_FOLDER", "/proc/minio", "/proc: No such file"),
    ],
)
def test_place_that_cannot_be_written_to_is_one_line_and_nothing_is_started(tmp_path, variable, place, why):
    (tmp_path / "file").touch()
    done = new_stack(tmp_path).run("up", **{variable: str(tmp_path / place)})
    assert done.returncode == 2
    assert re.fullmatch(rf"{variable}: .*{place}\S* cannot be written to .*{why}.*expected.*\n", done.stderr)
    assert done.stdout == ""


def test_status_of_a_state_that_is_none_or_cannot_be_read_says_so_in_one_line(tmp_path):
    stack = new_stack(tmp_path)
    state = stack.folder / "state.json"
    state.mkdir(parents=True)
    done = stack.run("status")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert f"{state} cannot be read (Is a directory)" in done.stderr
    state.rmdir()
    state.write_text("{}")
    done = stack.run("status")
    assert done.returncode == 1
    assert f"{state} is no state of a stack" in done.stderr


def test_state_of_a_process_id_that_was_given_to_another_process_is_not_taken_for_the_supervisor(tmp_path):
    stack = new_stack(tmp_path)
    stack.folder.mkdir()
    identity = {"pid": os.getpid(), "began": 1.0}
    state = {"supervisor": identity, "phase": "running", "services": []}
    (stack.folder / "state.json").write_text(json.dumps(state))
    assert not stack.state().is_supervised
    assert stack.run("down").returncode == 0  # and this process, whose number it is, lives
