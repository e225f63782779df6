"""What stands before every route: request ids, limits, headers, figures, problems."""

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from loguru import logger
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving import metrics, page
from serving.keys import Doorman
from serving.options import ServingOptions
from serving.problems import PROBLEM_JSON, Problem

REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._=-]{1,64}")
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NOT_READ: Final = 499  # as it is counted; the client was sent another status, or nothing
SAFETY: Final = (
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
NO_STORE: Final = (b"cache-control", b"no-store")


class Guard:
    """ASGI middleware around the whole application; an exception that no route expected ends here."""

    def __init__(self, app: ASGIApp, options: ServingOptions, doorman: Doorman) -> None:
        self.app, self.options, self.doorman = app, options, doorman
        self._n_at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = _request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id, self.options.api_read_seconds, scope["state"])
        started = time.perf_counter()
        self._n_at_work += 1
        metrics.AT_WORK.inc()
        try:
            await self._answer(scope, headers, receive, answer)
        finally:
            self._n_at_work -= 1
            metrics.AT_WORK.dec()
            self._count(scope, answer.status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, answer: "_Answer") -> None:
        try:
            self._admit(scope, headers)
            receive = _bounded(receive, self.options.api_body_bytes, self.options.api_read_seconds)
            await self.app(scope, receive, answer.send)
        except Problem as problem:
            await problem_response(problem, Request(scope))(scope, receive, answer.send)
        except Exception:
            logger.exception("Request {} {} {} failed", answer.request_id, scope["method"], scope["path"][:200])
            if answer.status:
                raise
            defect = Problem(500, "Internal error", "this is a defect; report it with the id of the request.")
            await problem_response(defect, Request(scope))(scope, receive, answer.send)

    def _admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        if self._n_at_work > self.options.api_concurrency and scope["path"] != "/healthz":
            raise Problem(503, "Too busy", "too many requests are at work; try again.", headers={"Retry-After": "1"})
        client = scope.get("client")
        self.doorman.admit(scope["method"], scope["path"], headers, client[0] if client else "")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self.options.api_body_bytes:
            raise _too_large(self.options.api_body_bytes)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in METHODS else "other"
        metrics.seconds_of(method, route).observe(seconds)
        metrics.requests_of(method, route, status).inc()


class _Answer:
    """The way out: what is sent, with the headers that every answer has, to a client that reads it in time.

    Attributes:
        status: HTTP status that was sent, 0 before; `NOT_READ` where the connection was cut.
    """

    def __init__(self, send: Send, request_id: str, most_seconds: float, state: Mapping[str, Any]) -> None:
        self._send, self._most_seconds = send, most_seconds
        self._abort: Callable[[], None] | None = state.get("abort")
        self._waits: Callable[[], bool] | None = state.get("waits")
        self.request_id, self.status = request_id, 0

    async def send(self, message: Message) -> None:
        """Send a part of an answer; cut the connection if the client has not read the part before in time."""
        if self.status == NOT_READ:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"] = list(message.get("headers", ()))
            headers += SAFETY
            headers.append((b"x-request-id", self.request_id.encode()))
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(NO_STORE)
        if self._waits and not self._waits():
            await self._send(message)
            return
        try:
            async with asyncio.timeout(self._most_seconds):
                await self._send(message)
        except TimeoutError:
            self.status = NOT_READ
            if self._abort:
                self._abort()
                await self._send(message)  # it returns when the connection is gone


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"")
    return given.decode() if REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def _bounded(receive: Receive, most_bytes: int, most_seconds: float) -> Receive:
    """Return what receives a body of at most so many bytes in at most so many seconds."""
    n_bytes, until = 0, asyncio.get_running_loop().time() + most_seconds
    is_whole = False

    async def receive_within() -> Message:
        nonlocal n_bytes, is_whole
        if is_whole:
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise HTTPException(
                408, f"the body did not come within {most_seconds:g} s; send it at once.", {"Connection": "close"}
            ) from None
        n_bytes += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        if n_bytes > most_bytes:
            raise HTTPException(413, _too_large(most_bytes).detail, {"Connection": "close"})
        return message

    return receive_within


def _too_large(most_bytes: int) -> Problem:
    detail = f"expected at most {most_bytes} bytes; send it in parts."
    return Problem(413, "The body is too large", detail, headers={"Connection": "close"})


def problem_response(problem: Problem, request: Request) -> Response:
    """Return a problem as RFC 9457 has it, or as a page where a browser asked for one."""
    request_id = str(request.scope["state"]["request_id"])
    if page.is_wanted(request):
        return page.show_problem(request, problem, request_id)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request_id,
        **problem.more,
    }
    return Response(orjson.dumps(body), problem.status, problem.headers, PROBLEM_JSON)
