"""One JSON document posted to a web address that is a secret: tried a few times, for a bounded time, never logged."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from reviews.transfer import RETRYABLE_STATUS
from schema.errors import Unavailable

TELLTALES = ("httpx", *(f"httpcore.{layer}" for layer in ("connection", "http11", "http2", "proxy", "socks")))


@dataclass(frozen=True)
class Patience:
    """How long a delivery is tried for.

    Attributes:
        silence_seconds: Longest wait for the connection, and for each answer.
        pauses_seconds: Waits before the second try, the third, and so on; there is one more try than pauses.
        total_seconds: End of it all, whatever the server does.
    """

    silence_seconds: float = 5.0
    pauses_seconds: tuple[float, ...] = (1.0, 4.0)
    total_seconds: float = 20.0


def post_json(url: str, document: Mapping[str, Any], patience: Patience | None = None) -> None:
    """Post a document until a server takes it (2xx), from a thread that is left behind when time is up.

    An answer of 5xx, 408, 425 or 429, and none at all, are tried again; other answers, redirects among them, are not.

    Args:
        url: http or https; of it only the host shows in messages.
        document: JSON values.
        patience: How long; by default `Patience()`.

    Raises:
        Unavailable: If no try succeeded, or time was up.
    """
    chosen = patience or Patience()
    is_over, outcome = threading.Event(), list[str]()
    sender = threading.Thread(
        target=lambda: outcome.append(_post(url, document, chosen, is_over)), name="post-json", daemon=True
    )
    sender.start()
    sender.join(chosen.total_seconds)
    is_over.set()
    failure = outcome[0] if outcome else f"no answer within {chosen.total_seconds:g} s in all"
    if failure:
        raise Unavailable(f"{host_of(url)} did not take what was posted to it: {failure}")


def host_of(url: str) -> str:
    """Return the part of an address that is no secret.

    Example:
        >>> host_of("https://ada:word@hooks.example.org:8443/services/T0/B0/secret?token=1")
        'hooks.example.org'
    """
    return httpx.URL(url).host


def _post(url: str, document: Mapping[str, Any], patience: Patience, is_over: threading.Event) -> str:
    """Return '' once the document is taken, else what came of the last try."""
    failure, n_tries = "", len(patience.pauses_seconds) + 1
    timeout = httpx.Timeout(patience.silence_seconds)
    with _unlogged(), httpx.Client(timeout=timeout, headers={"User-Agent": "amazon-recommender"}) as client:
        for number, pause in enumerate((0.0, *patience.pauses_seconds), start=1):
            if is_over.wait(pause):
                break
            failure, is_final = _try_once(client, url, document)
            if is_final:
                return failure
            failure += f" (try {number} of {n_tries})"
    return failure


def _try_once(client: httpx.Client, url: str, document: Mapping[str, Any]) -> tuple[str, bool]:
    """Return what went wrong, '' for nothing, and whether that is the last word."""
    try:
        with client.stream("POST", url, json=document) as response:
            status, reason = response.status_code, response.reason_phrase
    except httpx.RequestError as error:
        return type(error).__name__, False  # its text may hold the address
    if httpx.codes.is_success(status):
        return "", True
    return f"it answered {status} {reason}".rstrip(), status < 500 and status not in RETRYABLE_STATUS


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep httpx from logging the addresses that this thread asks for, and the headers that it gets."""
    own = threading.get_ident()

    def is_elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != own

    loggers = [logging.getLogger(name) for name in TELLTALES]
    for logger in loggers:
        logger.addFilter(is_elsewhere)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_elsewhere)
