"""How services are started, watched, restarted and stopped."""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.stack import process_tree
from deployments.stack import supervisor as supervisor_module
from deployments.stack.placement import place_on_this_machine
from deployments.stack.process_tree import environment_of, find_processes, log_of, rotate_logs, start_process
from deployments.stack.services import Service
from deployments.stack.settings import StackSettings
from deployments.stack.state import ServiceState, StackState
from deployments.stack.supervisor import Supervisor, supervise
from flows import child_server
from flows.child_server import Check, free_port
from schema.errors import OutOfSpace

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]], stdin=subprocess.PIPE)
child.wait()
import signal
signal.pause()
"""
CHILD = """
import pathlib, select, signal, sys
def end(*_):
    has_parent_ended = bool(select.select([sys.stdin], [], [], 0.5)[0])  # which closes the other end of the pipe
    if not has_parent_ended:
        pathlib.Path(sys.argv[1]).write_text("ended in order")
    sys.exit()
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1]).write_text("at work")
signal.pause()
"""


SERVER = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
WRITER = """
import itertools, os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
for burst in itertools.count():
    os.write(1, b"x" * 1000 + f"\\nburst {burst}\\n".encode())
    signal.sigwait({signal.SIGUSR1})
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
    service = Service("waiting", (sys.executable, "-c", "import signal; signal.pause()"), (AtWork(url="/"),))
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


@contextmanager
def watching(services: Sequence[Service], folder: Path) -> Iterator[tuple[Supervisor, Callable[..., None]]]:
    """Yield a supervisor that watches services, with little patience, and a function that waits for a state of one."""
    changed = threading.Condition()

    def notify(_: object) -> None:
        with changed:
            changed.notify_all()

    def wait_for(name: str, condition: str, n_restarts: int) -> None:
        def is_so() -> bool:
            one = next(one for one in supervisor.states() if one.name == name)
            return (one.condition, one.n_restarts) == (condition, n_restarts)

        with changed:
            assert changed.wait_for(is_so, 60), supervisor.states()

    supervisor = Supervisor(services, folder, {}, notify, hang_seconds=0.3)
    watch = threading.Thread(target=supervisor.watch)
    try:
        supervisor.start()
        watch.start()
        yield supervisor, wait_for
    finally:
        supervisor.ask_to_stop()
        watch.join()
        supervisor.stop()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks follow each other quickly and wait for an answer only briefly."""
    monkeypatch.setattr(supervisor_module, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(child_server, "CHECK_TIMEOUT_SECONDS", 0.5)


def server(name: str, checks: Check | None = None, **options: Any) -> Service:
    """Return a web server that starts a process of its own, or one that answers the checks of another service."""
    port = free_port()
    command = (sys.executable, "-c", SERVER, str(port))
    return Service(name, command, (checks or Check(f"http://127.0.0.1:{port}"),), **options)


@pytest.mark.usefixtures("hasty")
def test_service_that_hangs_is_started_again_with_what_it_started_and_those_that_wait_for_it_are_left(tmp_path):
    scheduler = server("scheduler")
    worker = server("worker", scheduler.checks[0], depends_on=("scheduler",))
    with watching([scheduler, worker, server("bystander")], tmp_path) as (supervisor, wait_for):
        hung = find_processes(tmp_path, "scheduler")
        for process in hung:
            process.suspend()
        wait_for("scheduler", "healthy", 1)
        assert len(hung) == 2
        assert not any(process.is_running() for process in hung)
        assert [one.n_restarts for one in supervisor.states()] == [1, 0, 0]


@pytest.mark.usefixtures("hasty")
def test_nothing_is_killed_where_nothing_answers_and_the_machine_may_be_at_fault(tmp_path):
    looked_at = threading.Semaphore(0)
    answering: set[str] = {"one", "other"}

    class Told(Check):
        def problem(self) -> str | None:
            looked_at.release()
            return None if self.url in answering else "no time"

    with watching([server(name, Told(name)) for name in ("one", "other")], tmp_path) as (supervisor, wait_for):
        answering.clear()
        for _ in range(24):
            assert looked_at.acquire(timeout=60)
        assert [one.condition for one in supervisor.states()] == ["healthy", "healthy"]
        answering.add("other")
        wait_for("one", "starting", 1)
        answering.add("one")
        wait_for("one", "healthy", 1)
        assert supervisor.states()[1].n_restarts == 0


@pytest.mark.usefixtures("hasty")
def test_check_that_never_ends_does_not_hold_up_the_watch_over_others(tmp_path):
    ended, is_asked = threading.Event(), threading.Event()

    class Endless(Check):
        def problem(self) -> str | None:
            if is_asked.is_set():
                ended.wait(120)
            is_asked.set()
            return None

    with watching([server("endless", Endless("")), server("dying")], tmp_path) as (supervisor, wait_for):
        try:
            process = supervisor.states()[1].process
            assert process
            os.kill(process.pid, signal.SIGKILL)
            wait_for("dying", "healthy", 1)
        finally:
            ended.set()


def test_log_is_rotated_under_a_service_that_goes_on_writing_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr(process_tree, "LOG_BYTES", 1000)
    process = start_process([sys.executable, "-c", WRITER], os.environ, tmp_path, "writer")
    log = log_of(tmp_path, "writer")
    try:
        for burst in range(5):
            while f"burst {burst}\n" not in log.read_text():
                assert process.poll() is None
            if burst < 4:
                rotate_logs(tmp_path)
            process.send_signal(signal.SIGUSR1)
    finally:
        process.kill()
        process.wait()
    kept = {path.name: path.read_text().splitlines()[-1] for path in log.parent.iterdir() if path != log}
    assert kept == {"writer.log.1": "burst 3", "writer.log.2": "burst 2", "writer.log.3": "burst 1"}
    assert log.read_bytes().startswith(b"x" * 1000 + b"\nburst 4\n")


def test_log_stays_where_there_is_no_room_for_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(process_tree, "LOG_BYTES", 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=15))
    log = log_of(tmp_path, "one")
    log.parent.mkdir()
    log.write_text("twenty characters...")
    rotate_logs(tmp_path)
    assert {path.name: path.read_text() for path in log.parent.iterdir()} == {"one.log": "twenty characters..."}


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

    waiting = Service("waiting", (sys.executable, "-c", "import signal; signal.pause()"), (AtWork(url="/"),))
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
