"""The supervisor: starts services in the order that they depend on each other, restarts those that die, stops all."""

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loguru import logger

from deployments.stack.family import end_children, end_family
from deployments.stack.health import first_problem
from deployments.stack.launching import last_lines, launch, log_of
from deployments.stack.service import Service
from deployments.stack.state import Condition, ProcessIdentity, ServiceState
from schema.errors import InvalidInput, Unavailable

START_TIMEOUT_SECONDS = 300.0
STOP_GRACE_SECONDS = 10.0
CHILDREN_GRACE_SECONDS = 30.0  # a run closes Spark and tells the server
LOOK_SECONDS = 0.25
FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 1.0, 60.0
STEADY_SECONDS = 60.0  # what ran so long before it died is started again after the first, shortest pause

UP = ("healthy", "done")


@dataclass
class _Kept:
    """A service and what becomes of it."""

    service: Service
    process: "subprocess.Popen[bytes] | None" = None
    condition: Condition = "waiting"
    identity: ProcessIdentity | None = None
    n_restarts: int = 0
    backoff_seconds: float = FIRST_BACKOFF_SECONDS
    launched_at: float = 0.0
    again_at: float = field(default=0.0)


class Keeper:
    """Owner of the processes of a stack.

    Args:
        services: What is kept, in the order of starting.
        folder: The stack's folder.
        secrets: Values of the variables that services name as secrets.
        tell: Called with the state of all services whenever it has changed.
    """

    def __init__(
        self,
        services: Sequence[Service],
        folder: Path,
        secrets: Mapping[str, str],
        tell: Callable[[tuple[ServiceState, ...]], None],
    ) -> None:
        self._kept = [_Kept(service) for service in services]
        self._folder = folder
        self._secrets = secrets
        self._tell = tell
        self._stop = threading.Event()

    def ask_to_stop(self) -> None:
        """Have `start` and `watch` return soon; may be called from a signal handler."""
        self._stop.set()

    @property
    def is_to_stop(self) -> bool:
        """Whether it was asked to."""
        return self._stop.is_set()

    def start(self) -> None:
        """Start every service as soon as those that it depends on can be used.

        Raises:
            Unavailable: If one dies or cannot be used within START_TIMEOUT_SECONDS; with what it said last.
            InvalidInput: If a program is not installed.
        """
        while not all(kept.condition in UP for kept in self._kept):
            for kept in self._kept:
                self._bring_on(kept)
            if self._stop.wait(LOOK_SECONDS):
                return

    def watch(self) -> None:
        """Start again what dies, each time after a longer pause, until it is asked to stop."""
        while not self._stop.wait(LOOK_SECONDS):
            for kept in self._kept:
                self._look_after(kept)

    def stop(self) -> None:
        """Stop every service and all that it started, in reverse order."""
        for kept in reversed(self._kept):
            if kept.process is None:
                continue
            if kept.service.ends_children_first:
                end_children(kept.process.pid, CHILDREN_GRACE_SECONDS)
            kept.process.terminate()
            try:
                kept.process.wait(STOP_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("{} did not end within {:.0f} s", kept.service.name, STOP_GRACE_SECONDS)
            end_family(self._folder, kept.service.name)
            kept.process.wait()
            logger.info("{} is stopped", kept.service.name)

    def states(self) -> tuple[ServiceState, ...]:
        """Return what is known of each service."""
        return tuple(
            ServiceState(
                name=kept.service.name,
                address=kept.service.address,
                log=str(log_of(self._folder, kept.service.name)),
                checks=kept.service.checks,
                condition=kept.condition,
                process=kept.identity,
                n_restarts=kept.n_restarts,
            )
            for kept in self._kept
        )

    def _launch(self, kept: _Kept) -> None:
        kept.process = launch(kept.service, self._folder, self._secrets)
        kept.identity = ProcessIdentity.of(kept.process.pid)
        kept.launched_at = time.monotonic()
        self._turn(kept, "starting")

    def _bring_on(self, kept: _Kept) -> None:
        if kept.condition == "waiting" and self._can_start(kept.service):
            self._launch(kept)
        elif kept.condition == "starting" and not self._has_come_up(kept):
            name, exit_code = kept.service.name, self._exit_code(kept)
            if exit_code is not None:
                raise self._unavailable(name, f"ended at its start, with exit code {exit_code}")
            if self._age_seconds(kept) > START_TIMEOUT_SECONDS:
                raise self._unavailable(name, f"cannot be used after {START_TIMEOUT_SECONDS:.0f} s")

    def _can_start(self, service: Service) -> bool:
        return {kept.service.name for kept in self._kept if kept.condition in UP} >= set(service.depends_on)

    def _has_come_up(self, kept: _Kept) -> bool:
        """Look whether a service can be used by now or a job is done, and note it if so."""
        exit_code = self._exit_code(kept)
        if kept.service.is_job:
            is_up = exit_code == 0
        else:
            is_up = exit_code is None and first_problem(kept.service.checks) is None
        if is_up:
            self._turn(kept, "done" if kept.service.is_job else "healthy")
            logger.info("{} is {} after {:.1f} s", kept.service.name, kept.condition, self._age_seconds(kept))
        return is_up

    def _look_after(self, kept: _Kept) -> None:
        if kept.condition == "restarting":
            if time.monotonic() >= kept.again_at:
                self._launch_again(kept)
        elif kept.condition != "done" and self._exit_code(kept) is not None:
            self._plan_restart(kept)
        elif kept.condition == "starting":
            self._has_come_up(kept)

    def _launch_again(self, kept: _Kept) -> None:
        """Start a service anew; where the machine does not let it now, as without memory or disk, later."""
        try:
            self._launch(kept)
        except (OSError, InvalidInput) as error:
            kept.again_at = time.monotonic() + kept.backoff_seconds
            pause = kept.backoff_seconds
            logger.warning("{} cannot be started ({}); tried again in {:.0f} s", kept.service.name, error, pause)
            kept.backoff_seconds = min(2 * kept.backoff_seconds, MOST_BACKOFF_SECONDS)

    def _plan_restart(self, kept: _Kept) -> None:
        name = kept.service.name
        end_family(self._folder, name)
        if self._age_seconds(kept) > STEADY_SECONDS:
            kept.backoff_seconds = FIRST_BACKOFF_SECONDS
        kept.again_at = time.monotonic() + kept.backoff_seconds
        kept.n_restarts += 1
        logger.warning(
            "{} ended with exit code {}; it is started again in {:.0f} s (restart {}). It said last: {}",
            *(name, self._exit_code(kept), kept.backoff_seconds, kept.n_restarts, self._said(name)),
        )
        kept.backoff_seconds = min(2 * kept.backoff_seconds, MOST_BACKOFF_SECONDS)
        self._turn(kept, "restarting")

    def _turn(self, kept: _Kept, condition: Condition) -> None:
        kept.condition = condition
        self._tell(self.states())

    def _age_seconds(self, kept: _Kept) -> float:
        return time.monotonic() - kept.launched_at

    def _exit_code(self, kept: _Kept) -> int | None:
        return kept.process.poll() if kept.process else None

    def _said(self, name: str) -> str:
        return last_lines(log_of(self._folder, name), self._secrets)

    def _unavailable(self, name: str, problem: str) -> Unavailable:
        return Unavailable(f"{name} {problem}. The last lines of {log_of(self._folder, name)}:\n{self._said(name)}")
