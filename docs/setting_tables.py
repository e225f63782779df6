"""List every setting: its flag, variable, default, meaning, and the commands that obey it."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from deployments.stack.settings import PREFIX, StackSettings
from docs.tables import code, table
from flows import demo, evaluate, explore, ingest, promote, recommend, sample, store, train
from flows.cli import Command
from flows.run_options import RunOptions
from flows.settings import DaskOptions, NoticeOptions, flag_of, groups_in, is_secret, own_fields, variables
from serving.options import ServingOptions
from tasks.options import PlaceOptions

STAGES = (ingest, explore, train, evaluate, recommend, promote)
OF_EVERY_STAGE = (PlaceOptions, DaskOptions, NoticeOptions, RunOptions)
SECTION_HEAD = ("flag", "variable", "default", "meaning")


def commands() -> Iterator[tuple[str, Command]]:
    """Yield the command lines of the flows, and the groups of settings that each obeys."""
    for module in STAGES:
        name = module.__name__.rpartition(".")[2]
        uses = (*module.main.keywords.get("uses", ()), *OF_EVERY_STAGE)
        yield f"flows/{name}.py", Command(getattr(module, name).fn, module.__doc__ or "", uses)
    for module in (demo, sample):
        main: partial[int] = module.main
        yield f"flows/{module.__name__.rpartition('.')[2]}.py", main.args[0]
    yield from ((f"flows/store.py {name}", command) for name, command in store.COMMANDS.items())


def list_settings() -> str:
    """Return a section for each group of settings of the flows."""
    takers: dict[type[BaseModel], list[str]] = {}
    for name, command in commands():
        for group in (one for kind in (*command.groups.values(), *command.uses) for one in groups_in(kind)):
            takers.setdefault(group, []).append(name)
    sections = (_section(group, names) for group, names in takers.items() if own_fields(group))
    return "\n".join(sections)


def _section(group: type[BaseModel], takers: list[str]) -> str:
    rows = [_row(name, field) for name, field in own_fields(group).items()]
    obeyed_by = ", ".join(f"`{name}`" for name in dict.fromkeys(takers))
    return f"## {_title(group)}\n\nObeyed by {obeyed_by}.\n\n{table(SECTION_HEAD, rows)}"


def _title(group: type[BaseModel]) -> str:
    return (group.__doc__ or group.__name__).strip().splitlines()[0].rstrip(".")


def _row(name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    flag = "" if is_secret(field) else f"`{flag_of(name, field)}`"
    return flag, code(name.upper() if name in variables() else ""), _default(field), _meaning(field)


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True) if not field.is_required() else PydanticUndefined
    if default is PydanticUndefined:
        return "required"
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    return code(shown)


def _meaning(field: FieldInfo) -> str:
    words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    about = (field.description or "").rstrip(".")
    said = f" ({', '.join(f'`{word}`' for word in words)})" if words else ""
    return f"{about[:1].upper()}{about[1:]}{said}"


def list_api_settings() -> str:
    """Return the settings of the API."""
    shortcuts: Mapping[str, Any] = dict(ServingOptions.model_config.get("cli_shortcuts") or {})
    rows = []
    for name, field in ServingOptions.model_fields.items():
        long = name.replace("_", "-")
        flags = " ".join(code(f"--{one}") for one in (shortcuts.get(long), long) if one)
        rows.append((flags, code(name.upper()), _default(field), _meaning(field)))
    return table(SECTION_HEAD, rows)


def list_stack_settings() -> str:
    """Return the settings of the process stack."""
    return table(("variable", "default", "meaning"), _variables(StackSettings, PREFIX))


def _variables(kind: type[BaseSettings], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in kind.model_fields.items():
        yield code(prefix + name.upper()), _default(field), _meaning(field)
