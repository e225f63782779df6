"""Notices of runs that fail or crash, sent by a hook of every flow; `docs/notices.md` describes every field.

The hook runs in whichever process sees the end of the run: that of the run itself or, where that was killed, that of
the Prefect worker.
"""

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
from prefect import Flow, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, TaskRun
from prefect.logging.loggers import flow_run_logger
from pydantic import BaseModel

from flows.settings import NoticeOptions, read
from reports.display import clean_text
from reviews.transfer import RETRYABLE_STATUS
from schema.errors import RecommenderError, Unavailable
from tasks.addresses import flow_run_page
from tasks.options import StoreOptions

TELLTALES = ("httpx", *(f"httpcore.{layer}" for layer in ("connection", "http11", "http2", "proxy", "socks")))
SENDER = "post-json"
VERSION: Final = 1
MOST_CHARACTERS = 2000
LOOK_AGAIN_SECONDS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.5)
LEAST_SECRET_CHARACTERS = 8

_SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|KEY|CREDENTIAL|AUTH|WEBHOOK", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://)[^\s'\"]*@")
_QUERY = re.compile(r"(\w://[^\s?'\"]+)\?[^\s'\"]*")
_AGAIN = "run the same flow again: it goes on from what is done"
_WHAT_TO_DO = {
    "flow_crashed": f"Nothing is lost: {_AGAIN}.",
    "drift_refused": "Look at the table data-drift of the run; if the reviews are right, run again with --drift warn.",
    "promotion_refused": "The champion serves on as before. Look at why the challenger was refused.",
}


class _Destination(BaseModel):
    """Where notices go, and where the store is; a broken setting elsewhere must not keep a notice back."""

    notice: NoticeOptions = NoticeOptions()
    store: StoreOptions = StoreOptions()


