"""What every ``python flows/<stage>.py`` has in common: flags, errors, exit codes and the result record."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from loguru import logger
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flows.flags import add_flags, build_parser, flag_of, is_secret, is_variable
from flows.options import RunOptions
from flows.termination import Terminated, raising_on_sigterm
from reports.display import clean_text
from schema.errors import RecommenderError
from storage.files import write_whole
from tasks.log_lines import start_log

__all__ = ["Command", "StageFailed", "build_parser", "explain", "flag_of", "run", "run_one_of", "write_json"]

DONE, FAILED, BAD_USAGE = 0, 1, 2
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
GO_ON = "run the same command again to go on from what is done"
MOST_LINE_CHARACTERS = 4000

Result = Mapping[str, Any]


Chosen = TypeVar("Chosen", bound=RunOptions)


@dataclass(frozen=True)
class Command(Generic[Chosen]):
    """One of the things that a program can be told to do.

    Attributes:
        name: What the command line calls it.
        stage: Does the work and returns the result record, JSON values.
        parts: The options that it obeys; only their flags are offered.
        description: One line for ``--help``.
        settings_type: The model that its settings are read into.
    """

    name: str
    stage: Callable[[Chosen], Result]
    parts: Sequence[type[BaseModel]]
    description: str
    settings_type: type[Chosen]


class StageFailed(RecommenderError):
    """A stage came to its end, and what it found is a failure; its result record is written all the same."""

    def __init__(self, message: str, record: Result) -> None:
        super().__init__(message)
        self.record = record


def run(
    stage: Callable[[Chosen], Result],
    parts: Sequence[type[BaseModel]],
    *,
    description: str,
    settings_type: type[Chosen],
    arguments: Sequence[str] | None = None,
) -> int:
    """Run a stage with the settings of the command line and return the exit code.

    Args:
        stage: Does the work and returns the result record, JSON values.
        parts: The options that the stage obeys; only their flags are offered.
        description: One line for ``--help``.
        settings_type: The model that the settings are read into.
        arguments: The command line; None takes the process's own.

    Returns:
        0 done, 1 failed, 2 bad usage or settings, 130 interrupted by Ctrl-C, 143 terminated by SIGTERM.
    """
    flags = build_parser(parts, description).parse_args(arguments)
    return _run(stage, settings_type, vars(flags))


def run_one_of(commands: Sequence[Command[Any]], *, description: str, arguments: Sequence[str] | None = None) -> int:
    """Run the command that the command line begins with, and return the exit code as `run` does.

    Args:
        commands: What there is to choose from.
        description: One line for ``--help``.
        arguments: The command line; None takes the process's own.
    """
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    offered = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for command in commands:
        about = command.description
        add_flags(offered.add_parser(command.name, help=about, description=about, allow_abbrev=False), command.parts)
    flags = vars(parser.parse_args(arguments))
    name = flags.pop("command")
    chosen = next(command for command in commands if command.name == name)
    return _run(chosen.stage, chosen.settings_type, flags)


def _run(stage: Callable[[Chosen], Result], settings_type: type[Chosen], flags: Mapping[str, Any]) -> int:
    given = {name: value for name, value in flags.items() if value is not None}
    json_path: Path | None = given.pop("json", None)
    try:
        settings = settings_type(**given)
    except ValidationError as error:
        sys.stderr.write(explain(error, settings_type))
        return BAD_USAGE
    start_log(settings)
    with raising_on_sigterm() as termination:
        try:
            _run_to_record(stage, settings, json_path)
        except (Exception, Terminated) as error:
            if termination.is_asked_for:
                logger.error("Terminated; {}", GO_ON)
                return TERMINATED
            if not isinstance(error, RecommenderError):
                raise
            logger.error("{}", printable(str(error)))
            return FAILED
        except KeyboardInterrupt:
            logger.error("Interrupted; {}", GO_ON)
            return INTERRUPTED
    return DONE


def _run_to_record(stage: Callable[[Chosen], Result], settings: Chosen, json_path: Path | None) -> None:
    try:
        result = stage(settings)
    except StageFailed as failure:
        if json_path:
            write_json(json_path, failure.record)
        raise
    if json_path:
        write_json(json_path, result)


def printable(text: str) -> str:
    r"""Return text that cannot steer a terminal: of all that does not show, only line breaks stay.

    Example:
        >>> printable("two\nlines\x1b[2J")
        'two\nlines\\x1b[2J'
    """
    return "\n".join(clean_text(line, MOST_LINE_CHARACTERS) for line in text.split("\n"))


def explain(error: ValidationError, settings_type: type[BaseModel]) -> str:
    """Return one line per setting that does not fit: its flag, what was expected and what was found."""
    return "".join(f"{_explain_one(problem, settings_type)}\n" for problem in error.errors())


def _explain_one(problem: ErrorDetails, settings_type: type[BaseModel]) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    name = str(problem["loc"][0])
    field = settings_type.model_fields.get(name)
    if field is None:
        return f"{name}: unknown setting; 'python flows/train.py --help' lists those that there are"
    if is_secret(field):
        return f"{name.upper()}: {message}"
    variable = f" (or {name.upper()})" if is_variable(field) else ""
    return f"{flag_of(name, field)}{variable}: {message}; found {problem['input']!r}"


def write_json(path: Path, record: Result) -> None:
    """Write a record so that no reader sees half of it."""
    write_whole(path, json.dumps(record, indent=2, sort_keys=True) + "\n")
