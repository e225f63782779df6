"""The application: what is started and stopped with it, its documentation, and how errors are answered."""

import asyncio
import errno
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from loguru import logger
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from schema.arms import CHALLENGER, CHAMPION, Arm
from schema.errors import OutOfSpace, RecommenderError
from schema.version import VERSION
from serving import api, metrics, page
from serving.events import Journal
from serving.following import Follower
from serving.guard import Guard, problem_response
from serving.keys import Doorman
from serving.log import start_log
from serving.options import ServingOptions, read_options
from serving.problems import Problem
from serving.service import Service
from serving.shortcut import Shortcut

STATIC: Final = Path(__file__).parent / "static"
WATCH_SECONDS: Final = 0.25
LONGEST_WAIT_SECONDS: Final = 60.0
COLLECT_AFTER: Final = 20_000  # objects more than before
MOST_ERRORS: Final = 20
TEXT_SHOWN: Final = 120
RETRY: Final = {"Retry-After": "5"}
ADVICE: Final = {
    404: "there is nothing at this address; /docs lists what there is.",
    405: "this address does not take that method; /docs lists those that it takes.",
    400: "the body could not be read; send JSON, as /docs shows it.",
}


def create_worker() -> FastAPI:
    """Return the application with the options of the environment, and start the log."""
    options = read_options()
    start_log(options.log_level, options.log_format)
    return create_app(options)


def create_app(options: ServingOptions) -> FastAPI:
    """Return the application."""
    doorman = Doorman(options)
    app = FastAPI(
        title="Recommendations",
        version=VERSION,
        summary="Items for people, known or new, from the model that is the champion.",
        lifespan=_lifespan(options, doorman),
        docs_url=None,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # /metrics has what is to be known
    )
    handlers: dict[type[Exception], Callable[[Any], Problem]] = {
        Problem: lambda problem: problem,
        HTTPException: _of_http,
        RequestValidationError: _of_validation,
        RecommenderError: _of_trouble,
        OSError: _of_trouble,
    }
    app.add_middleware(Shortcut, handlers=handlers)
    app.add_middleware(Guard, options=options, doorman=doorman)
    if options.api_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=options.api_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "x-api-key", "content-type", "x-request-id"],
            expose_headers=["x-request-id", "retry-after"],
        )
    if doorman.key_file:
        app.openapi = _with_keys(app)  # type: ignore[method-assign]
    for router in (api.router, page.router):
        app.router.routes.extend(router.routes)  # a router that is included matches each request twice
    app.mount("/static", page.Static(directory=STATIC))
    for kind, as_problem in handlers.items():
        app.add_exception_handler(kind, _answering(as_problem))
    return app


def _with_keys(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return what makes the description of an API that needs keys."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        described = plain()
        schemes = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        described["components"]["securitySchemes"] = schemes
        return described | {"security": [{name: []} for name in schemes]}

    return openapi


def _answering(as_problem: Callable[[Any], Problem]) -> Callable[[Request, Exception], Any]:
    async def answer(request: Request, error: Exception) -> Response:
        return problem_response(as_problem(error), request)

    return answer


def _of_http(error: HTTPException) -> Problem:
    title = HTTPStatus(error.status_code).phrase
    detail = error.detail if error.status_code in (408, 413) else ADVICE.get(error.status_code, error.detail)
    return Problem(error.status_code, title, detail, headers=error.headers)


def _of_validation(error: RequestValidationError) -> Problem:
    errors = [
        {"at": ".".join(_printable(str(part)) for part in one["loc"]), "problem": _printable(one["msg"])}
        for one in error.errors()[:MOST_ERRORS]
    ]
    first = errors[0]
    detail = f"{first['at']}: {first['problem']}; /docs shows what is expected."
    return Problem(422, "The request does not fit", detail, errors=errors)


def _of_trouble(error: RecommenderError | OSError) -> Problem:
    logger.warning("{}: {}", type(error).__name__, error)
    if isinstance(error, OutOfSpace) or getattr(error, "errno", None) == errno.ENOSPC:
        return Problem(507, "The disk is full", "nothing was taken; try again when there is space.", headers=RETRY)
    return Problem(503, "The store does not answer", "nothing was changed; try again.", headers=RETRY)


def _printable(text: str) -> str:
    shown = text.encode("utf-8", "backslashreplace").decode()
    return shown if len(shown) <= TEXT_SHOWN else f"{shown[:TEXT_SHOWN]}…"


def _lifespan(options: ServingOptions, doorman: Doorman) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        journal = Journal(options.api_events_dir) if options.api_events_dir else None
        service = app.state.service = Service(
            options, _followers(options), journal, metrics.count_way, metrics.count_events
        )
        for follower in service.followers.values():
            follower.start()
        poll = partial(_poll, service, doorman)
        watch = partial(_watch, service, {arm: metrics.FollowerFigures(arm) for arm in service.followers})
        tasks = [
            asyncio.create_task(_repeat("Looking for scenarios and keys", poll, options.api_poll_seconds)),
            asyncio.create_task(_repeat("Taking the figures", watch, WATCH_SECONDS)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for follower in service.followers.values():
                await run_in_threadpool(follower.stop)
            if journal:
                await run_in_threadpool(journal.close)

    return lifespan


def _followers(options: ServingOptions) -> dict[Arm, Follower]:
    """Return who follows which model, by arm."""
    wanted: dict[Arm, str | None] = {CHAMPION: options.api_model}
    if options.api_challenger:
        wanted[CHALLENGER] = options.api_challenger
    return {arm: _follower(options, arm, model_id) for arm, model_id in wanted.items()}


def _follower(options: ServingOptions, arm: Arm, model_id: str | None) -> Follower:
    cache = options.work_dir / "serving" / arm
    return Follower(options.open_store, cache, model_id=model_id, poll_seconds=options.api_poll_seconds)


async def _repeat(what: str, once: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
    """Do something again and again, and less often while it ends with an error that nobody expected."""
    wait_seconds = pause_seconds
    while True:
        try:
            await once()
            wait_seconds = pause_seconds
        except Exception:  # noqa: BLE001 - whatever it is, the next round may do better
            logger.exception("{} failed, and is tried again", what)
            wait_seconds = max(pause_seconds, min(2 * wait_seconds, LONGEST_WAIT_SECONDS))
        await asyncio.sleep(wait_seconds)


async def _watch(service: Service, figures: Mapping[Arm, metrics.FollowerFigures]) -> None:
    """Make ready what was swapped in, and keep the figures of what happens in threads."""
    for arm, follower in service.followers.items():
        served = follower.current
        if figures[arm].take(follower) and served:
            await run_in_threadpool(service.catalogue_of(served).warm_up)
            _settle_memory()
            logger.info("Ready: {0}/ is the page, {0}/docs the documentation", service.options.address)
    metrics.show_problems(service.problems())
    if service.journal:
        metrics.DROPPED.set(service.journal.n_dropped)
        with suppress(RecommenderError):  # which is a problem of the journal's by itself
            metrics.BACKLOG.set(service.journal.backlog())


def _settle_memory() -> None:
    """Have the garbage collector look neither often nor at what stays until the next swap."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


async def _poll(service: Service, doorman: Doorman) -> None:
    """Look for other scenarios and keys."""
    if doorman.key_file:
        await run_in_threadpool(doorman.key_file.refresh)
    await run_in_threadpool(service.refresh)
