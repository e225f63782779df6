"""How services are launched, launched again and stopped."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from deployments.stack import keeper as keeping
from deployments.stack.health import Check
from deployments.stack.keeper import Keeper
from deployments.stack.launching import environment_of
from deployments.stack.service import Service
from deployments.stack.state import ServiceState

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
child.wait()
import time
time.sleep(600)
"""
CHILD = """
import os, pathlib, signal, sys, time
parent = os.getppid()
def end(*_):
    time.sleep(0.5)
    os.kill(parent, 0)
    pathlib.Path(sys.argv[1]).write_text("ended in order" if os.getppid() == parent else "orphaned")
    sys.exit()
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1]).write_text("at work")
signal.pause()
"""


class AtWork(Check):
    """Whether the child has said so."""

    def problem(self) -> str | None:
        """Return why not."""
        return None if Path(self.url).exists() else "not yet"


@pytest.mark.parametrize(("ends_children_first", "said"), [(True, "ended in order"), (False, "at work")])
def test_work_ends_before_what_watches_over_it_where_that_is_asked_for(
    tmp_path: Path, *, ends_children_first: bool, said: str
) -> None:
    told = tmp_path / "told"
    command = (sys.executable, "-c", PARENT, CHILD, str(told))
    service = Service("watching", command, "waits", (AtWork(url=str(told)),), ends_children_first=ends_children_first)
    keeper = Keeper([service], tmp_path / "stack", {}, lambda _: None)
    keeper.start()
    keeper.stop()
    assert told.read_text() == said


def test_service_that_cannot_be_started_again_now_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = threading.Semaphore(0)
    launch, n_launched = keeping.launch, 0

    def launch_the_fourth_time(*arguments: Any) -> Any:
        nonlocal n_launched
        n_launched += 1
        if n_launched in (2, 3):
            refused.release()
            raise OSError(12, "Cannot allocate memory")
        return launch(*arguments)

    monkeypatch.setattr(keeping, "launch", launch_the_fourth_time)
    monkeypatch.setattr(keeping, "FIRST_BACKOFF_SECONDS", 0.1)
    service = Service("waiting", (sys.executable, "-c", "import time; time.sleep(600)"), "waits", (AtWork(url="/"),))
    healthy = threading.Event()
    keeper = Keeper([service], tmp_path, {}, lambda states: healthy.set() if is_up_again(states) else None)
    keeper.start()
    process = keeper.states()[0].process
    assert process
    watching = threading.Thread(target=keeper.watch)
    watching.start()
    try:
        os.kill(process.pid, signal.SIGKILL)
        assert refused.acquire(timeout=60)
        assert refused.acquire(timeout=60)
        assert healthy.wait(60)
    finally:
        keeper.ask_to_stop()
        watching.join()
        keeper.stop()
    assert n_launched == 4


def is_up_again(states: tuple[ServiceState, ...]) -> bool:
    return states[0].condition == "healthy" and states[0].n_restarts == 1


def test_flows_do_not_see_what_only_the_stack_and_its_servers_are_to_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACK_PREFECT_DATABASE_URL", "postgresql+asyncpg://somebody:open-sesame@host/x")
    monkeypatch.setenv("MINIO_ROOT_PASSWORD", "open-sesame")
    monkeypatch.setenv("INPUT_REVIEWS", "reviews.csv")
    flows, server = (Service("one", ("python",), "runs", runs_flows=runs_flows) for runs_flows in (True, False))
    seen = environment_of(flows, tmp_path, {})
    assert seen["INPUT_REVIEWS"] == "reviews.csv"
    assert "open-sesame" not in "".join(seen.values())
    assert not {"INPUT_REVIEWS", "MINIO_ROOT_PASSWORD"} & set(environment_of(server, tmp_path, {}))


def test_keeper_that_is_asked_to_stop_while_it_starts_says_so(tmp_path: Path) -> None:
    keeper = Keeper([Service("never", (sys.executable, "-c", "input()"), "ends")], tmp_path, {}, lambda _: None)
    keeper.ask_to_stop()
    keeper.start()
    assert keeper.is_to_stop
    keeper.stop()
