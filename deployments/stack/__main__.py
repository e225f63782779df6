"""Start, show and stop the process stack: Prefect, Dask, Spark, MinIO and MLflow on this machine.

    python -m deployments.stack up
    python -m deployments.stack status
    python -m deployments.stack down

Variables that begin with STACK_, or the file .env.stack, set ports, numbers and folders: docs/operations.md.
"""

import argparse
import fcntl
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from pydantic import ValidationError

from deployments.minio import write_variables
from deployments.private import make_private
from deployments.stack.placement import ACCESS_KEYS, Placement, credentials_file, place_on_this_machine
from deployments.stack.process_tree import end_processes, end_service, find_processes, last_log_lines, start_process
from deployments.stack.services import Service, services
from deployments.stack.settings import StackSettings, variable
from deployments.stack.state import STATE_FILE, StackState, read_state
from deployments.stack.supervisor import CHILDREN_GRACE_SECONDS, STOP_GRACE_SECONDS, USABLE
from flows.child_server import free_port
from reports.tables import stdout, table_of, text
from schema.errors import InvalidInput, InvalidSettings, RecommenderError, Unavailable
from schema.proxies import NO_PROXY, keep_loopback_direct
from storage.files import try_place

HEALTHY, NOT_HEALTHY, BAD_SETTINGS = 0, 1, 2
VARIABLES_FILE = "stack.env"
SUPERVISOR = "supervisor"
POLL_SECONDS = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 if it succeeded, 1 if not, 2 if a setting does not fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {"up": bring_up, "status": show_status, "down": take_down}
    parser.add_argument("command", choices=tuple(commands))
    command = commands[parser.parse_args(arguments).command]
    os.umask(0o077)  # for all that the stack writes: databases, logs, objects
    try:
        settings = StackSettings()
        keep_loopback_direct(settings.host)
        return command(settings)
    except ValidationError as error:
        sys.stderr.write(_explain(error))
        return BAD_SETTINGS
    except InvalidSettings as error:
        sys.stderr.write(f"{error}\n")
        return BAD_SETTINGS
    except RecommenderError as error:
        sys.stderr.write(f"{error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted\n")
    return NOT_HEALTHY


def bring_up(settings: StackSettings) -> int:
    """Start the stack, wait until all of it can be used, and show it; one that runs already is only shown.

    Raises:
        InvalidInput: If a port is taken, a program is missing, or another command is at work.
        Unavailable: If a service does not start; nothing is left running then.
    """
    folder = settings.folder.resolve()
    with _lock(folder):
        state = read_state(folder)
        if state and state.is_supervised:
            _say(f"The stack in {settings.folder} is running already; make down stops it.")
            _finish_start(settings, folder, state)
            return show_status(settings)
        n_ended = end_service(folder, grace_seconds=STOP_GRACE_SECONDS)
        if n_ended:
            _say(f"Stopped {n_ended} process(es) that an earlier stack, whose supervisor is gone, left behind.")
        _start(settings, folder)
    _say(f"To point flows at it: source {shlex.quote(str(settings.folder / VARIABLES_FILE))}")
    return show_status(settings)


def show_status(settings: StackSettings) -> int:
    """Show every service as it is now, and return 0 if all can be used, 1 if not."""
    state = read_state(settings.folder.resolve())
    if state is None:
        _say(f"No stack runs in {settings.folder}; make up starts it.")
        return NOT_HEALTHY
    problems = {service.name: service.problem() for service in state.services}
    _print_table(state, problems)
    login = credentials_file(settings)
    _say(f"MinIO's login is in {login}: AWS_ACCESS_KEY_ID is the user, AWS_SECRET_ACCESS_KEY the password.")
    if not state.is_supervised:
        _say("The supervisor does not run, so services that die are not restarted. make up starts the stack again.")
        return NOT_HEALTHY
    return NOT_HEALTHY if any(problems.values()) else HEALTHY


def take_down(settings: StackSettings) -> int:
    """Stop the stack and every process that belongs to it, whatever is left of it."""
    folder = settings.folder.resolve()
    with _lock(folder):
        try:
            state = read_state(folder)
        except InvalidInput as error:  # the processes are found without it
            _say(str(error))
            state = None
        n_running = len(find_processes(folder))
        if state and (supervisor := state.supervisor.process()):
            end_processes([supervisor], _stop_seconds(len(state.services)))
        for service in reversed(state.services if state else ()):
            end_service(folder, service.name, STOP_GRACE_SECONDS)
        end_service(folder, grace_seconds=STOP_GRACE_SECONDS)
        for name in (STATE_FILE, VARIABLES_FILE):
            (folder / name).unlink(missing_ok=True)
    _say(f"Stopped {n_running} process(es)." if n_running else f"No stack runs in {settings.folder}.")
    return HEALTHY


