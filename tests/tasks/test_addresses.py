"""What is wrong with a server is told as what it is: silent, strict about users, or another server."""

import pytest
from receiver import receiving, status

from tasks.addresses import health_problem


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (200, None),
        (401, "answers 401 Unauthorized where it should say that it is healthy; give a user who may in the address"),
        (404, "answers 404 Not Found where it should say that it is healthy"),
        (503, "answers 503 Service Unavailable where it should say that it is healthy"),
    ],
)
def test_a_server_that_answers_is_not_said_to_be_silent(code, problem):
    with receiving(status(code)) as (url, _):
        assert health_problem(url) == problem


def test_a_server_that_does_not_answer_is_said_to_be_silent():
    assert health_problem("http://ada:secret@127.0.0.1:9/api") == "does not answer (ConnectError)"
