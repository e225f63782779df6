"""Start, find and end the processes of a stack.

Each has a mark in its environment, which children and their children inherit: whoever their parent is by then, all
of them can be found and ended.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Self

import psutil

from deployments.private import make_private
from deployments.stack.services import Service
from flows.child_server import inherited, last_words, require_program, search_path
from schema.errors import RecommenderError
from schema.options import FrozenModel
from storage.files import COPY_BYTES, whole_file

STACK_MARK, SERVICE_MARK = "RECOMMENDER_STACK", "RECOMMENDER_STACK_SERVICE"
HIDDEN_FROM_FLOWS = ("STACK_", "MINIO_")  # the database's password, and the root user of the store
LOG_BYTES, KEPT_LOGS = 10_000_000, 3
MAX_ROUNDS = 20
KILL_TIMEOUT_SECONDS = 10.0


class ProcessIdentity(FrozenModel):
    """A process, told apart from a later one of the same number by its start.

    Attributes:
        pid: Process id.
        began: When it started: clock ticks since the machine did where ``/proc`` has them, which nobody can set back
            as they can the clock; else Unix seconds.
    """

    pid: int
    began: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the identity of a process that runs.

        Raises:
            psutil.NoSuchProcess: If it is gone.
        """
        return cls(pid=pid, began=_start_of(pid))

    def process(self) -> psutil.Process | None:
        """Return the process if it still runs."""
        try:
            found = psutil.Process(self.pid)
            is_same = _start_of(self.pid) == self.began and found.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return found if is_same else None


def _start_of(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return float(psutil.Process(pid).create_time())
    return float(stat.rpartition(")")[2].split()[19])


def start_process(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, service: str
) -> "subprocess.Popen[bytes]":
    """Start a program of a service: marked, in a session of its own, its output appended to the service's log."""
    log = log_of(folder, service)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**environment, **_mark(folder, service)},
            start_new_session=True,
        )


def start_service(service: Service, folder: Path, secrets: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start the process of a service.

    Raises:
        InvalidInput: If its program is not installed.
    """
    command = [str(require_program(service.command[0])), *service.command[1:]]
    for place in service.folders:
        make_private(Path(place))
    return start_process(command, environment_of(service, secrets), folder, service.name)


def environment_of(service: Service, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return all variables that a service sees: few of ours, unless flows run in it."""
    seen = inherited("HOME", "JAVA_HOME", "LANG", "PYTHONPATH", "USER")
    if service.runs_flows:
        seen = {name: value for name, value in os.environ.items() if not name.startswith(HIDDEN_FROM_FLOWS)}
    java = Path(sys.prefix) / "java"
    return {
        **({"JAVA_HOME": str(java)} if java.exists() else {}),
        **seen,
        **service.environment,
        **{name: secrets[name] for name in service.secrets},
        "PATH": search_path(),
        "PYTHONUNBUFFERED": "1",
    }


def log_of(folder: Path, service: str) -> Path:
    """Return the file that a service's output goes to."""
    return folder / "logs" / f"{service}.log"


def rotate_logs(folder: Path) -> None:
    """Move what is in each log of over LOG_BYTES to NAME.log.1, what was there to NAME.log.2, and so on to KEPT_LOGS.

    Its service goes on writing to the file that it has open, which is copied and then emptied. What it writes between
    the end of the copy and that is lost: microseconds on an idle machine, longer on a busy one. Without room for a copy
    the log stays as it is.
    """
    for log in (folder / "logs").glob("*.log"):
        with suppress(OSError, RecommenderError):
            if LOG_BYTES < log.stat().st_size < shutil.disk_usage(log).free:
                _rotate(log)


def _rotate(log: Path) -> None:
    kept = [log.with_suffix(f".log.{number}") for number in range(1, KEPT_LOGS + 1)]
    with log.open("r+b", buffering=0) as source, whole_file(kept[0]) as partial:
        with partial.open("xb") as target:
            while written := source.read(COPY_BYTES):
                target.write(written)
                target.flush()
            source.truncate(0)
        for newer, older in reversed(list(pairwise(kept))):
            with suppress(FileNotFoundError):
                newer.replace(older)


def last_log_lines(folder: Path, service: str, secrets: Mapping[str, str]) -> str:
    """Return the last lines of a service's log, without the values of secrets."""
    with suppress(FileNotFoundError), log_of(folder, service).open("rb") as stream:
        return last_words(stream, secrets.values())
    return ""


def find_processes(folder: Path, service: str | None = None) -> list[psutil.Process]:
    """Return the processes of a stack, or of one of its services, without this process and its ancestors."""
    wanted = {STACK_MARK: str(folder.resolve())} if service is None else _mark(folder, service)
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [one for one in psutil.process_iter() if one.pid not in ours and _has(one, wanted)]


def _mark(folder: Path, service: str) -> dict[str, str]:
    return {STACK_MARK: str(folder.resolve()), SERVICE_MARK: service}


def _has(process: psutil.Process, variables: Mapping[str, str]) -> bool:
    try:
        environment = process.environ()
        return bool(variables.items() <= environment.items() and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False


def end_service(folder: Path, service: str | None = None, grace_seconds: float = 0.0) -> int:
    """End the processes of one service, or of a whole stack; by force where they do not obey in time.

    Returns:
        How many there were.
    """
    n_found = len(found := find_processes(folder, service))
    end_processes(found, grace_seconds)
    for _ in range(MAX_ROUNDS):
        if not (found := find_processes(folder, service)):  # what they started meanwhile
            break
        end_processes(found)
    return n_found


def end_processes(processes: Sequence[psutil.Process], grace_seconds: float = 0.0) -> None:
    """End processes: with SIGTERM, and after the grace with SIGKILL; without a grace with SIGKILL at once."""
    alive = list(processes)
    if grace_seconds:
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(alive, timeout=grace_seconds)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=KILL_TIMEOUT_SECONDS)
