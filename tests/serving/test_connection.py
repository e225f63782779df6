"""Clients that do not read, or never end what they send: none of them holds a connection or a place for long."""

import socket
import time
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from api_server import open_api

MOST_SECONDS = 5
LARGE = b"GET /static/swagger-ui/swagger-ui-bundle.js HTTP/1.1\r\nhost: a\r\n\r\n"
SMALL = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    folder = tmp_path_factory.mktemp("connections")
    (folder / "store").mkdir()
    settings = {
        "API_READ_SECONDS": "0.4",
        "API_CONCURRENCY": "4",
        "API_EVENTS_DIR": "none",
        "API_IDLE_SECONDS": "1",
    }
    with open_api(folder, ready="/healthz", **settings) as opened:
        yield opened


@contextmanager
def connected(api, *, most_unread_bytes=None):
    host, port = api.url.removeprefix("http://").split(":")
    with socket.socket() as connection:
        if most_unread_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, most_unread_bytes)
        connection.settimeout(MOST_SECONDS)
        connection.connect((host, int(port)))
        yield connection


def is_closed_within(connection, seconds, sent_again=b""):
    """Tell whether the other side ends a connection, while something is sent on it again and again."""
    ends = time.monotonic() + seconds
    connection.settimeout(0.1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # what was sent is read at once
    while time.monotonic() < ends:
        try:
            connection.sendall(sent_again)
            if not connection.recv(1 << 20):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def in_time(is_so):
    """Ask until something holds, and tell whether it came to."""
    ends = time.monotonic() + MOST_SECONDS
    while time.monotonic() < ends:
        if is_so():
            return True
    return False


def is_open(api):
    """Tell whether there is a place for another request."""
    return httpx.get(f"{api.url}/v1/scenarios").status_code == 200


def is_answered(connection):
    """Tell whether the whole answer to a small request comes."""
    found = b""
    while not found.endswith(b'{"status":"ok"}'):
        if not (part := connection.recv(1000)):
            return False
        found += part
    return found.startswith(b"HTTP/1.1 200 ")


def test_clients_that_do_not_read_lose_their_connections_and_their_places(api):
    slow = []
    with ExitStack() as stack:

        def add_slow():
            slow.append(stack.enter_context(connected(api, most_unread_bytes=4096)))
            slow[-1].sendall(LARGE * 8)
            return True

        assert in_time(lambda: add_slow() and not is_open(api))
        assert httpx.get(f"{api.url}/healthz").status_code == 200
        assert in_time(lambda: 'status="499"' in httpx.get(f"{api.url}/metrics").text)
        assert in_time(lambda: is_open(api))
        assert all(is_closed_within(connection, MOST_SECONDS) for connection in slow)
    assert "ERROR" not in api.log()


def test_a_blank_line_after_an_answer_does_not_keep_a_connection(api):
    with connected(api) as connection:
        connection.sendall(SMALL)
        assert is_answered(connection)
        connection.sendall(b"\r\n")
        assert is_closed_within(connection, 2)


def test_a_body_that_never_ends_does_not_keep_a_connection_whose_request_is_answered(api):
    with connected(api) as connection:
        connection.sendall(SMALL.replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n"))
        assert is_answered(connection)
        assert is_closed_within(connection, 2, b"1\r\na\r\n")


def test_a_connection_is_kept_after_the_rest_of_a_request_that_was_answered_before_it_came(api):
    with connected(api) as connection:
        connection.sendall(SMALL.replace(b"\r\n\r\n", b"\r\ncontent-length: 200000\r\n\r\n"))
        assert is_answered(connection)
        connection.sendall(b"x" * 200_000 + SMALL)
        assert is_answered(connection)
