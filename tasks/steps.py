"""Take the time of the steps of a run, and show where it went."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from loguru import logger
from prefect import task
from prefect.artifacts import create_table_artifact

from reports.tables import TextTable

REST = "the rest"
_TAKEN: ContextVar[dict[str, float]] = ContextVar("taken")


@contextmanager
def step(name: str) -> Iterator[None]:
    """Add the seconds that the body takes to those of a step; steps of a run follow one another and do not nest."""
    logger.bind(in_short=True).info("{}{} …", name[:1].upper(), name[1:])
    began = time.monotonic()
    yield
    taken = _TAKEN.get({})
    taken[name] = taken.get(name, 0.0) + time.monotonic() - began


@contextmanager
def timing() -> Iterator[dict[str, float]]:
    """Yield the seconds of each step so far, in the order of their ends; at the end, of the rest as well."""
    began, taken = time.monotonic(), dict[str, float]()
    token = _TAKEN.set(taken)
    try:
        yield taken
    finally:
        _TAKEN.reset(token)
    taken[REST] = max(0.0, time.monotonic() - began - sum(taken.values()))


@task(name="show steps")
def show_steps(taken: Mapping[str, float]) -> None:
    """Show the seconds of each step and its share of all, in the log and as a table on Prefect's pages."""
    total = sum(taken.values())
    rows = [[name, f"{seconds:.1f}", f"{seconds / total:.0%}"] for name, seconds in [*taken.items(), ("all", total)]]
    table = TextTable(["step", "seconds", "share"], rows, strong={len(taken)})
    logger.info("Where the time went:\n{}", table.to_text(60))
    create_table_artifact(table.to_records(), key="seconds", description="Where the time of the run went")
