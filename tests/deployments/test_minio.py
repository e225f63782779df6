"""``make minio``: it serves until it is stopped, keeps credentials and objects, and never tells the password."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from servers import free_ports_in_a_row, s3_client, sourced, with_minio

from deployments import minio
from deployments.s3_server import Credentials
from flows.child_server import free_port
from schema.errors import InvalidInput


@dataclass
class Served:
    """What the command said so far, by line, and its process."""

    process: "subprocess.Popen[str]"
    port: int
    lines: list[str]

    def stop(self, how: signal.Signals) -> tuple[int, str]:
        """Send it a signal that stops it and return the exit code and all that it said."""
        self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=60)
        return self.process.returncode, "\n".join([*self.lines, rest])


def command(folder: Path, port: int, *more: str) -> list[str]:
    return [sys.executable, "-m", "deployments.minio", "--folder", str(folder), "--port", str(port), *more]


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Served]:
    """Run the command until it has said all that it says at the start."""
    port = free_ports_in_a_row(2)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MINIO_")}
    process = subprocess.Popen(
        command(folder, port),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**kept, **variables},
        start_new_session=True,
    )
    assert process.stdout
    lines: list[str] = []
    try:
        while "source" not in (line := process.stdout.readline()):
            assert line, lines
            lines.append(line)
        yield Served(process, port, [*lines, line])
    finally:
        process.kill()
        process.communicate()


@with_minio
def test_sourced_variables_lead_to_the_store_and_nobody_else_can_read_them(tmp_path):
    variables = tmp_path / "minio.env"
    with serving(tmp_path / "minio") as served:
        told = sourced(variables)
        assert stat.S_IMODE(variables.stat().st_mode) == 0o600
        assert set(told) == {
            *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "S3_ENDPOINT_URL", "STORE_URI"),
            "S3_CONSOLE_URL",
        }
        assert told["AWS_REGION"] == "us-east-1"
        assert told["S3_ENDPOINT_URL"] == f"http://127.0.0.1:{served.port}"
        assert told["STORE_URI"] == "s3://recommender/store"
        s3_client(told).put_object(Bucket="recommender", Key="store/a", Body=b"content")


@with_minio
def test_it_leaves_no_server_when_killed_and_takes_credentials_and_objects_up_again(tmp_path):
    variables = tmp_path / "minio.env"
    with serving(tmp_path / "minio") as served:
        before = sourced(variables)
        s3_client(before).put_object(Bucket="recommender", Key="a", Body=b"content")
        family = psutil.Process(served.process.pid).children(recursive=True)
        assert "minio" in [member.name() for member in family]
        assert served.stop(signal.SIGKILL)[0] == -signal.SIGKILL
        assert psutil.wait_procs(family, timeout=30)[1] == []
    with serving(tmp_path / "minio") as served:
        after = sourced(variables)
        assert after == {**before, **{name: after[name] for name in ("S3_ENDPOINT_URL", "S3_CONSOLE_URL")}}
        assert after["S3_ENDPOINT_URL"] == f"http://127.0.0.1:{served.port}"
        assert s3_client(after).get_object(Bucket="recommender", Key="a")["Body"].read() == b"content"


@with_minio
@pytest.mark.skipif(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="a job in the background has no Ctrl-C")
def test_it_tells_where_the_console_is_and_who_may_enter_but_no_password(tmp_path):
    with serving(tmp_path / "minio") as served:
        told = sourced(tmp_path / "minio.env")
        code, said = served.stop(signal.SIGINT)
    assert code == 0
    assert f"console is http://127.0.0.1:{served.port + 1}: user {told['AWS_ACCESS_KEY_ID']}" in said
    assert f"password in {tmp_path / 'minio.env'}" in said
    assert told["AWS_SECRET_ACCESS_KEY"] not in said
    assert "Traceback" not in said


@with_minio
def test_credentials_of_the_environment_are_used_and_kept_whatever_characters_are_in_them(tmp_path):
    password = 'it\'s $HOME "quoted" #1'  # noqa: S105 (made up)
    with serving(tmp_path / "minio", MINIO_ROOT_USER="somebody", MINIO_ROOT_PASSWORD=password) as served:
        told = sourced(tmp_path / "minio.env")
        assert (told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"]) == ("somebody", password)
        s3_client(told).head_bucket(Bucket="recommender")
        assert password not in served.stop(signal.SIGTERM)[1]
    kept = minio.choose_credentials({}, tmp_path / "minio.env")
    assert kept == Credentials("somebody", password)


@with_minio
@pytest.mark.parametrize("role", ["API", "console"])
def test_port_in_use_is_one_line_and_changes_nothing(tmp_path, role):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"API": free_port(), "console": free_port()} | {role: port}
        wanted = command(tmp_path / "minio", ports["API"], "--console-port", str(ports["console"]))
        done = subprocess.run(wanted, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"port {port} of 127\.0\.0\.1 cannot be listened on .*\n", done.stderr)
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@with_minio
def test_server_that_ends_by_itself_ends_the_command_with_its_last_words(tmp_path):
    with serving(tmp_path / "minio") as served:
        family = psutil.Process(served.process.pid).children(recursive=True)
        next(member for member in family if member.name() == "minio").kill()
        said, _ = served.process.communicate(timeout=60)
        password = sourced(tmp_path / "minio.env")["AWS_SECRET_ACCESS_KEY"]
    assert served.process.returncode == 1
    assert "ended by itself" in said
    assert password not in said


def test_folder_that_cannot_be_written_to_is_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert minio.main(["--folder", str(tmp_path / "file" / "minio")]) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(r"--folder: .*minio cannot be written to .*file: Not a directory.*expected.*\n", said)


def test_password_without_user_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="only one of MINIO_ROOT_USER and MINIO_ROOT_PASSWORD"):
        minio.choose_credentials({"MINIO_ROOT_PASSWORD": "secret word"}, tmp_path / "minio.env")


def test_kept_file_without_credentials_is_refused_by_name(tmp_path):
    variables = tmp_path / "minio.env"
    variables.write_text("# mine\nexport AWS_ACCESS_KEY_ID=somebody\n")
    with pytest.raises(InvalidInput, match=r"minio\.env sets no AWS_SECRET_ACCESS_KEY"):
        minio.choose_credentials({}, variables)


def test_variables_replace_older_ones_that_others_could_read(tmp_path):
    variables = tmp_path / "minio.env"
    variables.touch(mode=0o644)
    minio.write_variables(variables, {"A": "b c"})
    assert variables.read_text() == "export A='b c'\n"
    assert stat.S_IMODE(variables.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [variables]
