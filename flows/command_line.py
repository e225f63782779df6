"""What every ``python flows/<stage>.py`` has in common: flags, errors, exit codes and the result record."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from flows.options import RunOptions
from storage.errors import RecommenderError

DONE, FAILED, BAD_USAGE = 0, 1, 2
LOG_FORMAT = "{time:HH:mm:ss.SSS} | {level: <7} | {message}"

Result = Mapping[str, Any]


Chosen = TypeVar("Chosen", bound=RunOptions)


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
        0 done, 1 failed, 2 bad usage or settings.
    """
    flags = build_parser(parts, description).parse_args(arguments)
    given = {name: value for name, value in vars(flags).items() if value is not None}
    json_path: Path | None = given.pop("json", None)
    try:
        settings = settings_type(**given)
    except ValidationError as error:
        sys.stderr.write(explain(error, settings_type))
        return BAD_USAGE
    logger.remove()
    logger.add(sys.stderr, level=settings.log_level, format=LOG_FORMAT, backtrace=False, diagnose=False)
    try:
        result = stage(settings)
        if json_path:
            write_json(json_path, result)
    except RecommenderError as error:
        logger.error("{}", error)
        return FAILED
    except KeyboardInterrupt:
        logger.error("Interrupted; run the same command again to go on from what is done")
        return FAILED
    return DONE


def build_parser(parts: Sequence[type[BaseModel]], description: str) -> argparse.ArgumentParser:
    """Return a parser with a group of flags for each kind of options, and ``--json``."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument(
        "--json",
        type=Path,
        metavar="PATH",
        help="Write the result record (ids, counts, metrics) here as JSON.",
    )
    for part in parts:
        group = parser.add_argument_group((part.__doc__ or part.__name__).strip().splitlines()[0].rstrip("."))
        for name, field in part.model_fields.items():
            group.add_argument(flag_of(name, field), dest=name, metavar=_metavar(name), help=_help(name, field))
    return parser


def flag_of(name: str, field: FieldInfo) -> str:
    """Return the flag of a setting: its own where it names one, else its name with dashes."""
    extra = field.json_schema_extra
    named = extra.get("flag") if isinstance(extra, dict) else None
    return str(named) if named else "--" + name.replace("_", "-")


def explain(error: ValidationError, settings_type: type[BaseModel]) -> str:
    """Return one line per setting that does not fit: its flag, what was expected and what was found."""
    return "".join(f"{_explain_one(problem, settings_type)}\n" for problem in error.errors())


def _explain_one(problem: ErrorDetails, settings_type: type[BaseModel]) -> str:
    if not problem["loc"]:
        return problem["msg"].removeprefix("Value error, ")
    name = str(problem["loc"][0])
    field = settings_type.model_fields.get(name)
    if field is None:
        return f"{name}: unknown setting; 'python flows/train.py --help' lists those that there are"
    return f"{flag_of(name, field)} (or {name.upper()}): {problem['msg']}; found {problem['input']!r}"


def write_json(path: Path, record: Result) -> None:
    """Write a record so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(path)


def _metavar(name: str) -> str:
    return name.rsplit("_", 1)[-1].upper()


def _help(name: str, field: FieldInfo) -> str:
    default = field.get_default()
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    about = (field.description or "").replace("%", "%%").rstrip(".")
    told = "" if shown in (None, PydanticUndefined) else f"default: {shown}; "
    return f"{about[:1].upper()}{about[1:]} ({told}variable: {name.upper()})"
