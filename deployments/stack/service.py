"""What is known of one program of the stack."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deployments.stack.health import Check


@dataclass(frozen=True)
class Service:
    """One program of the stack.

    Attributes:
        name: What it is called, in the table, in the log's name and as a host in compose.
        command: Program, looked for on PATH, and arguments.
        about: One line.
        checks: Answers that show that it can be used; without any, it is a job, which is done when it ends with 0.
        address: Where to use it or look at it.
        ports: Ports that it listens on, by the setting that each comes from.
        depends_on: Names of services that have to be usable before it is started.
        environment: Variables without secrets.
        secrets: Names of variables with secrets that it gets.
        runs_flows: Whether the project's own code runs in it, for which it sees the environment of ``make up``.
        folders: Where it keeps what has to outlive it.
        ends_children_first: Whether the processes that it started get SIGTERM, and time to end, before it does.
    """

    name: str
    command: tuple[str, ...]
    about: str
    checks: tuple[Check, ...] = ()
    address: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    runs_flows: bool = False
    folders: tuple[str, ...] = ()
    ends_children_first: bool = False

    @property
    def is_job(self) -> bool:
        """Whether it is done when it ends."""
        return not self.checks
