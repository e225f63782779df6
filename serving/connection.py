"""A connection with limits on how long the head of a request may take, and how large it may be."""

import os
from asyncio import TimerHandle, Transport

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.problems import PROBLEM_JSON

MOST_HEAD_BYTES = 1 << 16


class Connection(HttpToolsProtocol):
    """Uvicorn's connection, which closes an idle one by itself; and one whose head takes too long or is too large."""

    head_seconds = float(os.environ.get("API_READ_SECONDS", "10"))
    _waiting: TimerHandle | None = None
    _n_waiting = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        """Begin to wait for the headers of a request."""
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; more than a head may have ends the connection."""
        if self._waiting:
            self._n_waiting += len(data)
            if self._n_waiting > MOST_HEAD_BYTES + len(data):
                self.send_400_response("The head of the request is too large.")
                return
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Say that what came is no HTTP, and end the connection."""
        detail = f"{msg} Send HTTP/1.1 with a head of at most {MOST_HEAD_BYTES} bytes."
        body = orjson.dumps({"type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail})
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()

    def _wait(self) -> None:
        self._stop_waiting()
        self._n_waiting = 0
        self._waiting = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None
