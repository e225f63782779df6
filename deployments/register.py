"""Register the deployments of prefect.yaml with the Prefect server, and show what is there.

    python -m deployments.register

The work pool, and in it the queue of trainings that lets one through at a time, are made if they are missing.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL

from deployments.stack.placement import HEARTBEAT_SECONDS, WORK_POOL
from flows.child_server import PRIVATE
from flows.form import shorten
from flows.promote import REFUSED
from reports.tables import stdout, table_of, text
from schema.errors import InvalidInput, RecommenderError, Unavailable
from schema.proxies import keep_loopback_direct, proxy_before
from tasks.addresses import health_problem, hide_user

ROOT = Path(__file__).parents[1]
DONE, FAILED = 0, 1
TRAINING_QUEUE = "training"
AUTOMATION = "runs that fell silent have crashed"
HEARTBEAT = "prefect.flow-run.heartbeat"
ENDS = ("Completed", "Failed", "TimedOut", REFUSED, "Cancelled", "Crashed")  # names of the states that a run ends in
SILENCE = timedelta(seconds=10 * HEARTBEAT_SECONDS)  # no busy server, or one that starts again, is so slow


def main() -> int:
    """Register all deployments; return 0 if that was possible, else 1."""
    keep_loopback_direct()
    try:
        require_api()
        with get_client(sync_client=True) as client:
            make_work_pool(client)
            make_automation(client)
            deploy_all()
            shorten_forms(client)
            show(client)
    except RecommenderError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    return DONE


def require_api() -> None:
    """Check that the Prefect server answers.

    Raises:
        InvalidInput: If none is set.
        Unavailable: If it does not answer.
    """
    url = PREFECT_API_URL.value()
    if not url:
        raise InvalidInput(
            "PREFECT_API_URL is not set, so there is no server to register deployments with. "
            "Start the stack with 'make up', type 'source data/stack/stack.env', and try again."
        )
    if problem := health_problem(url):
        raise Unavailable(
            f"The Prefect API {problem}: PREFECT_API_URL is {hide_user(url)!r}. "
            f"Start it with 'make up'.{proxy_before(url)}"
        )


def make_work_pool(client: SyncPrefectClient) -> None:
    """Make the work pool, of processes, and its queue of trainings, where they are missing."""
    with suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process", description="Flows as processes"))
    with suppress(ObjectAlreadyExists):
        client.create_work_queue(
            TRAINING_QUEUE,
            description="Trainings, one after the other",
            concurrency_limit=1,
            work_pool_name=WORK_POOL,
        )


def make_automation(client: SyncPrefectClient, silence: timedelta = SILENCE) -> None:
    """Make an automation that ends a run as Crashed when its heartbeats stop before it has ended; replace an old one.

    Args:
        client: Of the server.
        silence: How long nothing may be heard of a run that has been heard of, 10 s or more.
    """
    trigger = EventTrigger(
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        for_each={"prefect.resource.id"},
        after={HEARTBEAT},
        expect={HEARTBEAT, *(f"prefect.flow-run.{name}" for name in ENDS)},
        posture=Posture.Proactive,
        threshold=1,
        within=silence,
    )
    crash = ChangeFlowRunState(
        state=StateType.CRASHED, name="Crashed", message=f"Nothing was heard of it for {silence}."
    )
    why = "A run whose process or machine is gone would stay Running for ever, and keep its place in the queue."
    automation = AutomationCore(name=AUTOMATION, description=why, trigger=trigger, actions=[crash])
    for found in client.read_automations_by_name(AUTOMATION):
        client.delete_automation(found.id)
    client.create_automation(automation)


def deploy_all() -> None:
    """Register every deployment of prefect.yaml, to run in this folder.

    Raises:
        InvalidInput: If Prefect refuses one; with what it said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=ROOT,
        env={**os.environ, "DO_NOT_TRACK": PRIVATE["DO_NOT_TRACK"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or "failed" in done.stdout.lower():
        raise InvalidInput(f"Prefect did not take all of {ROOT / 'prefect.yaml'}. It said:\n{done.stdout}{done.stderr}")


def shorten_forms(client: SyncPrefectClient) -> None:
    """Leave on the form of each deployment what people change first."""
    for one in client.read_deployments():
        if one.work_pool_name == WORK_POOL and one.parameter_openapi_schema:
            form = shorten(one.parameter_openapi_schema)
            client.update_deployment(one.id, DeploymentUpdate(parameter_openapi_schema=form))


def show(client: SyncPrefectClient) -> None:
    """Print every deployment of the work pool."""
    table = table_of("deployment", "schedule", "queue", "to run it now")
    flows = {flow.id: flow.name for flow in client.read_flows()}
    for one in sorted(client.read_deployments(), key=lambda one: (flows[one.flow_id], one.name)):
        if one.work_pool_name == WORK_POOL:
            name = f"{flows[one.flow_id]}/{one.name}"
            command = f"prefect deployment run '{name}'"
            table.add_row(*map(text, (name, ", ".join(_schedules(one)) or "none", str(one.work_queue_name), command)))
    stdout().print(table)


def _schedules(deployment: DeploymentResponse) -> Iterable[str]:
    for one in deployment.schedules:
        shown = getattr(one.schedule, "cron", None) or getattr(one.schedule, "interval", None)
        yield f"{shown} {getattr(one.schedule, 'timezone', '')}{'' if one.active else ' (paused)'}"


if __name__ == "__main__":
    sys.exit(main())
