"""The real S3 servers and Toxiproxy: they hold what they should, survive a crash, and tell no secret."""

import time
from typing import Any

import httpx
import psutil
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from servers import open_versitygw, s3_client

from deployments.s3_server import Credentials, S3Server, open_minio, random_credentials
from flows import child_server
from flows.child_server import find_program, free_port
from schema.errors import InvalidInput, Unavailable

OPENERS = {"minio": open_minio, "versitygw": open_versitygw}
with_minio = pytest.mark.skipif(find_program("minio") is None, reason="no minio: make services")


@pytest.fixture(params=sorted(OPENERS))
def server(request: pytest.FixtureRequest) -> S3Server:
    """Return each of the test run's servers."""
    shared: S3Server = request.getfixturevalue(request.param)
    return shared


def read(server: S3Server, key: str, endpoint_url: str | None = None) -> bytes:
    data: bytes = s3_client(server.environment(), endpoint_url).get_object(Bucket=server.bucket, Key=key)["Body"].read()
    return data


def write(server: S3Server, key: str, data: bytes, endpoint_url: str | None = None) -> None:
    s3_client(server.environment(), endpoint_url).put_object(Bucket=server.bucket, Key=key, Body=data)


def test_object_can_be_written_and_read(server):
    write(server, "a/b", b"content")
    assert read(server, "a/b") == b"content"


def test_create_only_write_refuses_an_existing_key(server):
    write(server, "taken", b"first")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3_client(server.environment()).put_object(Bucket=server.bucket, Key="taken", Body=b"second", IfNoneMatch="*")
    assert read(server, "taken") == b"first"


def test_server_listens_on_loopback_only(server):
    listening = {
        connection.laddr.ip
        for connection in psutil.Process(server.process.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening
    assert listening <= {"127.0.0.1", "::1"}


def test_secret_is_in_no_repr_and_no_command_line(server):
    assert server.credentials.secret_key not in f"{server!r} {server.credentials!r} {server.process!r}"
    assert server.credentials.secret_key not in " ".join(psutil.Process(server.process.pid).cmdline())
    assert server.credentials.access_key in repr(server)


def test_random_credentials_differ_each_time():
    made = [random_credentials() for _ in range(3)]
    assert len({one.access_key for one in made}) == 3
    assert len({one.secret_key for one in made}) == 3


@pytest.mark.parametrize("name", sorted(OPENERS))
def test_objects_survive_a_crash_a_restart_and_a_new_start(name, tmp_path):
    if find_program(name) is None:
        pytest.skip(f"no {name}: make services")
    folder, credentials = tmp_path / "made" / "here", Credentials("somebody", "a password of somebody")
    with OPENERS[name](folder, bucket="kept", credentials=credentials) as server:
        write(server, "a", b"content")
        server.process.kill()
        with pytest.raises(BotoCoreError):
            read(server, "a")
        server.process.start()
        assert read(server, "a") == b"content"
    with OPENERS[name](folder, bucket="kept", credentials=credentials) as again:
        assert read(again, "a") == b"content"


@pytest.mark.parametrize("name", sorted(OPENERS))
def test_absent_program_is_named_with_what_to_type(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(child_server, "BUILT_PROGRAMS", tmp_path)
    with (
        pytest.raises(InvalidInput, match=f"{name} is neither .* make services"),
        OPENERS[name](tmp_path / "data", bucket="none"),
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


def test_proxy_passes_on_what_it_is_given(proxy, minio):
    write(minio, "passed on", b"content", proxy.url)
    assert read(minio, "passed on") == b"content"


@pytest.mark.parametrize(
    ("toxic", "attributes"),
    [("limit_data", {"bytes": 2000}), ("reset_peer", {"timeout": 0}), ("timeout", {"timeout": 100})],
)
def test_toxic_cuts_a_connection_until_it_is_removed(proxy, minio, toxic, attributes):
    content = bytes(100_000)
    write(minio, "cut", content)
    name = proxy.add_toxic(toxic, **attributes)
    with pytest.raises(BotoCoreError):
        read(minio, "cut", proxy.url)
    proxy.remove_toxic(name)
    assert read(minio, "cut", proxy.url) == content


@pytest.mark.parametrize(
    ("toxic", "attributes"), [("latency", {"latency": 300}), ("bandwidth", {"rate": 200})], ids=str
)
def test_toxic_slows_a_connection_down(proxy, minio, toxic, attributes):
    write(minio, "slow", bytes(100_000))
    proxy.add_toxic(toxic, **attributes)
    started = time.monotonic()
    assert len(read(minio, "slow", proxy.url)) == 100_000
    assert time.monotonic() - started > 0.3


def test_disabled_proxy_refuses_and_takes_connections_again_at_the_same_address(proxy, minio):
    write(minio, "reached", b"content")
    proxy.disable()
    with pytest.raises(httpx.ConnectError):
        httpx.get(proxy.url)
    proxy.enable()
    assert read(minio, "reached", proxy.url) == b"content"


def test_proxies_are_apart(toxiproxy, minio):
    first, second = toxiproxy.add_proxy(minio.address), toxiproxy.add_proxy(minio.address)
    first.disable()
    assert httpx.get(f"{second.url}/minio/health/live").is_success


def test_what_toxiproxy_refuses_is_told_in_its_words(proxy):
    wrong: Any = "latenc"
    with pytest.raises(InvalidInput, match=r"Toxiproxy refuses POST .*: .*invalid toxic type"):
        proxy.add_toxic(wrong)
    with pytest.raises(InvalidInput, match="toxic not found"):
        proxy.remove_toxic("absent")
