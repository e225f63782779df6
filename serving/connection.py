"""A connection with limits: how long a request and an unread answer may take, and how large a head may be."""

import os
from asyncio import TimerHandle, Transport
from collections.abc import Callable

import orjson
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from serving.problems import PROBLEM_JSON

MOST_HEAD_BYTES = 1 << 16


class Connection(HttpToolsProtocol):
    """Uvicorn's connection, closed also when a head is late or too large, or the client does not read to the end.

    The state of a request has what cuts the connection, as ``abort``, and what tells whether the next part of an answer
    waits for the client to read the parts before, as ``waits``.
    """

    head_seconds = float(os.environ.get("API_READ_SECONDS", "10"))
    _waiting: TimerHandle | None = None
    _n_waiting = 0
    _at_work: RequestResponseCycle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        """Begin to wait for the headers of a request."""
        super().on_message_begin()
        self.scope["state"] |= {"abort": self.transport.abort, "waits": self._has_unread}
        self._wait()

    def on_headers_complete(self) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that a request is whole, also one that is answered already."""
        super().on_message_complete()
        self.cycle.more_body = False
        if self.cycle.response_complete:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Limit the wait for the rest of a request that is answered already, and for what is not read yet."""
        is_last = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()
        elif is_last and self._is_rest_due():
            self._wait()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and tell the request at work, which need not be the last one that came."""
        self._stop_waiting()
        if self._at_work:
            self._at_work.disconnected = True
            self._at_work.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._at_work = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Take what came; more than a head may have ends the connection."""
        if self._waiting and not self._is_rest_due():
            self._n_waiting += len(data)
            if self._n_waiting > MOST_HEAD_BYTES + len(data):
                self.send_400_response("The head of the request is too large.")
                return
        super().data_received(data)
        if self._is_idle() and not (self._waiting or self.timeout_keep_alive_task or self.transport.is_closing()):
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Say that what came is no HTTP, and end the connection."""
        detail = f"{msg} Send HTTP/1.1 with a head of at most {MOST_HEAD_BYTES} bytes."
        body = orjson.dumps({"type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail})
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self._close()

    def _has_unread(self) -> bool:
        return self.flow.write_paused

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _is_rest_due(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete and self.cycle.more_body

    def _close(self) -> None:
        """Close when all is sent, or what is left has not been read for too long."""
        self.transport.close()
        self._wait(self.transport.abort)

    def _wait(self, then: Callable[[], None] | None = None) -> None:
        self._stop_waiting()
        self._n_waiting = 0
        self._waiting = self.loop.call_later(self.head_seconds, then or self._close)

    def _stop_waiting(self) -> None:
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None
