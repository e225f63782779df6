"""Start, show and stop the process stack: Prefect, Dask, Spark, MinIO and MLflow on this machine.

    python -m deployments.stack up
    python -m deployments.stack status
    python -m deployments.stack down

Variables that begin with STACK_, or the file .env.stack, set ports, numbers and folders: docs/operations.md.
"""

import argparse
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from deployments.stack.commands import bring_up, show_status, take_down
from deployments.stack.settings import StackSettings, variable
from schema.errors import RecommenderError

FAILED, BAD_SETTINGS = 1, 2
COMMANDS = {"up": bring_up, "status": show_status, "down": take_down}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 if it succeeded, 1 if not, 2 if a setting does not fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=tuple(COMMANDS))
    command = COMMANDS[parser.parse_args(arguments).command]
    try:
        return command(StackSettings())
    except ValidationError as error:
        sys.stderr.write(explain(error))
        return BAD_SETTINGS
    except RecommenderError as error:
        sys.stderr.write(f"{error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted\n")
    return FAILED


def explain(error: ValidationError) -> str:
    """Return one line per setting that does not fit: its variable, what was expected and what was found."""
    lines = []
    for problem in error.errors():
        message = problem["msg"].removeprefix("Value error, ")
        named = f"{variable(str(problem['loc'][0]))}: " if problem["loc"] else ""
        found = f"; found {problem['input']!r}" if problem["loc"] else ""
        lines.append(f"{named}{message}{found}\n")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
