"""What a supervisor knows of a service: its process, its pauses between restarts, and how its health checks go."""

import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from deployments.stack.services import Service
from deployments.stack.state import ServiceState
from flows.child_server import Check, first_problem

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 1.0, 60.0
NOT_LOOKED_AT = "has not been looked at"


class Pulse:
    """The health checks of one service, made again and again in the threads of a pool, so that nobody waits for them.

    Failures are counted, not timed: to suspend the machine, or to set its clock, adds one at most.

    Attributes:
        problem: Why the service could not be used when it was last looked at; None if it could.
        n_failed: How many times in a row it could not be used.
    """

    def __init__(self, checks: Sequence[Check], pool: Executor) -> None:
        self._checks = checks
        self._pool = pool
        self.forget()

    def forget(self) -> None:
        """Start from nothing, as for a process that has just been started."""
        self.problem: str | None = NOT_LOOKED_AT
        self.n_failed = 0
        self._answer: Future[str | None] | None = None
        self._due_at = 0.0

    def feel(self, period_seconds: float) -> bool:
        """Have the checks made once a period, one round at a time; return whether one has ended since the last call."""
        is_new = self._answer is not None and self._answer.done()
        if self._answer is not None and is_new:
            self.problem, self._answer = self._answer.result(), None
            self.n_failed = self.n_failed + 1 if self.problem else 0
        if self._answer is None and time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + period_seconds
            self._answer = self._pool.submit(first_problem, self._checks)
        return is_new


@dataclass
class Supervised:
    """A service and what becomes of it."""

    service: Service
    state: ServiceState
    pulse: Pulse
    process: "subprocess.Popen[bytes] | None" = None
    backoff_seconds: float = FIRST_BACKOFF_SECONDS
    started_at: float = 0.0
    retry_at: float = 0.0

    @property
    def age_seconds(self) -> float:
        """Seconds since its process was started."""
        return time.monotonic() - self.started_at

    @property
    def exit_code(self) -> int | None:
        """Exit code of its process; None while it runs."""
        return self.process.poll() if self.process else None

    @property
    def answers(self) -> bool:
        """Whether it could be used when it was last looked at, or is a job that is done."""
        return self.state.condition == "done" or (self.state.condition == "healthy" and self.pulse.problem is None)

    def put_off(self) -> float:
        """Plan the next start after the present pause, double the pause after that, and return the present one."""
        pause = self.backoff_seconds
        self.retry_at = time.monotonic() + pause
        self.backoff_seconds = min(2 * pause, MAX_BACKOFF_SECONDS)
        return pause