def _start(settings: StackSettings, folder: Path) -> None:
    try_place(folder, "STACK_FOLDER")
    try_place(settings.minio_folder, "STACK_MINIO_FOLDER")
    try_place(credentials_file(settings), "STACK_MINIO_FOLDER", is_file=True)
    placement = place_on_this_machine(settings)
    planned = services(placement)
    _require_free_ports(planned, settings.host)
    _say(f"Starting {len(planned)} services with {placement.sizes}.")
    variables = _shell_variables(placement)
    of_minio = (*ACCESS_KEYS, "AWS_REGION", "S3_ENDPOINT_URL", "S3_CONSOLE_URL", "STORE_URI")
    write_variables(credentials_file(settings), {name: variables[name] for name in of_minio})
    (folder / STATE_FILE).unlink(missing_ok=True)
    supervisor = start_process([sys.executable, "-m", "deployments.stack.supervisor"], os.environ, folder, SUPERVISOR)
    try:
        _wait_for_start(lambda: supervisor.poll() is not None, folder, placement.secrets)
    except BaseException:
        _give_up(supervisor, folder, len(planned))
        raise
    write_variables(folder / VARIABLES_FILE, variables)


def _finish_start(settings: StackSettings, folder: Path, state: StackState) -> None:
    """Finish a ``make up`` that was killed before its end: wait for the services, and write how to find them."""
    placement = place_on_this_machine(settings)
    _wait_for_start(lambda: state.supervisor.process() is None, folder, placement.secrets)
    if not (folder / VARIABLES_FILE).exists():
        write_variables(folder / VARIABLES_FILE, _shell_variables(placement))


def _shell_variables(placement: Placement) -> dict[str, str]:
    """Return the variables by which a shell's flows find and use the stack; two of them are secret."""
    direct = {name: os.environ[name] for name in NO_PROXY}
    return placement.flow_variables() | direct | {name: placement.secrets[name] for name in ACCESS_KEYS}


def _require_free_ports(planned: tuple[Service, ...], host: str) -> None:
    for service in planned:
        for setting, port in service.ports.items():
            try:
                free_port(port, host)
            except InvalidInput as error:
                name = setting.partition("+")[0]
                raise InvalidInput(
                    f"{service.name} cannot listen on port {port}, {setting}: {error} Set {name}, or STACK_HOST."
                ) from error


def _wait_for_start(has_supervisor_ended: Callable[[], bool], folder: Path, secrets: Mapping[str, str]) -> None:
    shown: set[str] = set()
    while True:
        has_ended = has_supervisor_ended()
        state = read_state(folder)
        for service in state.services if state else ():
            if service.condition in USABLE and service.name not in shown:
                _say(f"  {service.name:<16} {service.condition}")
                shown.add(service.name)
        if state and state.phase == "running":
            return
        if state and state.phase == "failed":
            raise Unavailable(f"{state.problem}\nEverything else has been stopped.")
        if has_ended:
            raise Unavailable(f"The supervisor ended. It said:\n{last_log_lines(folder, SUPERVISOR, secrets)}")
        time.sleep(POLL_SECONDS)


def _give_up(supervisor: "subprocess.Popen[bytes]", folder: Path, n_services: int) -> None:
    with suppress(psutil.NoSuchProcess):
        end_processes([psutil.Process(supervisor.pid)], _stop_seconds(n_services))
    supervisor.wait()
    end_service(folder)
    (folder / STATE_FILE).unlink(missing_ok=True)


def _stop_seconds(n_services: int) -> float:
    """Return how long a supervisor may take to stop its services one after the other."""
    return CHILDREN_GRACE_SECONDS + STOP_GRACE_SECONDS * (n_services + 1)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the stack's lock, which ends with this process.

    Raises:
        InvalidInput: If another command has it.
        InvalidSettings: If the folder cannot be written to.
    """
    path = folder / "lock"
    try:
        make_private(folder)
        opened = path.open("wb")
    except OSError:
        try_place(path, "STACK_FOLDER", is_file=True)
        raise
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidInput(
                f"another make up or make down is at work on {folder}. Wait for it, or end it with Ctrl-C."
            ) from error
        yield


def _say(message: str) -> None:
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


def _print_table(state: StackState, problems: Mapping[str, str | None]) -> None:
    table = table_of("service", "state", "restarts", "address", "log")
    for service in state.services:
        problem = problems[service.name]
        table.add_row(
            text(service.name),
            text(problem, "red", limit=200) if problem else text(service.condition, "green"),
            text(str(service.n_restarts)),
            text(service.address),
            text(service.log, limit=900),
        )
    stdout().print(table)


def _explain(error: ValidationError) -> str:
    """Return one line per setting that does not fit: its variable, what was expected and what was found."""
    lines = []
    for problem in error.errors():
        message = problem["msg"].removeprefix("Value error, ")
        named = f"{variable(str(problem['loc'][0]))}: " if problem["loc"] else ""
        found = f"; found {problem['input']!r}" if problem["loc"] else ""
        lines.append(f"{named}{message}{found}\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
