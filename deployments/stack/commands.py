"""What ``make up``, ``make status`` and ``make down`` do."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from deployments.minio import write_variables
from deployments.stack.display import print_progress, print_table, say
from deployments.stack.family import end_all, end_family, find_family, mark
from deployments.stack.keeper import CHILDREN_GRACE_SECONDS, STOP_GRACE_SECONDS
from deployments.stack.launching import fresh_log, last_lines, log_of
from deployments.stack.plan import credentials_file, make_plan, require_free_ports
from deployments.stack.settings import StackSettings
from deployments.stack.state import STATE_FILE, StackState, read_state
from schema.errors import InvalidInput, Unavailable

HEALTHY, NOT_HEALTHY = 0, 1
VARIABLES_FILE = "stack.env"
SUPERVISOR = "supervisor"
LOOK_SECONDS = 0.2


def bring_up(settings: StackSettings) -> int:
    """Start the stack, wait until all of it can be used, and show it; one that runs already is only shown.

    Raises:
        InvalidInput: If a port is taken, a program is missing, or another command is at work.
        Unavailable: If a service does not start; nothing is left running then.
    """
    folder = settings.folder.resolve()
    with _alone(folder):
        state = read_state(folder)
        if state and state.is_supervised:
            say(f"The stack in {settings.folder} is running already; make down stops it.")
            _take_up(settings, folder, state)
            return show_status(settings)
        n_ended = end_family(folder, grace_seconds=STOP_GRACE_SECONDS)
        if n_ended:
            say(f"Stopped {n_ended} process(es) that an earlier stack, whose supervisor is gone, left behind.")
        _start(settings, folder)
    say(f"To point flows at it: source {settings.folder / VARIABLES_FILE}")
    return show_status(settings)


def show_status(settings: StackSettings) -> int:
    """Show every service as it is now, and return 0 if all can be used, 1 if not."""
    state = read_state(settings.folder.resolve())
    if state is None:
        say(f"No stack runs in {settings.folder}; make up starts it.")
        return NOT_HEALTHY
    problems = {service.name: service.problem() for service in state.services}
    print_table(state, problems)
    if not state.is_supervised:
        say("The supervisor does not run, so nothing is started again that dies. make up starts all anew.")
        return NOT_HEALTHY
    return NOT_HEALTHY if any(problems.values()) else HEALTHY


def take_down(settings: StackSettings) -> int:
    """Stop the stack and every process that belongs to it, whatever is left of it."""
    folder = settings.folder.resolve()
    with _alone(folder):
        state = _last_state(folder)
        n_running = len(find_family(folder))
        supervisor = state.supervisor.process() if state else None
        if supervisor and state:
            end_all([supervisor], _grace_seconds(len(state.services)))
        for service in reversed(state.services if state else ()):
            end_family(folder, service.name, STOP_GRACE_SECONDS)
        end_family(folder, grace_seconds=STOP_GRACE_SECONDS)
        for name in (STATE_FILE, VARIABLES_FILE):
            (folder / name).unlink(missing_ok=True)
    say(f"Stopped {n_running} process(es)." if n_running else f"No stack runs in {settings.folder}.")
    return HEALTHY


def _start(settings: StackSettings, folder: Path) -> None:
    plan = make_plan(settings)
    require_free_ports(plan.services, settings.host)
    say(f"Starting {len(plan.services)} services with {plan.site.sizes}.")
    credentials = credentials_file(settings)
    credentials.parent.mkdir(parents=True, exist_ok=True)
    reach = plan.reach()
    kept = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "S3_ENDPOINT_URL", "STORE_URI")
    write_variables(credentials, {name: reach[name] for name in kept})
    (folder / STATE_FILE).unlink(missing_ok=True)
    supervisor = _launch_supervisor(folder)
    try:
        _await_start(lambda: supervisor.poll() is not None, folder, plan.secrets())
    except BaseException:
        _give_up(supervisor, folder, len(plan.services))
        raise
    write_variables(folder / VARIABLES_FILE, reach)


def _take_up(settings: StackSettings, folder: Path, state: StackState) -> None:
    """Do what a ``make up`` that was killed before its end left undone: wait, and write how to find the stack."""
    plan = make_plan(settings)
    _await_start(lambda: state.supervisor.process() is None, folder, plan.secrets())
    if not (folder / VARIABLES_FILE).exists():
        write_variables(folder / VARIABLES_FILE, plan.reach())


def _launch_supervisor(folder: Path) -> "subprocess.Popen[bytes]":
    log = log_of(folder, SUPERVISOR)
    with fresh_log(log).open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "deployments.stack.supervisor"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env={**os.environ, **mark(folder, SUPERVISOR)},
            start_new_session=True,
        )


def _await_start(has_supervisor_ended: Callable[[], bool], folder: Path, secrets: dict[str, str]) -> None:
    shown: set[str] = set()
    while True:
        has_ended = has_supervisor_ended()
        state = read_state(folder)
        if state:
            shown = print_progress(state, shown)
        if state and state.phase == "running":
            return
        if state and state.phase == "failed":
            raise Unavailable(f"{state.problem}\nEverything else has been stopped.")
        if has_ended:
            raise Unavailable(f"The supervisor ended. It said:\n{last_lines(log_of(folder, SUPERVISOR), secrets)}")
        time.sleep(LOOK_SECONDS)


def _give_up(supervisor: "subprocess.Popen[bytes]", folder: Path, n_services: int) -> None:
    with suppress(psutil.NoSuchProcess):
        end_all([psutil.Process(supervisor.pid)], _grace_seconds(n_services))
    supervisor.wait()
    end_family(folder)
    (folder / STATE_FILE).unlink(missing_ok=True)


def _grace_seconds(n_services: int) -> float:
    """Return how long a supervisor may take to stop its services one after the other."""
    return CHILDREN_GRACE_SECONDS + STOP_GRACE_SECONDS * (n_services + 1)


def _last_state(folder: Path) -> StackState | None:
    """Return the last state, or None where its file cannot be read: the processes are found without it."""
    try:
        return read_state(folder)
    except InvalidInput as error:
        say(str(error))
        return None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the stack's lock, which ends with this process.

    Raises:
        InvalidInput: If another command has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidInput(
                f"another make up or make down is at work on {folder}. Wait for it, or end it with Ctrl-C."
            ) from error
        yield
