"""How tasks run: which failures are retried, and how the progress of long work is shown."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict
from uuid import UUID

from distributed.scheduler import KilledWorker
from prefect import Task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext, TaskRunContext
from py4j.protocol import Py4JNetworkError
from tqdm import tqdm

TRANSIENT = (ConnectionError, TimeoutError, KilledWorker, Py4JNetworkError)
UPDATE_SECONDS = 2.0

Advance = Callable[[int, int | None], None]


def is_transient(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed task may succeed on another try: a server did not answer or a process died."""
    return isinstance(state.result(raise_on_failure=False), TRANSIENT)


class Retries(TypedDict):
    """The keyword arguments of ``task`` that say how it is retried."""

    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Any


NETWORK_RETRIES = Retries(retries=4, retry_delay_seconds=[1.0, 4.0, 15.0, 60.0], retry_condition_fn=is_transient)
COMPUTE_RETRIES = Retries(retries=2, retry_delay_seconds=[1.0, 10.0], retry_condition_fn=is_transient)


@contextmanager
def progress(title: str, *, key: str, unit: str) -> Iterator[Advance]:
    """Yield a function to call with (done so far, total or None).

    Shows a bar on a terminal and, inside a Prefect task or flow, a progress artifact.

    Args:
        title: The work, for people.
        key: Key of the artifact, which begins with ``progress-`` on the page: lower-case letters, digits and dashes.
        unit: What is counted; ``B`` is shown in powers of 1024.
    """
    artifact = _Artifact(key, title)
    with tqdm(
        desc=title,
        unit=unit,
        unit_scale=unit == "B",
        unit_divisor=1024,
        leave=False,
        disable=not sys.stderr.isatty(),
    ) as bar:

        def advance(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)
            artifact.show(done, total)

        yield advance
        artifact.finish()


class _Artifact:
    """A progress artifact of the running task or flow, updated at most every few seconds."""

    def __init__(self, key: str, title: str) -> None:
        self._title = title
        self._shown_at = time.monotonic()
        self._n_done = 0
        self._id: UUID | None = None
        if TaskRunContext.get() or FlowRunContext.get():
            made: Any = create_progress_artifact(0.0, key=f"progress-{key}", description=title)
            self._id = made

    def show(self, done: int, total: int | None) -> None:
        """Show how far the work is: as a share where the total is known, in words either way."""
        self._n_done = done
        now = time.monotonic()
        if now - self._shown_at >= UPDATE_SECONDS:
            self._shown_at = now
            self._update(100.0 * min(done, total) / total if total else 0.0)

    def finish(self) -> None:
        """Show that the work is done."""
        self._update(100.0)

    def _update(self, percent: float) -> None:
        if self._id is not None:
            update_progress_artifact(self._id, percent, description=f"{self._title}: {self._n_done:,} done")
