"""How services are started, restarted and stopped."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from deployments.stack import supervisor as supervisor_module
from deployments.stack.placement import place_on_this_machine
from deployments.stack.process_tree import environment_of
from deployments.stack.services import Service
from deployments.stack.settings import StackSettings
from deployments.stack.state import ServiceState, StackState
from deployments.stack.supervisor import Supervisor, supervise
from flows.child_server import Check
from schema.errors import OutOfSpace

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

    def problem(self, _trust: object = None) -> str | None:
        """Return why not."""
        return None if Path(self.url).exists() else "not yet"


@pytest.mark.parametrize(("ends_children_first", "said"), [(True, "ended in order"), (False, "at work")])
def test_work_ends_before_what_watches_over_it_where_that_is_asked_for(tmp_path, *, ends_children_first, said):
    told = tmp_path / "told"
    command = (sys.executable, "-c", PARENT, CHILD, str(told))
    service = Service("watching", command, (AtWork(url=str(told)),), ends_children_first=ends_children_first)
    supervisor = Supervisor([service], tmp_path / "stack", secrets={})
    supervisor.start()
    supervisor.stop()
    assert told.read_text() == said


def test_service_that_cannot_be_started_again_now_is_started_later(tmp_path, monkeypatch):
    refused = threading.Semaphore(0)
    start, n_started = supervisor_module.start_service, 0

    def start_the_fourth_time(*arguments: Any) -> Any:
        nonlocal n_started
        n_started += 1
        if n_started in (2, 3):
            refused.release()
            raise OSError(12, "Cannot allocate memory")
        return start(*arguments)

    monkeypatch.setattr(supervisor_module, "start_service", start_the_fourth_time)
    monkeypatch.setattr(supervisor_module, "FIRST_BACKOFF_SECONDS", 0.1)
    service = Service("waiting", (sys.executable, "-c", "import time; time.sleep(600)"), (AtWork(url="/"),))
    healthy = threading.Event()
    supervisor = Supervisor([service], tmp_path, {}, lambda states: healthy.set() if is_up_again(states) else None)
    supervisor.start()
    process = supervisor.states()[0].process
    assert process
    watching = threading.Thread(target=supervisor.watch)
    watching.start()
    try:
        os.kill(process.pid, signal.SIGKILL)
        assert refused.acquire(timeout=60)
        assert refused.acquire(timeout=60)
        assert healthy.wait(60)
    finally:
        supervisor.ask_to_stop()
        watching.join()
        supervisor.stop()
    assert n_started == 4


def is_up_again(states: tuple[ServiceState, ...]) -> bool:
    return states[0].condition == "healthy" and states[0].n_restarts == 1


def test_flows_do_not_see_what_only_the_stack_and_its_servers_are_to_know(monkeypatch):
    monkeypatch.setenv("STACK_PREFECT_DATABASE_URL", "postgresql+asyncpg://somebody:open-sesame@host/x")
    monkeypatch.setenv("MINIO_ROOT_PASSWORD", "open-sesame")
    monkeypatch.setenv("INPUT_REVIEWS", "reviews.csv")
    flows, server = (Service("one", ("python",), runs_flows=runs_flows) for runs_flows in (True, False))
    seen = environment_of(flows, {})
    assert seen["INPUT_REVIEWS"] == "reviews.csv"
    assert "open-sesame" not in "".join(seen.values())
    assert not {"INPUT_REVIEWS", "MINIO_ROOT_PASSWORD"} & set(environment_of(server, {}))


def test_supervisor_that_is_asked_to_stop_while_it_starts_says_so(tmp_path):
    supervisor = Supervisor([Service("never", (sys.executable, "-c", "input()"))], tmp_path, secrets={})
    supervisor.ask_to_stop()
    assert not supervisor.start()
    supervisor.stop()


def test_full_disk_does_not_end_a_stack_that_runs(tmp_path, monkeypatch):
    n_written = 0

    def write(state: StackState, folder: Path) -> None:
        nonlocal n_written
        if state.phase == "running":
            threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()
            raise OutOfSpace("the disk is full")
        n_written += 1

    waiting = Service("waiting", (sys.executable, "-c", "import time; time.sleep(600)"), (AtWork(url="/"),))
    monkeypatch.setattr(supervisor_module, "services", lambda _: [waiting])
    monkeypatch.setattr(StackState, "write", write)
    placement = place_on_this_machine(StackSettings(_env_file=None, folder=tmp_path, minio_folder=tmp_path / "minio"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert supervise(placement, tmp_path) == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert n_written == 3  # at first, when it is started and when it is healthy
