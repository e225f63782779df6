"""A web server on loopback that keeps what is posted to it, at an address that is a secret."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PLANTED = "T0-hunter22-planted"
Answer = Callable[[BaseHTTPRequestHandler, int], None]


@contextmanager
def receiving(answer: Answer) -> Iterator[tuple[str, list[Any]]]:
    """Serve on loopback; yield the address, which holds a secret, and the documents that come in."""
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            answer(self, len(received))

        def do_GET(self) -> None:
            answer(self, 1)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True).start()
    try:
        yield f"http://ada:{PLANTED}@127.0.0.1:{server.server_port}/{PLANTED}?token={PLANTED}", received
    finally:
        server.shutdown()
        server.server_close()


def status(*codes: int) -> Answer:
    """Answer with one status after the other, then with the last."""

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        handler.send_response(codes[min(number, len(codes)) - 1])
        handler.send_header("Location", f"/{PLANTED}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer
