"""Notices of runs that fail or crash: hooks of each flow, whoever starts it, the command line or a Prefect worker."""

import logging
from typing import Any, TypedDict

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging.loggers import flow_run_logger
from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.options import NoticeOptions
from schema.errors import Unavailable
from tasks.notice import build_notice
from tasks.options import StoreOptions
from tasks.webhook import host_of, post_json


class NoticeHooks(TypedDict):
    """The keyword arguments of ``flow`` that say who is told."""

    on_failure: list[Any]
    on_crashed: list[Any]


class _Environment(BaseSettings, NoticeOptions, StoreOptions):
    """Where notices go, and where the store is, as the environment or ``.env`` says.

    A hook has no other way to know: what it is handed came through the Prefect server, which is not to know a secret;
    and of a run whose process was killed it is called in the worker's process.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )


def send_notice(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Post what happened to ``NOTICE_WEBHOOK_URL``, if that is set; a failure is logged and changes nothing.

    The names of the parameters are Prefect's: a worker calls hooks by them.
    """
    environment = _Environment()
    if environment.notice_webhook_url is None:
        return
    url = environment.notice_webhook_url.get_secret_value()
    notice = build_notice(flow, flow_run, state, environment.store_uri, [url])
    level, outcome = logging.INFO, f"Notice of {notice['event']} posted to {host_of(url)}"
    try:
        post_json(url, notice)
    except Unavailable as error:
        level, outcome = logging.ERROR, f"No notice of {notice['event']}: {error}. Check NOTICE_WEBHOOK_URL."
    flow_run_logger(flow_run, flow).log(level, "%s", outcome)


NOTICES = NoticeHooks(on_failure=[send_notice], on_crashed=[send_notice])
