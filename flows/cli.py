"""The command lines of ``python flows/<stage>.py``: flags, errors, exit codes and the result record."""

import argparse
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal, NoReturn, get_args, get_origin

from loguru import logger
from pydantic import BaseModel, ConfigDict, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from flows.child_server import PRIVATE
from flows.log_lines import start_log
from flows.run_options import RunOptions
from flows.settings import (
    DaskOptions,
    Environment,
    NoticeOptions,
    extra_of,
    flag_of,
    flat_fields,
    groups_in,
    is_secret,
    own_fields,
    read,
    variables,
)
from flows.termination import Terminated, raising_on_sigterm
from reports.display import clean_text
from schema.errors import InvalidSettings, RecommenderError
from schema.proxies import keep_loopback_direct
from storage.files import try_place, write_whole
from tasks.options import PlaceOptions

DONE, FAILED, BAD_USAGE = 0, 1, 2
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
GO_ON = "run the same command again to go on from what is done"
MOST_LINE_CHARACTERS, MOST_CHOICES = 4000, 4

Result = Mapping[str, Any]


class StageFailed(RecommenderError):
    """A stage came to its end, and what it found is a failure; its result record is written all the same."""

    def __init__(self, message: str, record: Result) -> None:
        super().__init__(message)
        self.record = record


class Parser(argparse.ArgumentParser):
    """Reads a command line, and says in one line what is wrong with it."""

    def error(self, message: str) -> NoReturn:
        """End with what is wrong, and where what is right is listed."""
        self.exit(BAD_USAGE, f"{self.prog}: {message}; {self.prog} --help lists what there is\n")


@dataclass(frozen=True)
class Command:
    """One of the things that a program can do.

    Attributes:
        body: Does the work and returns the result record, JSON values. Its parameters are groups of options.
        description: What it does, for ``--help``.
        uses: Groups of the environment that it obeys beside its parameters.
    """

    body: Callable[..., Result]
    description: str
    uses: Sequence[type[BaseModel]] = ()

    @property
    def groups(self) -> dict[str, type[BaseModel]]:
        """The groups that it takes, by the names of its parameters."""
        return {name: one.annotation for name, one in inspect.signature(self.body).parameters.items()}


def stage(name_run: Callable[..., str], *, is_tracked: bool = False) -> Callable[[Callable[..., Result]], Any]:
    """Make a function that takes groups of options a Prefect flow of its name.

    In a script it stays the function that it is: ``--help`` needs its signature and no engine. `run_stage` imports the
    flow when it is to run.

    Args:
        name_run: Takes the same groups and returns the name of a run.
        is_tracked: Whether it has runs in MLflow, which are not to outlive it.
    """

    def decorate(body: Callable[..., Result]) -> Any:
        if body.__module__ == "__main__":
            return body
        from flows.runtime import make_flow

        return make_flow(body, name_run, is_tracked=is_tracked)

    return decorate


def run_stage(
    stage: Callable[..., Result],
    arguments: Sequence[str] | None = None,
    *,
    uses: Sequence[type[BaseModel]] = (),
    preload: Sequence[str] = (),
    instead: Callable[..., Result | None] = lambda **_: None,
) -> int:
    """Run the flow that `stage` made, with the groups of the command line, and return the exit code as `run` does.

    Args:
        stage: The function, or the flow.
        arguments: The command line; by default the process's own.
        uses: Groups of the environment that it obeys, beside those that every flow does.
        preload: Modules that take seconds to import, which can be done while the Prefect server starts.
        instead: Takes the same groups; what it returns, if anything, is the result, and the flow does not run.
    """
    body: Callable[..., Result] = getattr(stage, "fn", stage)

    @wraps(body)
    def begin(**groups: BaseModel) -> Result:
        if (result := instead(**groups)) is not None:
            return result
        environment = read(Environment)
        environment.places.try_writing()
        if "mlflow" in preload:  # others only show the champion there, if they can
            environment.tracking.try_writing()
        from flows.runtime import run_flow

        flow = resolve_name(f"flows.{body.__name__}:{body.__name__}")
        return run_flow(flow, groups, preload)

    description = inspect.cleandoc(body.__globals__["__doc__"] or "")
    return run(Command(begin, description, (PlaceOptions, *uses, DaskOptions, NoticeOptions, RunOptions)), arguments)


