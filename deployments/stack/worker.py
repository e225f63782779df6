"""Run the Prefect worker, after ending the runs that an earlier one left unfinished.

    python -m deployments.stack.worker start --pool NAME …

A worker whose process was killed, or whose machine went down, leaves runs behind that nobody watches any more: they
would stay Running for ever, and keep their place in the queue and in the limit of their deployment. When this one
starts, all processes of that one are gone. So its runs are set to Crashed, and notices of them are posted.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import httpx
from loguru import logger
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import PrefectException
from prefect.states import Cancelled, Crashed

from deployments.stack.placement import PREFECT_WORKER, WORK_POOL
from flows.notices import send_notice
from flows.tracked_end import end_tracked_runs

WORKER_LABEL = "prefect.worker.name"
UNFINISHED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
WHY = "The worker that ran it, or its machine, went down before it had ended; run again, it goes on from what is done."


def main(arguments: Sequence[str] | None = None) -> None:
    """End the runs that were cut off, and become ``prefect worker`` with the arguments of this program."""
    try:
        with get_client(sync_client=True) as client:
            for run in end_cut_off_runs(client):
                logger.warning("Flow run {} ({}) was cut off: {}", run.name, run.id, WHY)
    except (httpx.HTTPError, PrefectException) as error:
        logger.warning("Cut-off runs could not be looked for ({}); their missing heartbeats will end them", error)
    given = sys.argv[1:] if arguments is None else arguments
    os.execv(sys.executable, [sys.executable, "-m", "prefect", "--no-prompt", "worker", *given])  # noqa: S606


def end_cut_off_runs(client: SyncPrefectClient) -> list[FlowRun]:
    """End the unfinished runs of earlier workers of this name, post notices of them, and return them.

    A run that was being cancelled becomes Cancelled, any other Crashed. Runs of workers of other names are left alone.
    """
    unfinished = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED))),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[WORK_POOL])),
    )
    cut_off = [run for run in unfinished if run.labels.get(WORKER_LABEL, PREFECT_WORKER) == PREFECT_WORKER]
    for run in cut_off:
        _end(client, run)
    return cut_off


def _end(client: SyncPrefectClient, run: FlowRun) -> None:
    flow: Flow[..., Any] = Flow(_nothing, name=client.read_flow(run.flow_id).name)
    is_cancelled = run.state_type == StateType.CANCELLING
    state: State[Any] = Cancelled(message=WHY) if is_cancelled else Crashed(message=WHY)
    client.set_flow_run_state(run.id, state, force=True)
    end_tracked_runs(flow, run, state)
    if is_cancelled:
        return
    send_notice(flow, run, state)
    for task_run in client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])),
        task_run_filter=TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=UNFINISHED))),
    ):
        client.set_task_run_state(task_run.id, Crashed(message=WHY), force=True)


def _nothing() -> None:
    """Stand for the body of a flow, of which only the name is known here."""


if __name__ == "__main__":
    main()