def send_notice(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Post what happened to ``NOTICE_WEBHOOK_URL``, if that is set; a failure is logged and changes nothing.

    The names of the parameters are Prefect's: a worker calls hooks by them.
    """
    destination = read(_Destination, is_strict=False)
    secret = destination.notice.notice_webhook_url
    if secret is None:
        return
    url = secret.get_secret_value()
    notice = build_notice(flow, flow_run, state, destination.store.store_uri, [url])
    level, outcome = logging.INFO, f"Notice of {notice['event']} posted to {host_of(url)}"
    try:
        post_json(url, notice)
    except Unavailable as error:
        level, outcome = logging.ERROR, f"No notice of {notice['event']}: {error}. Check NOTICE_WEBHOOK_URL."
    flow_run_logger(flow_run, flow).log(level, "%s", outcome)


def build_notice(
    flow: Flow[..., Any], flow_run: FlowRun, state: State[Any], store_uri: str, secrets: Iterable[str]
) -> dict[str, Any]:
    """Return the document, JSON values, without these secrets and the values of variables whose names speak of any."""
    error = state.result(raise_on_failure=False) if state.is_failed() else None
    event = "flow_crashed" if state.is_crashed() else str(getattr(error, "event", "flow_failed"))
    named = (value for name, value in os.environ.items() if _SECRET_NAME.search(name))
    known = [*secrets, *(value for value in named if len(value) >= LEAST_SECRET_CHARACTERS)]
    document = {
        "version": VERSION,
        "event": event,
        "flow": flow.name,
        "flow_run_name": flow_run.name,
        "flow_run_id": str(flow_run.id),
        "ui_url": flow_run_page(flow_run.id),
        "state": state.name,
        "error": type(error).__name__ if isinstance(error, BaseException) else None,
        "message": _message(error, state),
        "failing_step": find_failing_step(flow_run.id, is_crash=state.is_crashed()),
        "what_to_do": _what_to_do(event, error),
        "started_at": flow_run.start_time.isoformat() if flow_run.start_time else None,
        "ended_at": state.timestamp.isoformat(),
        "store_uri": store_uri,
        "host": socket.gethostname(),
    }
    return {name: hide_secrets(value, known) if isinstance(value, str) else value for name, value in document.items()}


def hide_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return text of bounded length, on one line, without secrets, and without user names and queries in addresses.

    Example:
        >>> hide_secrets("s3://ada:word@host/x?sign=1 refused hunter22", ["hunter22"])
        's3://host/x?… refused ***'
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return clean_text(_QUERY.sub(r"\1?…", _USER_INFO.sub("", text)), MOST_CHARACTERS)


def find_failing_step(flow_run_id: UUID, *, is_crash: bool) -> str | None:
    """Return the name of the first task run that failed or, in a crash, of one that was running; None if unknown.

    Task runs reach the Prefect server a moment after they end, so it is asked several times.
    """
    kinds = [StateType.FAILED, StateType.CRASHED, *([StateType.RUNNING] if is_crash else [])]
    for pause in LOOK_AGAIN_SECONDS:
        time.sleep(pause)
        try:
            found = _read_task_runs(flow_run_id, kinds)
        except httpx.HTTPError:
            return None
        if found:
            return min(found, key=_order).name
    return None


def _read_task_runs(flow_run_id: UUID, kinds: list[StateType]) -> list[TaskRun]:
    with get_client(sync_client=True) as client:
        return client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])),
            task_run_filter=TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=kinds))),
        )


def _order(run: TaskRun) -> tuple[bool, float]:
    return run.state_type == StateType.RUNNING, run.end_time.timestamp() if run.end_time else 0.0


def _message(error: object, state: State[Any]) -> str:
    if isinstance(error, RecommenderError):
        return str(error)
    return f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else state.message or ""


def _what_to_do(event: str, error: object) -> str:
    if event in _WHAT_TO_DO:
        return _WHAT_TO_DO[event]
    if isinstance(error, Unavailable):
        return f"When the server answers again, {_AGAIN}."
    if isinstance(error, RecommenderError):
        return f"Do what the message says, and {_AGAIN}."
    return f"Look at the logs of the run; when the cause is gone, {_AGAIN}."


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


PATIENCE = Patience()


def post_json(url: str, document: Mapping[str, Any], patience: Patience = PATIENCE) -> None:
    """Post a document until a server takes it (2xx), from a thread that is left behind when time is up.

    An answer of 5xx, 408, 425 or 429, and none at all, are tried again; other answers, redirects among them, are not.

    Args:
        url: http or https; of it only the host shows in messages.
        document: JSON values.
        patience: How long.

    Raises:
        Unavailable: If no try succeeded, or time was up.
    """
    is_over, outcome = threading.Event(), list[str]()
    sender = threading.Thread(
        target=lambda: outcome.append(_post(url, document, patience, is_over)), name=SENDER, daemon=True
    )
    sender.start()
    sender.join(patience.total_seconds)
    is_over.set()
    failure = outcome[0] if outcome else f"no answer within {patience.total_seconds:g} s in all"
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
    for name in TELLTALES:
        logging.getLogger(name).addFilter(_is_of_another_thread)
    with httpx.Client(timeout=timeout, headers={"User-Agent": "amazon-recommender"}) as client:
        for number, pause in enumerate((0.0, *patience.pauses_seconds), start=1):
            if is_over.wait(pause):
                break
            failure, is_final = _try_once(client, url, document)
            if is_final:
                return failure
            failure += f" (try {number} of {n_tries})"
    return failure


def _try_once(client: httpx.Client, url: str, document: Mapping[str, Any]) -> tuple[str, bool]:
    """Return what went wrong, '' for nothing, and whether trying again is useless."""
    try:
        with client.stream("POST", url, json=document) as response:
            status, reason = response.status_code, response.reason_phrase
    except httpx.RequestError as error:
        return type(error).__name__, False  # its text may hold the address
    if httpx.codes.is_success(status):
        return "", True
    return f"it answered {status} {reason}".rstrip(), status < 500 and status not in RETRYABLE_STATUS


def _is_of_another_thread(record: logging.LogRecord) -> bool:
    """Leave out what httpx logs of a sender: the addresses that it asks for, and the headers that it gets."""
    return record.threadName != SENDER
