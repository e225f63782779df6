"""From the fields of the settings to flags, and back: what ``--help`` shows and what messages name.

A field says in its ``json_schema_extra`` what its name does not: ``flag``, its name on the command line, or False for
a secret, which has none (others may read command lines) and of which no message shows a value;
``metavar``, what its value is called; ``variable: False``, that it comes from the command line only, never from the
environment; and for one of those ``nargs``, that it has no flag but stands by itself, as argparse has it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined


def build_parser(parts: Sequence[type[BaseModel]], description: str) -> argparse.ArgumentParser:
    """Return a parser with a group of flags for each kind of options, and ``--json``."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    add_flags(parser, parts)
    return parser


def add_flags(parser: argparse.ArgumentParser, parts: Sequence[type[BaseModel]]) -> None:
    """Add a group of flags for each kind of options, and ``--json``."""
    parser.add_argument(
        "--json",
        type=Path,
        metavar="PATH",
        help="Write the result record (ids, counts, metrics) here as JSON.",
    )
    for part in parts:
        title, secrets = (part.__doc__ or part.__name__).strip().splitlines()[0].rstrip("."), _secrets(part)
        group = parser.add_argument_group(title, "; ".join(secrets.values()) or None)
        for name, field in part.model_fields.items():
            if name not in secrets:
                add = _add_flag if is_variable(field) else _add_argument
                add(group, name, field)


def _secrets(part: type[BaseModel]) -> dict[str, str]:
    """Return the settings that have no flag, and what is said of each."""
    fields = part.model_fields.items()
    return {name: f"Without a flag: {_help(name, field)}" for name, field in fields if is_secret(field)}


def flag_of(name: str, field: FieldInfo) -> str:
    """Return the flag of a setting: its own where it names one, else its name with dashes."""
    return str(_extra(field).get("flag") or "--" + name.replace("_", "-"))


def is_secret(field: FieldInfo) -> bool:
    """Tell whether a setting comes from the environment only, and is never shown."""
    return _extra(field).get("flag") is False


def is_variable(field: FieldInfo) -> bool:
    """Tell whether a setting may also come from the environment."""
    return bool(_extra(field).get("variable", True))


def _add_flag(group: "argparse._ArgumentGroup", name: str, field: FieldInfo) -> None:
    group.add_argument(flag_of(name, field), dest=name, metavar=_metavar(name, field), help=_help(name, field))


def _add_argument(group: "argparse._ArgumentGroup", name: str, field: FieldInfo) -> None:
    """Add what only the command line says."""
    default, about, metavar = field.get_default(), _help(name, field), _metavar(name, field)
    if "nargs" in _extra(field):
        group.add_argument(name, nargs=_extra(field)["nargs"], default=default, metavar=metavar, help=about)
    elif default is False:
        group.add_argument(flag_of(name, field), dest=name, action="store_true", help=about)
    elif default is PydanticUndefined:
        group.add_argument(flag_of(name, field), dest=name, required=True, metavar=metavar, help=about)
    else:
        group.add_argument(flag_of(name, field), dest=name, default=default, metavar=metavar, help=about)


def _extra(field: FieldInfo) -> dict[str, Any]:
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def _metavar(name: str, field: FieldInfo) -> str:
    return str(_extra(field).get("metavar") or name.rsplit("_", 1)[-1].upper())


def _help(name: str, field: FieldInfo) -> str:
    default = field.get_default()
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    about = (field.description or "").replace("%", "%%").rstrip(".")
    told = "" if shown in (None, PydanticUndefined) else f"default: {shown}; "
    origin = f" ({told}variable: {name.upper()})" if is_variable(field) else ""
    return f"{about[:1].upper()}{about[1:]}{origin}"
