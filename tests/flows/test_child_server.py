"""Child servers live exactly as long as they should; the server here is Python's own of a folder's files."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from flows import child_server
from flows.child_server import (
    LOOPBACK,
    PORT_TRIES,
    SERVER_PORTS,
    Check,
    ChildServer,
    find_program,
    first_problem,
    free_port,
    require_program,
)
from schema.errors import InvalidInput, Unavailable

# Starts a server as a user's program would, prints its process id, and then waits for the end.
PARENT = """
import os, sys
from flows.child_server import Check, ChildServer, free_port
port = str(free_port())
server = ChildServer(
    [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1"], {}, [Check(f"http://127.0.0.1:{port}/")]
)
server.start()
if "fork" in sys.argv and os.fork() == 0:
    os.setsid()
    sys.stdin.read()
    os._exit(0)
print(server.pid, flush=True)
sys.stdin.read()
"""
# Does what a server that hangs does: nothing, not even end when it is told to.
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"

# Answers, but is not healthy at first.
SLOW_STARTER = """
import http.server, sys
first = iter([503, 404])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(next(first, 200))
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

# Starts a process that does not obey SIGTERM, and answers.
WITH_CHILD = f"""
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", {DEAF!r}])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def python(program: str, *secrets: str) -> ChildServer:
    """Return a server that runs a program, whose argument is the port where it should answer."""
    port = str(free_port())
    checks = [Check(f"http://127.0.0.1:{port}/")]
    return ChildServer([sys.executable, "-c", program, port], {}, checks, secrets=secrets)


def url_of(server: ChildServer) -> str:
    return server._checks[0].url


@contextmanager
def running(server: ChildServer) -> Iterator[ChildServer]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def file_server(tmp_path: Path) -> Iterator[ChildServer]:
    """Serve the files of a folder."""
    port = str(free_port())
    command = [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with running(ChildServer(command, {}, [Check(f"http://127.0.0.1:{port}/")])) as server:
        yield server


@contextmanager
def parent(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", list[psutil.Process]]]:
    """Yield a process that has a server, and all its descendants."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    try:
        server = int(process.stdout.readline())
        family = psutil.Process(process.pid).children(recursive=True)
        assert server in [member.pid for member in family]
        yield process, [member for member in family if "fork" not in member.cmdline()]
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()


def assert_gone(family: list[psutil.Process]) -> None:
    assert family
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_server_ends_with_its_parent_however_that_ends(how):
    with parent() as (process, family):
        assert len(family) == 2
        process.send_signal(how)
        assert_gone(family)


def test_server_ends_with_its_parent_though_a_fork_of_that_lives_on():
    with parent("fork") as (process, family):
        assert len(family) == 2
        process.kill()
        assert_gone(family)


def test_server_ends_when_its_guard_gets_sigterm():
    with parent() as (_, family):
        guard = next(member for member in family if "flows.child_server" in member.cmdline())
        guard.terminate()
        assert_gone([member for member in family if member != guard])


def test_server_that_does_not_obey_is_ended_by_force(monkeypatch):
    monkeypatch.setattr(child_server, "START_TIMEOUT_SECONDS", 1.0)
    server = python(DEAF)
    with pytest.raises(Unavailable, match=r"did not answer within 1 s\. It said: deaf"):
        server.start()
    assert not psutil.pid_exists(server.pid)


def test_server_is_healthy_when_start_returns_and_gone_when_stop_does():
    with running(python(SLOW_STARTER)) as server:
        assert httpx.get(url_of(server)).status_code == 200
        assert psutil.Process(server.pid).is_running()
    assert not psutil.pid_exists(server.pid)
    server.stop()  # once more does no harm


def test_killed_server_is_gone_and_a_running_one_is_replaced_by_a_start(file_server):
    killed = file_server.pid
    file_server.kill()
    assert not psutil.pid_exists(killed)
    file_server.kill()  # once more does no harm
    file_server.start()
    replaced = file_server.pid
    file_server.start()
    assert len({killed, replaced, file_server.pid}) == 3
    assert not psutil.pid_exists(replaced)
    assert first_problem(file_server._checks) is None


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_process_that_a_server_started_ends_with_it(how):
    with running(python(WITH_CHILD)) as server:
        started = psutil.Process(server.pid).children()
        getattr(server, how)()
        assert_gone(started)


def test_server_that_ends_at_once_is_unavailable_with_what_it_said_last_but_not_its_secret():
    password = "open-sesame"  # noqa: S105 (made up)
    server = python(f"import sys; sys.exit('x' * 6000 + 'the password is {password}')", password)
    with pytest.raises(Unavailable, match=r"ended before it answered, with exit code 1\. It said: x+the") as caught:
        server.start()
    assert str(caught.value).endswith("the password is ***")
    assert len(str(caught.value)) < child_server.TAIL_BYTES + 200


def test_program_that_cannot_be_run_is_unavailable(tmp_path):
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x00")
    broken.chmod(0o755)
    with pytest.raises(Unavailable, match="broken at http"):
        ChildServer([str(broken)], {}, [Check(f"http://127.0.0.1:{free_port()}/")]).start()


def test_end_of_a_server_that_is_waited_for_is_unavailable(file_server):
    os.kill(file_server.pid, signal.SIGKILL)
    with pytest.raises(Unavailable, match="ended by itself"):
        file_server.run_to_end()


def test_server_sees_nothing_of_our_environment_but_what_it_needs(monkeypatch):
    monkeypatch.setenv("MINIO_VOLUMES", "elsewhere")
    with pytest.raises(Unavailable) as caught:
        python("import os, sys; sys.exit(' '.join(sorted(os.environ)))").start()
    seen = str(caught.value).split("It said: ")[1].split()
    assert set(seen) <= {*child_server.INHERITED, "LC_CTYPE"}
    assert "PATH" in seen


def test_secret_that_the_cut_of_the_log_halves_is_not_shown_in_part():
    secret = "0123456789"  # noqa: S105 (made up)
    server = python(f"import sys; sys.exit({secret!r} + 'x' * {child_server.TAIL_BYTES - 6})", secret)
    with pytest.raises(Unavailable) as caught:
        server.start()
    assert not re.search("[0-9]x", str(caught.value))


def test_check_finds_the_pattern_in_the_answer(file_server, tmp_path):
    (tmp_path / "health").write_text("status:\nok")
    url = url_of(file_server)
    assert first_problem([Check(url), Check(f"{url}health", "status.*ok")]) is None
    assert first_problem([Check(url), Check(f"{url}health", "bad")]) == f"{url}health does not say 'bad'"
    assert first_problem([Check(f"{url}absent")]) == f"{url}absent answers 404"
    file_server.stop()
    assert str(first_problem([Check(url)])).startswith(f"{url} does not answer: ")


def test_program_is_found_on_path_before_the_built_one(tmp_path, monkeypatch):
    on_path, built = tmp_path / "path", tmp_path / "built"
    for folder in (on_path, built):
        folder.mkdir()
        (folder / "a-server").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(on_path))
    monkeypatch.setattr(child_server, "BUILT_PROGRAMS", built)
    assert find_program("a-server") == on_path / "a-server"
    (on_path / "a-server").unlink()
    assert find_program("a-server") == built / "a-server"
    (built / "a-server").chmod(0o644)
    assert find_program("a-server") is None
    with pytest.raises(InvalidInput, match=r"a-server is neither on PATH nor in .* make services"):
        require_program("a-server")


