"""What ``flows/store.py`` can be told: on its command line what it does, in the environment too where the store is."""

import re
import shlex
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import SettingsConfigDict

from flows.options import RunOptions
from flows.variables import VariableSettings
from storage import layout
from storage.garbage import DEFAULT_AGE, LEAST_AGE
from tasks.options import PlaceOptions, StoreOptions

_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_MOST_AGE = timedelta(days=36_500)


def read_age(value: object) -> object:
    """Return '7d', '12h' or '90m' as a time span; what is no text unchanged.

    Example:
        >>> read_age("36h")
        datetime.timedelta(days=1, seconds=43200)
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"([0-9]{1,8})([dhm])", value.strip())
    if found is None:
        raise ValueError("expected a number and d, h or m, such as 7d")
    age = int(found[1]) * _UNITS[found[2]]
    if not LEAST_AGE <= age <= _MOST_AGE:
        raise ValueError(f"expected {write_age(LEAST_AGE)} (a run may be at work) to {write_age(_MOST_AGE)}")
    return age


def write_age(age: timedelta) -> str:
    """Return a time span of whole minutes as `read_age` takes it.

    Example:
        >>> write_age(timedelta(days=7)), write_age(timedelta(hours=36))
        ('7d', '36h')
    """
    unit = next(name for name, span in _UNITS.items() if age % span == timedelta(0))
    return f"{age // _UNITS[unit]}{unit}"


def _known_kind(kind: str) -> str:
    if kind and kind not in layout.KINDS:
        raise ValueError(f"expected one of {', '.join(layout.KINDS)}")
    return kind


Age = Annotated[timedelta, BeforeValidator(read_age)]


class KindChoice(BaseModel):
    """What is listed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Annotated[str, AfterValidator(_known_kind)] = Field(
        "",
        description=f"One of {', '.join(layout.KINDS)}; without it, all.",
        json_schema_extra={"variable": False, "nargs": "?", "flag": "KIND"},
    )


class OneChoice(BaseModel):
    """Which artifact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(
        description="Id of an artifact or its first digits, with or without the kind before it, as in models/1f3a.",
        json_schema_extra={"variable": False, "nargs": None, "flag": "ID"},
    )


class VerifyChoice(BaseModel):
    """What is verified."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[str, ...] = Field(
        (),
        description="Ids of artifacts or their first digits, as in models/1f3a; without any, the whole store.",
        json_schema_extra={"variable": False, "nargs": "*", "flag": "ID", "metavar": "ID"},
    )


class GarbageChoice(BaseModel):
    """What is garbage, and what becomes of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    older_than: Age = Field(
        DEFAULT_AGE,
        description="Least age of garbage, such as 12h or 90m; longer than any run takes, 1h or more; by default 7d.",
        json_schema_extra={"variable": False, "metavar": "AGE"},
    )
    delete: bool = Field(
        False,
        description="Delete what is found; without it, nothing is changed.",
        json_schema_extra={"variable": False},
    )


class CopyChoice(BaseModel):
    """Where the copy goes, and how much of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: str = Field(
        description="Root of the store that gets the copy, as for --store.",
        json_schema_extra={"variable": False, "metavar": "URI"},
    )
    alone: bool = Field(
        False,
        description="Leave out what the artifact was made from.",
        json_schema_extra={"variable": False},
    )


_ENVIRONMENT = SettingsConfigDict(
    frozen=True, extra="ignore", env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True
)


class StoreSettings(VariableSettings, RunOptions, StoreOptions):
    """Where the store is, from flags, the environment and ``.env``, whose other settings concern other programs."""

    model_config = _ENVIRONMENT


class ListSettings(StoreSettings, KindChoice):
    """Everything that decides a listing."""

    model_config = _ENVIRONMENT


class ShowSettings(StoreSettings, OneChoice):
    """Everything that decides what is shown."""

    model_config = _ENVIRONMENT


class VerifySettings(StoreSettings, VerifyChoice):
    """Everything that decides what is verified."""

    model_config = _ENVIRONMENT


class GarbageSettings(StoreSettings, GarbageChoice):
    """Everything that decides what is garbage."""

    model_config = _ENVIRONMENT


class CopySettings(StoreSettings, PlaceOptions, OneChoice, CopyChoice):
    """Everything that decides a copy."""

    model_config = _ENVIRONMENT


def command_to_delete(older_than: timedelta, store_uri: str) -> str:
    """Return what to type to delete the garbage that was found."""
    words = ["python", "flows/store.py", "gc", "--older-than", write_age(older_than), "--delete", "--store", store_uri]
    return shlex.join(words)
