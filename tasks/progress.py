"""Progress of long work, in the terminal and in the Prefect UI at once."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext, TaskRunContext
from tqdm import tqdm

UPDATE_SECONDS = 2.0

Advance = Callable[[int, int | None], None]


class _Artifact:
    """A progress artifact of the running task or flow, updated at most every few seconds."""

    def __init__(self, key: str, title: str) -> None:
        self.title = title
        self.shown_at = time.monotonic()
        self.artifact: UUID | None = None
        if TaskRunContext.get() or FlowRunContext.get():
            self.artifact = cast(UUID, create_progress_artifact(0.0, key=f"progress-{key}", description=title))

    def show(self, done: int, total: int | None) -> None:
        """Show how far the work is: as a share where the total is known, in words either way."""
        now = time.monotonic()
        if self.artifact is None or now - self.shown_at < UPDATE_SECONDS:
            return
        self.shown_at = now
        share = 100.0 * min(done, total) / total if total else 0.0
        update_progress_artifact(self.artifact, share, description=f"{self.title}: {done:,} done")

    def finish(self, done: int) -> None:
        """Show that the work is done."""
        if self.artifact is not None:
            update_progress_artifact(self.artifact, 100.0, description=f"{self.title}: {done:,} done")


@contextmanager
def progress(title: str, *, key: str, unit: str) -> Iterator[Advance]:
    """Yield a function to call with (done so far, total or None).

    Shows a bar on a terminal and, inside a Prefect task or flow, a progress artifact.

    Args:
        title: What is going on, for people.
        key: Key of the artifact, which begins with ``progress-`` on the page: lower-case letters, digits and dashes.
        unit: What is counted; ``B`` is shown in powers of 1024.
    """
    artifact = _Artifact(key, title)
    n_done = 0
    with tqdm(
        desc=title,
        unit=unit,
        unit_scale=unit == "B",
        unit_divisor=1024,
        leave=False,
        disable=not sys.stderr.isatty(),
    ) as bar:

        def advance(done: int, total: int | None) -> None:
            nonlocal n_done
            n_done = done
            bar.total = total
            bar.update(done - bar.n)
            artifact.show(done, total)

        yield advance
        artifact.finish(n_done)