def test_port_that_is_taken_is_refused_by_its_number(file_server):
    port = httpx.URL(url_of(file_server)).port
    with pytest.raises(InvalidInput, match=f"port {port} of 127.0.0.1 cannot be listened on .*Stop what listens there"):
        free_port(port)
    file_server.stop()
    assert free_port(port) == port


def test_port_that_a_server_is_given_is_one_that_no_connection_gets(monkeypatch):
    first_of_connections = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert SERVER_PORTS.stop <= first_of_connections
    with socket.create_server((LOOPBACK, 0)) as taken:
        monkeypatch.setattr(
            "flows.child_server.SERVER_PORTS", [taken.getsockname()[1]] * (PORT_TRIES - 1) + [free_port()]
        )
        ports = {free_port() for _ in range(5)}
    assert len(ports) == 1
    assert ports < set(SERVER_PORTS)


def test_address_of_another_machine_is_not_said_to_be_taken():
    with pytest.raises(
        InvalidInput, match=r"of 192\.0\.2\.1 cannot be listened on .*Choose another port or address\.$"
    ):
        free_port(host="192.0.2.1")


def test_port_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="port 70000"):
        free_port(70000)


def test_port_is_looked_for_at_the_address_that_it_is_for():
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) == port
        for host in ("127.0.0.2", "0.0.0.0"):  # noqa: S104 - as a stack may be told to
            with pytest.raises(InvalidInput, match=f"port {port} of {host}"):
                free_port(port, host)
