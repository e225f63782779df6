"""What prefect.yaml says is registered with a real server and run by a real worker: by hand, and by a schedule."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Cancelling, Failed, Pending, Running
from receiver import receiving, status
from servers import RefusingProxy

from deployments.register import AUTOMATION, HEARTBEAT, make_automation
from deployments.stack.placement import PREFECT_SERVER, PREFECT_WORKER, place_on_this_machine
from deployments.stack.services import services
from deployments.stack.settings import StackSettings
from deployments.stack.supervisor import Supervisor
from deployments.stack.worker import end_cut_off_runs
from flows import evaluate, explore, ingest, promote, recommend, train
from flows.child_server import free_port
from flows.promote import REFUSED
from flows.settings import Environment, Settings, flat_fields, flat_values
from reviews.options import SampleOptions
from reviews.sample import SampleFiles, write_sample
from schema.proxies import keep_loopback_direct
from storage import layout

ROOT = Path(__file__).parents[2]
NAMES = {
    *("ingest/on-demand", "train/nightly", "train/full-search", "evaluate/on-demand", "recommend/hourly"),
    *("promote/daily", "explore/on-demand"),
}
SCHEDULES = {
    "train/nightly": "0 2 * * *",
    "train/full-search": "0 4 * * 0",
    "recommend/hourly": "15 * * * *",
    "promote/daily": "0 7 * * *",
}
STAGES = {
    "ingest": ingest,
    "explore": explore,
    "train": train,
    "evaluate": evaluate,
    "recommend": recommend,
    "promote": promote,
}

pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True)
class Office:
    """A Prefect server with a scheduler, a worker that polls it, and the folder where what it runs keeps things."""

    url: str
    folder: Path
    environment: dict[str, str]

    def prefect(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of Prefect's as a user would."""
        return self.run("prefect", "--no-prompt", *arguments)

    def run(self, module: str, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a module of Python as a user would."""
        command = [sys.executable, "-m", module, *arguments]
        environment = {**self.environment, **more}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleFiles:
    return write_sample(tmp_path_factory.mktemp("sample"), SampleOptions(n_users=200, n_items=80))


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def office(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch_module: pytest.MonkeyPatch,
    refusing_proxy: RefusingProxy,
) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    settings = StackSettings(folder=folder, prefect_port=free_port(), prefect_worker_port=free_port())
    by_name = {one.name: one for one in services(place_on_this_machine(settings))}
    url = by_name[PREFECT_WORKER].environment["PREFECT_API_URL"]
    environment = {"PREFECT_HOME": str(folder / "home"), "PREFECT_API_URL": url, "DO_NOT_TRACK": "1"}
    places = {"STORE_URI": str(folder / "store"), "WORK_DIR": str(folder / "work"), "ENVIRONMENT": "office"}
    polling = {"PREFECT_WORKER_QUERY_SECONDS": "2", "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5"}
    server, worker = by_name[PREFECT_SERVER], by_name[PREFECT_WORKER]
    listening = {n: v for n, v in worker.environment.items() if n.startswith("PREFECT_WORKER_WEBSERVER")}
    kept = [
        replace(server, environment={**server.environment, **polling}),
        replace(
            worker, environment=environment | places | polling | listening, depends_on=(PREFECT_SERVER,), secrets=()
        ),
    ]
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "DASK_", "STORE_", "SPARK_"))]:
        monkeypatch_module.delenv(name)
    for name, value in refusing_proxy.variables.items():
        monkeypatch_module.setenv(name, value)
    keep_loopback_direct()  # as make up does, whose environment the worker has
    supervisor = Supervisor(kept, folder, secrets={})
    try:
        supervisor.start()
        with temporary_settings({PREFECT_API_URL: url}):
            yield Office(url, folder, {**os.environ, **environment, **places})
    finally:
        supervisor.stop()


@pytest.fixture(scope="module")
def client(office: Office) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def registered(office: Office, client: SyncPrefectClient) -> dict[str, DeploymentResponse]:
    """Every deployment of prefect.yaml by its name, registered with one command, twice."""
    first = office.run("deployments.register", no_proxy="", NO_PROXY="")  # which it has to set for itself
    assert first.returncode == 0, first.stdout + first.stderr
    again = office.run("deployments.register")
    assert again.returncode == 0, again.stdout + again.stderr
    assert [name for name in NAMES if name not in again.stdout] == []
    flows = {flow.id: flow.name for flow in client.read_flows()}
    return {f"{flows[one.flow_id]}/{one.name}": one for one in client.read_deployments()}


def wait_for_end(client: SyncPrefectClient, find: Callable[[], FlowRun | None], seconds: float = 600) -> FlowRun:
    """Return a flow run when it has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run = find()
        if run and run.state and run.state.is_final():
            return run
        threading.Event().wait(0.2)
    raise AssertionError("the flow run did not end")


def test_every_deployment_is_there_with_its_schedule_queue_and_limit(registered, client):
    assert set(registered) == NAMES
    schedules = {name: one.schedules[0].schedule for name, one in registered.items() if one.schedules}
    assert {name: one.cron for name, one in schedules.items() if isinstance(one, CronSchedule)} == SCHEDULES
    assert {one.timezone for one in schedules.values()} == {"UTC"}
    assert {one.work_pool_name for one in registered.values()} == {"recommender"}
    for name in ("train/nightly", "train/full-search"):
        limit = registered[name].global_concurrency_limit
        assert registered[name].work_queue_name == "training"
        assert limit
        assert limit.limit == 1
    assert client.read_work_pool("recommender").type == "process"
    queue = client.read_work_queue_by_name("training", work_pool_name="recommender")
    assert queue.concurrency_limit == 1
    assert all(one.description and one.tags for one in registered.values())


def leaves(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        yield from leaves(value) if isinstance(value, dict) else [(name, value)]


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_parameters_are_groups_of_options_that_are_described_and_have_the_defaults_of_the_settings(registered, stage):
    schema = next(one.parameter_openapi_schema for name, one in registered.items() if name.startswith(f"{stage}/"))
    groups: dict[str, dict[str, Any]] = schema["properties"]
    assert groups
    defaults = flat_values(Settings())
    for name, value in leaves({name: group["default"] for name, group in groups.items()}):
        assert value == defaults[name]
    for definition in schema["definitions"].values():
        assert not any({"type": "null"} in one.get("anyOf", ()) for one in definition.get("properties", {}).values())
        for name, shown in definition.get("properties", {}).items():
            field = flat_fields(Settings).get(name)
            assert field is None or shown["description"] == field.description


def test_places_addresses_and_secrets_are_no_parameters(registered):
    schemas = [one.parameter_openapi_schema for one in registered.values()]
    assert not {name for schema in schemas for name in schema["properties"]} & set(Environment.model_fields)
    fields = {name for one in schemas for group in one["definitions"].values() for name in group.get("properties", ())}
    assert not fields & set(flat_fields(Environment))


def test_unknown_parameter_and_value_that_does_not_fit_are_refused_before_anything_runs(office, registered):
    for parameter in ("no_such_thing=1", 'dataset={"min_interactions": 0}', 'places={"store_uri": "elsewhere"}'):
        done = office.prefect("deployment", "run", "ingest/on-demand", "--param", parameter)
        assert done.returncode != 0
        assert parameter.split("=")[0] in done.stdout + done.stderr


def test_deployment_runs_in_one_flow_run_with_its_parameters_in_the_environment_of_the_worker(
    office, client, registered, sample
):
    deployment = registered["ingest/on-demand"]
    chosen = {"reviews": {"input_reviews": str(sample.reviews)}, "dataset": {"min_interactions": 3}}
    parameters = [word for name, group in chosen.items() for word in ("--param", f"{name}={json.dumps(group)}")]
    started = office.prefect("deployment", "run", "ingest/on-demand", *parameters)
    assert started.returncode == 0, started.stdout + started.stderr
    run = wait_for_end(client, lambda: next(iter(runs_of(client, deployment.id)), None))
    assert run.state
    assert run.state.is_completed(), run.state.message
    assert run.name == f"ingest {sample.reviews.name}"
    assert set(run.tags) == {"ingest", "office"}, "those of the deployment, and the environment of the worker"
    assert run.parameters["dataset"]["min_interactions"] == 3
    own = [one for one in client.read_flow_runs() if one.start_time and one.deployment_id in (None, deployment.id)]
    assert [one.id for one in own] == [run.id]
    manifest = next((office.folder / "store" / layout.DATASETS).glob("*/manifest.json"))
    assert json.loads(manifest.read_text())["parameters"]["min_interactions"] == 3
    task_runs = client.read_task_runs()
    assert any(one.name.startswith("build dataset") for one in task_runs)
    assert not any(one.tags for one in task_runs), "each tag would be asked for a place before a task starts"


def test_no_request_goes_to_the_proxy_that_the_environment_names(office, registered, refusing_proxy):
    assert refusing_proxy.requests == []


def test_failure_shows_as_failed_with_what_was_wrong(office, client, registered):
    deployment = registered["ingest/on-demand"]
    known = {one.id for one in runs_of(client, deployment.id)}
    office.prefect("deployment", "run", "ingest/on-demand", "--param", 'reviews={"input_reviews": "/nowhere.json"}')
    run = wait_for_end(
        client, lambda: next((one for one in runs_of(client, deployment.id) if one.id not in known), None)
    )
    assert run.state
    assert run.state.is_failed()
    assert "/nowhere.json" in str(run.state.message)
    said = (office.folder / "logs" / f"{PREFECT_WORKER}.log").read_text()
    errors = [line for line in said.splitlines() if " | ERROR " in line and str(run.id)[:8] in line]
    assert any("/nowhere.json" in line for line in errors)
    assert "Traceback" not in said


def running(client: SyncPrefectClient, deployment: DeploymentResponse, state: State[Any], worker: str) -> FlowRun:
    """Return a run that a worker of that name has in that state."""
    run = client.create_flow_run_from_deployment(deployment.id, state=state)
    client.update_flow_run_labels(run.id, {"prefect.worker.name": worker})
    return run


def state_of(client: SyncPrefectClient, run: FlowRun) -> str:
    state = client.read_flow_run(run.id).state
    assert state
    return state.name


def test_runs_that_a_worker_left_behind_get_their_end_when_it_starts_again_and_are_told_of(
    client, registered, monkeypatch
):
    deployment = registered["train/nightly"]
    cut_off = running(client, deployment, Running(), PREFECT_WORKER)
    pending = running(client, deployment, Pending(), PREFECT_WORKER)
    cancelled = running(client, deployment, Cancelling(), PREFECT_WORKER)
    elsewhere = running(client, deployment, Running(), "another")
    with receiving(status(200)) as (url, notices):
        monkeypatch.setenv("NOTICE_WEBHOOK_URL", url)
        ended = end_cut_off_runs(client)
    assert {one.id for one in ended} == {cut_off.id, pending.id, cancelled.id}
    states = [state_of(client, one) for one in (cut_off, pending, cancelled, elsewhere)]
    assert states == ["Crashed", "Crashed", "Cancelled", "Running"]
    assert {(one["flow"], one["event"], one["flow_run_id"]) for one in notices} == {
        ("train", "flow_crashed", str(cut_off.id)),
        ("train", "flow_crashed", str(pending.id)),
    }
    assert "run again, it goes on from what is done" in notices[0]["message"]
    client.set_flow_run_state(elsewhere.id, Cancelled(), force=True)


def send_heartbeat(office: Office, run: FlowRun) -> None:
    """Send what a run sends, to this very server: Prefect's own sender stays with the server that it first spoke to."""
    resource = {"prefect.resource.id": f"prefect.flow-run.{run.id}"}
    event = {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": HEARTBEAT, "resource": resource}
    httpx.post(f"{office.url}/events", json=[event]).raise_for_status()


def test_run_that_falls_silent_is_taken_for_crashed_and_one_that_ended_is_not(office, client, registered):
    assert len(client.read_automations_by_name(AUTOMATION)) == 1
    make_automation(client, silence=timedelta(seconds=10))
    try:
        silent, ended = (running(client, registered["train/nightly"], Running(), "another") for _ in range(2))
        for run in (silent, ended):
            send_heartbeat(office, run)
        client.set_flow_run_state(ended.id, Failed(name=REFUSED), force=True)
        wait_for_end(client, lambda: client.read_flow_run(silent.id), seconds=120)
        assert [state_of(client, one) for one in (silent, ended)] == ["Crashed", REFUSED]
    finally:
        make_automation(client)


def test_schedule_fires_by_itself(client, registered, sample):
    deployment = registered["ingest/on-demand"]
    schedule = IntervalSchedule(interval=timedelta(minutes=1), anchor_date=datetime.now(UTC), timezone="UTC")
    parameters = {"reviews": {"input_reviews": str(sample.reviews)}, "dataset": {"min_interactions": 4}}
    [made] = client.create_deployment_schedules(deployment.id, [_scheduled(schedule, parameters)])
    try:
        run = wait_for_end(client, lambda: _first_by_itself(client, deployment.id))
    finally:
        client.delete_deployment_schedule(deployment.id, made.id)
    assert run.state
    assert run.state.is_completed(), run.state.message
    assert run.parameters["dataset"]["min_interactions"] == 4


def _scheduled(schedule: IntervalSchedule, parameters: dict[str, Any]) -> DeploymentScheduleCreate:
    return DeploymentScheduleCreate(schedule=schedule, active=True, parameters=parameters)


def _first_by_itself(client: SyncPrefectClient, deployment: UUID) -> FlowRun | None:
    return next((one for one in runs_of(client, deployment) if one.auto_scheduled and one.start_time), None)


def runs_of(client: SyncPrefectClient, deployment: UUID) -> list[FlowRun]:
    of_deployment = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
    return client.read_flow_runs(flow_run_filter=of_deployment)
