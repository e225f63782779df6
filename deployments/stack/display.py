"""The stack as a terminal shows it."""

import sys
from collections.abc import Mapping

from deployments.stack.state import StackState
from flows.terminal import stdout, table_of, text


def say(message: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


def print_progress(state: StackState, shown: set[str]) -> set[str]:
    """Print a line for each service that has come up since, and return the names of all that have been shown."""
    up = [service for service in state.services if service.condition in ("healthy", "done")]
    for service in up:
        if service.name not in shown:
            say(f"  {service.name:<16} {service.condition}")
    return shown | {service.name for service in up}


def print_table(state: StackState, problems: Mapping[str, str | None]) -> None:
    """Print every service: what can be used, where it is and what it says."""
    table = table_of("service", "state", "restarts", "address", "log")
    for service in state.services:
        problem = problems[service.name]
        shown = text(problem, "red", limit=200) if problem else text(service.condition, "green")
        table.add_row(
            text(service.name),
            shown,
            text(str(service.n_restarts)),
            text(service.address),
            text(service.log, limit=900),
        )
    stdout().print(table)
