"""Every process of a stack, found by a mark in its environment, which children and their children inherit."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

MOST_ROUNDS = 20
STACK_MARK, SERVICE_MARK = "RECOMMENDER_STACK", "RECOMMENDER_STACK_SERVICE"


def mark(folder: Path, service: str) -> dict[str, str]:
    """Return the variables that mark a process as one of a service of the stack in a folder."""
    return {STACK_MARK: str(folder.resolve()), SERVICE_MARK: service}


def find_family(folder: Path, service: str | None = None) -> list[psutil.Process]:
    """Return the processes of a stack, or of one of its services, without this process and its ancestors."""
    wanted = {STACK_MARK: str(folder.resolve())} | ({SERVICE_MARK: service} if service else {})
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [one for one in psutil.process_iter() if one.pid not in ours and _has(one, wanted)]


def _has(process: psutil.Process, variables: dict[str, str]) -> bool:
    try:
        environment = process.environ()
        return bool(variables.items() <= environment.items() and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return False


def end_family(folder: Path, service: str | None = None, grace_seconds: float = 0.0) -> int:
    """End the processes of a stack or of one service, by force where they do not obey in time; return how many."""
    family = find_family(folder, service)
    n_ended = len(family)
    if grace_seconds:
        end_all(family, grace_seconds)
    for _ in range(MOST_ROUNDS):  # for what they started meanwhile
        family = find_family(folder, service)
        if not family:
            break
        end_all(family, 0)
    return n_ended


def end_children(pid: int, grace_seconds: float) -> None:
    """End what a process has started itself, with SIGTERM, and after the grace with SIGKILL."""
    with suppress(psutil.NoSuchProcess):
        end_all(psutil.Process(pid).children(), grace_seconds)


def end_all(processes: Sequence[psutil.Process], grace_seconds: float) -> None:
    """End processes: with SIGTERM, and with SIGKILL those that still run after the grace."""
    alive = list(processes)
    if grace_seconds:
        _send(alive, "terminate")
        _, alive = psutil.wait_procs(alive, timeout=grace_seconds)
    _send(alive, "kill")
    psutil.wait_procs(alive, timeout=10)


def _send(processes: Sequence[psutil.Process], signal_name: str) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            getattr(process, signal_name)()
