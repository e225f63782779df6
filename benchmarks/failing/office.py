"""Trainings that a stack's worker runs: started, watched to a step of theirs, and followed to their end."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, StateType, TaskRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings

from benchmarks.failing.own_stack import LOOK_SECONDS
from schema.errors import Unavailable

DEPLOYMENT = "train/nightly"
AWAY = (httpx.HTTPError, PrefectHTTPStatusError)  # what a client meets of a server that is away


@dataclass(frozen=True)
class Office:
    """Where trainings are ordered.

    Attributes:
        client: Of the stack's Prefect server.
        parameters: Of each training.
    """

    client: SyncPrefectClient
    parameters: Mapping[str, Any]

    def start(self) -> UUID:
        """Order a training and return the id of its run."""
        deployment = self.client.read_deployment_by_name(DEPLOYMENT)
        run = self.client.create_flow_run_from_deployment(deployment.id, parameters=dict(self.parameters))
        return run.id

    def wait_for_step(self, run_id: UUID, step: str, seconds: float) -> FlowRun:
        """Return a run when a task of it runs whose name begins so.

        Raises:
            Unavailable: If it ends before, or does not come there in time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            run = self.client.read_flow_run(run_id)
            if any(one.name.startswith(step) and one.state_type == StateType.RUNNING for one in self._tasks(run_id)):
                return run
            if run.state and run.state.is_final():
                raise Unavailable(f"the training ended ({run.state.name}: {run.state.message}) without {step!r}")
            time.sleep(LOOK_SECONDS)
        raise Unavailable(f"the training did not come to {step!r} in {seconds:.0f} s")

    def wait_for_end(self, run_id: UUID, seconds: float) -> FlowRun | None:
        """Return a run when it has ended, None if it has not in time; a server that is away is asked again."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                run = self.client.read_flow_run(run_id)
            except AWAY:
                run = None
            if run and run.state and run.state.is_final():
                return run
            time.sleep(LOOK_SECONDS)
        return None

    def _tasks(self, run_id: UUID) -> list[TaskRun]:
        return self.client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))


@contextmanager
def open_office(api_url: str, parameters: Mapping[str, Any]) -> Iterator[Office]:
    """Yield the office at a Prefect server, whose deployments are registered."""
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        yield Office(client, parameters)
