"""Which failures are worth another try: a server that did not answer, a process that died; never bad data."""

from typing import Any, TypedDict

from distributed.scheduler import KilledWorker
from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from py4j.protocol import Py4JNetworkError

TRANSIENT = (ConnectionError, TimeoutError, KilledWorker, Py4JNetworkError)


def is_transient(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed task may succeed when it is run again."""
    return isinstance(state.result(raise_on_failure=False), TRANSIENT)


class Retries(TypedDict):
    """The keyword arguments of ``task`` that say how it is retried."""

    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Any


NETWORK_RETRIES = Retries(retries=4, retry_delay_seconds=[1.0, 4.0, 15.0, 60.0], retry_condition_fn=is_transient)
COMPUTE_RETRIES = Retries(retries=2, retry_delay_seconds=[1.0, 10.0], retry_condition_fn=is_transient)
