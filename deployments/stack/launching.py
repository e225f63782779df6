"""Starting one service as a child process with a log of its own, and what it said last."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deployments.stack.family import mark
from deployments.stack.service import Service
from flows.child_server import BUILT_PROGRAMS, INHERITED
from schema.errors import InvalidInput

LOG_BYTES = 10_000_000
TAIL_LINES, TAIL_BYTES = 15, 8000
# What a server of others sees of our environment; everything else, such as settings meant for flows, stays out.
NOT_FOR_FLOWS = ("STACK_", "MINIO_")  # the database's password, and the root user of the store
SEEN_BY_SERVERS = (*INHERITED, "HOME", "JAVA_HOME", "LANG", "PYTHONPATH", "USER")


def launch(service: Service, folder: Path, secrets: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start a service in a session of its own, with its output appended to its log.

    Raises:
        InvalidInput: If its program is not installed.
    """
    environment = environment_of(service, folder, secrets)
    program = find(service.command[0], environment["PATH"])
    for kept in service.folders:
        Path(kept).mkdir(parents=True, exist_ok=True)
    with fresh_log(log_of(folder, service.name)).open("ab") as log:
        return subprocess.Popen(
            [program, *service.command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def environment_of(service: Service, folder: Path, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return all variables that a service sees."""
    seen = {name: value for name, value in os.environ.items() if _may_see(service, name)}
    java = Path(sys.prefix) / "java"
    return {
        **({"JAVA_HOME": str(java)} if java.exists() else {}),
        **seen,
        **service.environment,
        **{name: secrets[name] for name in service.secrets},
        **mark(folder, service.name),
        "PATH": _search_path(),
        "PYTHONUNBUFFERED": "1",
    }


def _may_see(service: Service, variable: str) -> bool:
    if service.runs_flows:
        return not variable.startswith(NOT_FOR_FLOWS)
    return variable in SEEN_BY_SERVERS


def find(program: str, search_path: str) -> str:
    """Return a program's path.

    Raises:
        InvalidInput: If it is not installed.
    """
    found = shutil.which(program, path=search_path)
    if found is None:
        raise InvalidInput(f"{program} is neither beside {sys.executable} nor on PATH. Type: make services")
    return found


def log_of(folder: Path, name: str) -> Path:
    """Return where a service's output goes."""
    return folder / "logs" / f"{name}.log"


def last_lines(path: Path, secrets: Mapping[str, str]) -> str:
    """Return the last lines of a log, without secrets."""
    if not path.exists():
        return ""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - TAIL_BYTES))
        said = stream.read().decode(errors="replace").strip()
    for secret in secrets.values():
        said = said.replace(secret, "***")
    return "\n".join(said.splitlines()[-TAIL_LINES:])


def fresh_log(path: Path) -> Path:
    """Return the path of a log to append to; one that has grown long is put aside, of which one is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path


def _search_path() -> str:
    own = Path(sys.executable).parent
    return os.pathsep.join([str(own), os.environ.get("PATH", os.defpath), str(BUILT_PROGRAMS)])