def run(command: Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command with the settings of the command line and return the exit code.

    Returns:
        0 done, 1 failed, 2 bad usage or settings, 130 interrupted by Ctrl-C, 143 terminated by SIGTERM.
    """
    parser = Parser(description=command.description, usage="%(prog)s [--FLAG VALUE …]", allow_abbrev=False)
    add_flags(parser, command)
    return _run(command, vars(parser.parse_args(arguments)))


def run_one_of(commands: Mapping[str, Command], description: str, arguments: Sequence[str] | None = None) -> int:
    """Run the command that the command line begins with, and return the exit code as `run` does."""
    parser = Parser(description=description, allow_abbrev=False)
    offered = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name, command in commands.items():
        about = command.description
        add_flags(offered.add_parser(name, help=about, description=about, allow_abbrev=False), command)
    flags = vars(parser.parse_args(arguments))
    return _run(commands[flags.pop("command")], flags)


def add_flags(parser: argparse.ArgumentParser, command: Command) -> None:
    """Add ``--json``, and a section of flags for each group that the command obeys."""
    parser.add_argument(
        "--json", type=Path, metavar="PATH", help="Write the result record (ids, counts, metrics) here as JSON."
    )
    for group in (one for kind in (*command.groups.values(), *command.uses) for one in groups_in(kind)):
        fields = own_fields(group)
        secrets = [f"Without a flag: {_help(name, one)}" for name, one in fields.items() if is_secret(one)]
        title = (group.__doc__ or group.__name__).strip().splitlines()[0].rstrip(".")
        section = parser.add_argument_group(title, "; ".join(secrets) or None)
        for name, field in fields.items():
            if not is_secret(field):
                _add_flag(section, name, field)


def _add_flag(section: "argparse._ArgumentGroup", name: str, field: FieldInfo) -> None:
    """Add a flag, or an argument that stands by itself where the field has ``nargs``; None is one that is not given."""
    extra, about = extra_of(field), _help(name, field)
    metavar = str(extra.get("metavar") or _choices(field) or name.rsplit("_", 1)[-1].upper())
    if "nargs" in extra:
        section.add_argument(name, nargs=extra["nargs"], default=argparse.SUPPRESS, metavar=metavar, help=about)
    elif field.default is False and name not in variables():
        section.add_argument(flag_of(name, field), dest=name, action="store_const", const=True, help=about)
    else:
        section.add_argument(flag_of(name, field), dest=name, required=field.is_required(), metavar=metavar, help=about)


def _choices(field: FieldInfo) -> str:
    """Return the words that a field takes, such as {warn,off}; '' where it takes others, or too many."""
    words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return f"{{{','.join(map(str, words))}}}" if 0 < len(words) <= MOST_CHOICES else ""


def _help(name: str, field: FieldInfo) -> str:
    default = field.default
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    about = (field.description or "").replace("%", "%%").rstrip(".")
    default_text = "" if shown in (None, PydanticUndefined) else f"default: {shown}; "
    origin = f" ({default_text}variable: {name.upper()})" if name in variables() else ""
    return f"{about[:1].upper()}{about[1:]}{origin}"


def _run(command: Command, flags: Mapping[str, Any]) -> int:
    keep_loopback_direct()
    os.environ.setdefault("DO_NOT_TRACK", PRIVATE["DO_NOT_TRACK"])  # before Prefect and MLflow are imported
    given = {name: value for name, value in flags.items() if value is not None}
    json_path: Path | None = given.pop("json", None)
    of_environment = {name for kind in command.uses for name in flat_fields(kind)}
    with _environment({name: given.pop(name) for name in of_environment & given.keys()}):
        try:
            kinds: dict[str, Any] = {name: (kind, {}) for name, kind in command.groups.items()}
            config = ConfigDict(validate_default=True)
            groups = dict(read(create_model("Groups", __config__=config, **kinds), given))
            start_log(read(Environment).run)
        except InvalidSettings as error:
            sys.stderr.write(f"{error}\n")
            return BAD_USAGE
        return _run_to_exit_code(lambda: _run_to_record(command.body, groups, json_path))


@contextmanager
def _environment(flags: Mapping[str, str]) -> Iterator[None]:
    """Set the variables of flags of the environment for this process and its children."""
    variables_set = {name.upper(): str(value) for name, value in flags.items()}
    before = {name: os.environ.get(name) for name in variables_set}
    os.environ.update(variables_set)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _run_to_exit_code(work: Callable[[], None]) -> int:
    with raising_on_sigterm() as termination:
        try:
            work()
        except (Exception, Terminated) as error:
            if termination.is_asked_for:
                logger.error("Terminated; {}", GO_ON)
                return TERMINATED
            if not isinstance(error, RecommenderError):
                raise
            logger.error("{}", printable(str(error)))
            return BAD_USAGE if isinstance(error, InvalidSettings) else FAILED
        except KeyboardInterrupt:
            logger.error("Interrupted; {}", GO_ON)
            return INTERRUPTED
    return DONE


def _run_to_record(body: Callable[..., Result], groups: Mapping[str, BaseModel], json_path: Path | None) -> None:
    if json_path:
        try_place(json_path, "--json", is_file=True)
    try:
        result = body(**groups)
    except StageFailed as failure:
        if json_path:
            write_json(json_path, failure.record)
        raise
    if json_path:
        write_json(json_path, result)
    _say_where(result, read(Environment))


def _say_where(record: Result, environment: Environment) -> None:
    """Say in the end where all that was made is; the whole log has it already."""
    if not (environment.run.is_short and "uris" in record):
        return
    from tasks.addresses import hide_user

    where = {**record["uris"], "store": environment.places.open_store().uri}
    if "mlflow_run" in record["ids"]:
        page = record["pages"]["The run in MLflow"]
        where["MLflow"] = page or f"{hide_user(environment.tracking.mlflow_tracking_uri)}, which 'make mlflow' shows"
    for name, address in where.items():
        logger.bind(in_short=True).info("{}{}: {}", name[:1].upper(), name[1:], address)


def printable(text: str) -> str:
    r"""Return text that cannot steer a terminal: of all that does not show, only line breaks stay.

    Example:
        >>> printable("two\nlines\x1b[2J")
        'two\nlines\\x1b[2J'
    """
    return "\n".join(clean_text(line, MOST_LINE_CHARACTERS) for line in text.split("\n"))


def write_json(path: Path, record: Result) -> None:
    """Write a record so that no reader sees half of it."""
    write_whole(path, json.dumps(record, indent=2, sort_keys=True) + "\n")
