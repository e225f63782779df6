"""A real MinIO: it holds what it should, survives a crash, and tells no secret."""

import httpx
import psutil
import pytest
from botocore.exceptions import BotoCoreError
from servers import s3_client, with_minio

from deployments.s3_server import Credentials, S3Server, open_minio, random_credentials
from flows import child_server
from flows.child_server import free_port
from schema.errors import InvalidInput, Unavailable


def test_server_listens_on_loopback_only(minio):
    listening = {
        connection.laddr.ip
        for connection in psutil.Process(minio.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening
    assert listening <= {"127.0.0.1", "::1"}


def test_secret_is_in_no_repr_and_no_command_line(minio):
    assert minio.credentials.secret_key not in f"{minio!r} {minio.credentials!r} {minio.process!r}"
    assert minio.credentials.secret_key not in " ".join(psutil.Process(minio.process.pid).cmdline())
    assert minio.credentials.access_key in repr(minio)


def test_random_credentials_differ_each_time():
    made = [random_credentials() for _ in range(3)]
    assert len({one.access_key for one in made}) == 3
    assert len({one.secret_key for one in made}) == 3


@with_minio
def test_objects_survive_a_crash_a_restart_and_a_new_start(tmp_path):
    folder, credentials = tmp_path / "made" / "here", Credentials("somebody", "a password of somebody")
    with open_minio(folder, bucket="kept", credentials=credentials) as server:
        s3_client(server.environment()).put_object(Bucket="kept", Key="a", Body=b"content")
        server.process.kill()
        with pytest.raises(BotoCoreError):
            read(server)
        server.process.start()
        assert read(server) == b"content"
    with open_minio(folder, bucket="kept", credentials=credentials) as again:
        assert read(again) == b"content"


def read(server: S3Server) -> bytes:
    data: bytes = s3_client(server.environment()).get_object(Bucket="kept", Key="a")["Body"].read()
    return data


def test_absent_program_is_named_with_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(child_server, "BUILT_PROGRAMS", tmp_path)
    with (
        pytest.raises(InvalidInput, match=r"minio is neither .* make services"),
        open_minio(tmp_path / "data", bucket="none"),
    ):
        pass
    assert not (tmp_path / "data").exists()


@with_minio
def test_credentials_that_minio_refuses_are_told_in_its_words(tmp_path):
    refused = Credentials("somebody", "short")
    with (
        pytest.raises(Unavailable, match="at least 8") as caught,
        open_minio(tmp_path, bucket="none", credentials=refused),
    ):
        pass
    assert "short" not in str(caught.value)


@with_minio
def test_ports_that_are_named_are_taken(tmp_path):
    port, console_port = free_port(), free_port()
    with open_minio(tmp_path, bucket="named", port=port, console_port=console_port) as server:
        assert server.endpoint_url == f"http://127.0.0.1:{port}"
        assert server.console_url == f"http://127.0.0.1:{console_port}"
        assert "MinIO Console" in httpx.get(server.console_url).text
