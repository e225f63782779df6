"""What is known of a stack between commands: one file in its folder, replaced as a whole."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from deployments.stack.process_tree import ProcessIdentity
from flows.child_server import Check, first_problem
from schema.errors import InvalidInput
from schema.options import FrozenModel
from storage.files import write_whole

STATE_FILE = "state.json"

Phase = Literal["starting", "running", "failed"]
Condition = Literal["waiting", "starting", "healthy", "done", "restarting"]


class ServiceState(FrozenModel):
    """One service as its supervisor last saw it."""

    name: str
    address: str
    log: str
    checks: tuple[Check, ...]
    condition: Condition = "waiting"
    process: ProcessIdentity | None = None
    n_restarts: int = 0

    def problem(self) -> str | None:
        """Check the service itself, and return why it cannot be used, or None if it can."""
        if self.condition == "done":
            return None
        if self.process is None or self.process.process() is None:
            return "is restarted in a moment" if self.condition == "restarting" else "does not run"
        return first_problem(self.checks)


class StackState(FrozenModel):
    """The whole stack as its supervisor last saw it."""

    supervisor: ProcessIdentity
    phase: Phase
    services: tuple[ServiceState, ...]
    problem: str = ""

    @property
    def is_supervised(self) -> bool:
        """Whether the supervisor runs."""
        return self.supervisor.process() is not None

    def write(self, folder: Path) -> None:
        """Write the state, so that no reader sees half of it."""
        write_whole(folder / STATE_FILE, self.model_dump_json(indent=2) + "\n")


def read_state(folder: Path) -> StackState | None:
    """Return the state written last, or None where no stack is known.

    Raises:
        InvalidInput: If the file is no state of a stack, or may not be read.
    """
    path = folder / STATE_FILE
    try:
        return StackState.model_validate_json(path.read_text("utf-8")) if path.exists() else None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror}). Change its rights, or remove it.") from error
    except (ValidationError, UnicodeDecodeError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise InvalidInput(
            f"{path} is no state of a stack ({why}). Remove it and type: make down, which finds what still runs."
        ) from error
