"""End the MLflow runs of a flow run that failed, crashed or was cancelled, by a hook of every flow that has such runs.

The hook runs in whichever process sees the end of the run: that of the run itself or, where that was killed, that of
the Prefect worker.
"""

import logging
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging.loggers import flow_run_logger
from pydantic import BaseModel

from flows.settings import read
from schema.errors import Unavailable
from tasks.options import TrackingOptions


class _Tracking(BaseModel):
    """Where runs are tracked; a broken setting elsewhere must not leave one running."""

    tracking: TrackingOptions = TrackingOptions()


def end_tracked_runs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Set what the run left running in MLflow to FAILED, or where it was cut off to KILLED.

    Where MLflow does not answer, that is logged: the next training ends the runs of processes that are gone. The names
    of the parameters are Prefect's: a worker calls hooks by them.
    """
    from tasks.tracking_client import end_runs_of

    status = "FAILED" if state.is_failed() else "KILLED"
    log = flow_run_logger(flow_run, flow).log
    try:
        n_ended = end_runs_of(read(_Tracking, is_strict=False).tracking, str(flow_run.id), status)
    except Unavailable as error:
        is_told = str(error) in str(state.message)  # it is why the run failed
        log(
            logging.INFO if is_told else logging.WARNING,
            "Runs in MLflow may show RUNNING until the next training: %s",
            error,
        )
        return
    if n_ended:
        log(logging.INFO, "%s run(s) in MLflow set to %s", n_ended, status)
