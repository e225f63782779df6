"""Start services in the order in which they depend on each other, restart those that die or hang, and stop them all.

    python -m deployments.stack.supervisor

is the process that owns a stack, from ``make up`` to ``make down``. The same variables as those of ``make up`` say
what it runs; it writes the state where the commands find it.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from loguru import logger

from deployments.stack.placement import Placement, place_on_this_machine
from deployments.stack.process_tree import (
    ProcessIdentity,
    end_processes,
    end_service,
    last_log_lines,
    log_of,
    rotate_logs,
    start_service,
)
from deployments.stack.services import Service, services
from deployments.stack.settings import StackSettings
from deployments.stack.state import Phase, ServiceState, StackState
from deployments.stack.supervised import FIRST_BACKOFF_SECONDS, Pulse, Supervised
from schema.errors import InvalidInput, RecommenderError, Unavailable

STOPPED, FAILED = 0, 1
START_TIMEOUT_SECONDS = 300.0
STOP_GRACE_SECONDS = 10.0
CHILDREN_GRACE_SECONDS = 30.0  # a run closes Spark and tells the server
POLL_SECONDS = 0.25
CHECK_SECONDS = 5.0
STEADY_SECONDS = 60.0  # a service that ran so long before it died is started again after the first, shortest pause
USABLE = ("healthy", "done")


class Supervisor:
    """Owner of the processes of a stack.

    Args:
        services: The services, in the order of starting.
        folder: The stack's folder.
        secrets: Values of the variables that services name as secrets.
        on_change: Called with the state of all services whenever it has changed.
        hang_seconds: For how long a service has to leave its health checks unanswered to be started again.
    """

    def __init__(
        self,
        services: Sequence[Service],
        folder: Path,
        secrets: Mapping[str, str],
        on_change: Callable[[tuple[ServiceState, ...]], None] = lambda _: None,
        hang_seconds: float = 60.0,
    ) -> None:
        self._pool = ThreadPoolExecutor(max(1, len(services)), thread_name_prefix="health")
        self._all = [
            Supervised(
                one,
                ServiceState(name=one.name, address=one.address, log=str(log_of(folder, one.name)), checks=one.checks),
                Pulse(one.checks, self._pool),
            )
            for one in services
        ]
        self._n_patience = max(3, round(hang_seconds / CHECK_SECONDS))
        self._folder = folder
        self._secrets = secrets
        self._on_change = on_change
        self._stop = threading.Event()

    def ask_to_stop(self) -> None:
        """Have `start` and `watch` return soon; may be called from a signal handler."""
        self._stop.set()

    def start(self) -> bool:
        """Start every service as soon as those that it depends on can be used.

        Returns:
            True if all can be used, False if it was asked to stop before.

        Raises:
            Unavailable: If one dies or cannot be used within START_TIMEOUT_SECONDS; with what it said last.
            InvalidInput: If a program is not installed.
        """
        while not all(one.state.condition in USABLE for one in self._all):
            for one in self._all:
                self._advance(one)
            if self._stop.wait(POLL_SECONDS):
                return False
        return not self._stop.is_set()

    def watch(self) -> None:
        """Restart services that die or hang, each time after a longer pause, and rotate logs, until `ask_to_stop`."""
        while not self._stop.wait(POLL_SECONDS):
            for one in self._all:
                self._look_after(one)
            rotate_logs(self._folder)

    def stop(self) -> None:
        """Stop every service and all that it started, in reverse order."""
        for one in reversed(self._all):
            if one.process is None:
                continue
            if one.service.ends_children_first:
                with suppress(psutil.NoSuchProcess):
                    end_processes(psutil.Process(one.process.pid).children(), CHILDREN_GRACE_SECONDS)
            one.process.terminate()
            try:
                one.process.wait(STOP_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("{} did not end within {:.0f} s", one.service.name, STOP_GRACE_SECONDS)
            end_service(self._folder, one.service.name)
            one.process.wait()
            logger.info("{} is stopped", one.service.name)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def states(self) -> tuple[ServiceState, ...]:
        """Return the state of each service."""
        return tuple(one.state for one in self._all)

    def _advance(self, one: Supervised) -> None:
        if one.state.condition == "waiting":
            usable = {other.service.name for other in self._all if other.state.condition in USABLE}
            if usable.issuperset(one.service.depends_on):
                self._start(one)
        elif one.state.condition == "starting" and not self._has_become_usable(one):
            if one.exit_code is not None:
                raise self._unavailable(one, f"ended at its start, with exit code {one.exit_code}")
            if one.age_seconds > START_TIMEOUT_SECONDS:
                raise self._unavailable(one, f"cannot be used after {START_TIMEOUT_SECONDS:.0f} s")

    def _start(self, one: Supervised) -> None:
        one.process = start_service(one.service, self._folder, self._secrets)
        one.started_at = time.monotonic()
        one.pulse.forget()
        self._change(one, condition="starting", process=ProcessIdentity.of(one.process.pid))

    def _has_become_usable(self, one: Supervised) -> bool:
        """Check whether a service can be used by now or a job is done, and note it if so."""
        if one.service.is_job:
            is_usable = one.exit_code == 0
        else:
            is_usable = one.pulse.feel(POLL_SECONDS) and one.pulse.problem is None and one.exit_code is None
        if is_usable:
            self._change(one, condition="done" if one.service.is_job else "healthy")
            logger.info("{} is {} after {:.1f} s", one.service.name, one.state.condition, one.age_seconds)
        return is_usable

    def _look_after(self, one: Supervised) -> None:
        if one.state.condition == "restarting":
            if time.monotonic() >= one.retry_at:
                self._restart(one)
        elif one.state.condition != "done" and one.exit_code is not None:
            self._plan_restart(one)
        elif one.state.condition == "starting":
            if not self._has_become_usable(one) and one.age_seconds > START_TIMEOUT_SECONDS:
                self._kill(one, f"cannot be used {START_TIMEOUT_SECONDS:.0f} s after its start")
        elif one.state.condition == "healthy" and one.pulse.feel(CHECK_SECONDS):
            self._kill_if_hung(one)

    def _kill_if_hung(self, one: Supervised) -> None:
        """Kill a service that has long failed its checks, which then is found dead and started again.

        A failure does not count while a service that it depends on fails too, nor where no other passes its checks:
        then it is the machine that has no time or no memory.
        """
        if not all(other.answers for other in self._all if other.service.name in one.service.depends_on):
            one.pulse.n_failed = 0
        others = (other for other in self._all if other is not one and not other.service.is_job)
        if one.pulse.n_failed >= self._n_patience and any(other.answers for other in others):
            self._kill(one, f"has failed {one.pulse.n_failed} health checks in a row ({one.pulse.problem})")

    def _kill(self, one: Supervised, why: str) -> None:
        logger.warning("{} {}, so it is killed", one.service.name, why)
        one.pulse.forget()
        if one.process:
            one.process.kill()

    def _restart(self, one: Supervised) -> None:
        """Start a service again; where the machine does not let it now, as without memory or disk, later."""
        try:
            self._start(one)
        except (OSError, InvalidInput) as error:
            pause = one.put_off()
            logger.warning("{} cannot be started ({}); tried again in {:.0f} s", one.service.name, error, pause)

    def _plan_restart(self, one: Supervised) -> None:
        name = one.service.name
        end_service(self._folder, name)
        if one.age_seconds > STEADY_SECONDS:
            one.backoff_seconds = FIRST_BACKOFF_SECONDS
        pause, n_restarts = one.put_off(), one.state.n_restarts + 1
        said = last_log_lines(self._folder, name, self._secrets)
        logger.warning(
            "{} ended with exit code {}; it is started again in {:.0f} s (restart {}). It said last: {}",
            *(name, one.exit_code, pause, n_restarts, said),
        )
        self._change(one, condition="restarting", n_restarts=n_restarts)

    def _change(self, one: Supervised, **changed: Any) -> None:
        one.state = one.state.model_copy(update=changed)
        self._on_change(self.states())

    def _unavailable(self, one: Supervised, problem: str) -> Unavailable:
        name = one.service.name
        said = last_log_lines(self._folder, name, self._secrets)
        return Unavailable(f"{name} {problem}. The last lines of {log_of(self._folder, name)}:\n{said}")


def supervise(placement: Placement, folder: Path) -> int:
    """Run a stack until SIGTERM; return 0 then, or 1 if it could not be started."""
    me = ProcessIdentity.of(os.getpid())
    phase: Phase = "starting"

    def write_state(states: tuple[ServiceState, ...], problem: str = "") -> None:
        try:
            StackState(supervisor=me, phase=phase, services=states, problem=problem).write(folder)
        except RecommenderError as error:
            if phase != "running":
                raise
            logger.warning("The state is not written, but the stack goes on: {}", error)

    hang_seconds = placement.settings.hang_seconds
    supervisor = Supervisor(services(placement), folder, placement.secrets, write_state, hang_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.ask_to_stop())
    write_state(supervisor.states())
    try:
        if supervisor.start():
            phase = "running"
            write_state(supervisor.states())
        supervisor.watch()
    except RecommenderError as error:
        logger.error("{}", error)
        supervisor.stop()
        phase = "failed"
        write_state(supervisor.states(), str(error))
        return FAILED
    except BaseException:
        supervisor.stop()
        raise
    supervisor.stop()
    return STOPPED


def main() -> int:
    """Run the stack of the settings."""
    logger.remove()
    logger.add(sys.stderr, format="{time:YYYY-MM-DD HH:mm:ss.SSS} | {level: <7} | {message}", diagnose=False)
    settings = StackSettings()
    placement = place_on_this_machine(settings)
    logger.info("Chosen: {}", placement.sizes)
    return supervise(placement, settings.folder.resolve())


if __name__ == "__main__":
    sys.exit(main())
