"""What Prometheus reads at ``/metrics``: of this process, or of all workers where there are several."""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client import generate_latest as generate
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from serving.following import Follower

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
disable_created_metrics()  # type: ignore[no-untyped-call]

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

SECONDS = Histogram("api_request_seconds", "Seconds of a request.", ("method", "route"), buckets=_BUCKETS)
REQUESTS = Counter("api_requests", "Requests by their status.", ("method", "route", "status"))
AT_WORK = Gauge("api_requests_at_work", "Requests at work.", multiprocess_mode="livesum")
ANSWERS = Counter("api_recommendations", "Answers with recommendations.", ("way", "arm"))
EVENTS = Counter("api_events", "Events: new, and repeated ones.", ("kind",))
MODEL = Gauge(
    "api_model", "1 for the model that is served.", ("arm", "model_id", "bundle_id"), multiprocess_mode="livemax"
)
SWAPS = Counter("api_model_swaps", "Models that were taken over.", ("arm",))
REFUSALS = Counter("api_model_refusals", "Looks at which a model was refused.", ("arm",))
STORE_ERRORS = Counter("api_store_errors", "Looks at which the store did not answer as it should.", ("arm",))
PROBLEM = Gauge("api_problem", "1 while something is the matter: see /readyz.", ("kind",), multiprocess_mode="livemax")
DROPPED = Gauge("api_impressions_dropped", "Impressions left out for want of space.", multiprocess_mode="livesum")

BACKLOG = Gauge("api_journal_backlog", "What the store does not have yet.", multiprocess_mode="livemax")


@lru_cache(maxsize=1024)
def seconds_of(method: str, route: str) -> Histogram:
    """Return where the seconds of a route are counted."""
    return SECONDS.labels(method, route)


@lru_cache(maxsize=4096)
def requests_of(method: str, route: str, status: int) -> Counter:
    """Return where the requests of a route with a status are counted."""
    return REQUESTS.labels(method, route, str(status))


@lru_cache(maxsize=64)
def _answers_of(way: str, arm: str) -> Counter:
    return ANSWERS.labels(way, arm)


def count_way(way: str, arm: str) -> None:
    """Count an answer with recommendations."""
    _answers_of(way, arm).inc()


def count_events(n_new: int, n_repeated: int) -> None:
    """Count events that are on the disk."""
    EVENTS.labels("new").inc(n_new)
    EVENTS.labels("repeated").inc(n_repeated)


class FollowerFigures:
    """The figures of a follower, which counts in a thread of its own."""

    def __init__(self, arm: str) -> None:
        self._arm, self._before = arm, (0, 0, 0)
        self._model: Gauge | None = None

    def take(self, follower: Follower) -> bool:
        """Take over what a follower counted, and tell whether it serves something else than before."""
        now = follower.n_swaps, follower.n_refusals, follower.n_store_errors
        for counter, value, before in zip((SWAPS, REFUSALS, STORE_ERRORS), now, self._before, strict=True):
            if value > before:
                counter.labels(self._arm).inc(value - before)
        has_swapped = now[0] > self._before[0]
        self._before = now
        if has_swapped and (served := follower.current):
            if self._model:
                self._model.set(0)
            self._model = MODEL.labels(self._arm, served.model_id, served.bundle_id)
            self._model.set(1)
        return has_swapped


def show_problems(problems: Mapping[str, str]) -> None:
    """Show what is the matter, by its kind."""
    kinds = {name.split()[0] for name in problems}
    for kind in _seen_problems | kinds:
        PROBLEM.labels(kind).set(kind in kinds)
    _seen_problems.update(kinds)


_seen_problems: set[str] = set()


def render() -> bytes:
    """Return all figures as Prometheus reads them."""
    if SHARED_FOLDER not in os.environ:
        return generate(REGISTRY)
    for file in Path(os.environ[SHARED_FOLDER]).glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not Path(f"/proc/{pid}").exists():
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate(registry)
