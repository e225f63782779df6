"""Posting to real servers on loopback, good, bad and slow."""

import logging
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest
from receiver import PLANTED, receiving, status

from flows.notices import Patience, host_of, post_json
from schema.errors import Unavailable

AT_ONCE = Patience(silence_seconds=5, pauses_seconds=(0.01, 0.01), total_seconds=20)


def test_document_arrives_as_it_is():
    with receiving(status(204)) as (url, received):
        post_json(url, {"event": "flow_failed", "n": 1, "text": "naïve 🙂"}, AT_ONCE)
    assert received == [{"event": "flow_failed", "n": 1, "text": "naïve 🙂"}]


@pytest.mark.parametrize("code", [500, 503, 429, 408])
def test_server_that_is_busy_is_asked_again(code):
    with receiving(status(code, code, 200)) as (url, received):
        post_json(url, {"event": "x"}, AT_ONCE)
    assert received == [{"event": "x"}] * 3


def test_posting_gives_up_after_the_last_pause():
    with receiving(status(503)) as (url, received), pytest.raises(Unavailable, match=r"127.0.0.1 .* 503 .*try 3 of 3"):
        post_json(url, {}, AT_ONCE)
    assert len(received) == 3


@pytest.mark.parametrize("code", [302, 400, 403, 404, 410])
def test_server_that_refuses_is_not_asked_again(code):
    with receiving(status(code)) as (url, received), pytest.raises(Unavailable, match=f"answered {code}"):
        post_json(url, {}, AT_ONCE)
    assert len(received) == 1


def test_server_that_is_not_there_is_told():
    with receiving(status(200)) as (url, _):
        pass
    with pytest.raises(Unavailable, match="ConnectError"):
        post_json(url, {}, AT_ONCE)


def test_server_that_drips_its_answer_is_left_when_time_is_up():
    is_over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler, _: int) -> None:
        while not is_over.wait(0.05):  # each byte comes before the client's patience with silence ends
            handler.wfile.write(b"H")

    started = time.monotonic()
    with receiving(drip) as (url, _):
        with pytest.raises(Unavailable, match=r"no answer within 0.5 s in all"):
            post_json(url, {}, Patience(silence_seconds=5, pauses_seconds=(), total_seconds=0.5))
        is_over.set()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("codes", [(200,), (503,), (302,)])
def test_secrets_of_the_address_are_in_no_log_line_and_no_message(codes, caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    messages = []
    with receiving(status(*codes)) as (url, received):
        try:
            post_json(url, {}, AT_ONCE)
        except Unavailable as error:
            messages.append(str(error))
    assert received
    said = "".join(record.getMessage() for record in caplog.records) + "".join(messages)
    assert PLANTED not in said


def test_host_is_all_that_shows():
    assert host_of(f"https://ada:{PLANTED}@hooks.example.org:1/{PLANTED}?{PLANTED}#{PLANTED}") == "hooks.example.org"
