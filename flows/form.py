"""The form of a deployment: what people change first is on it; the environment of the worker decides the rest."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, TypeVar

from pydantic import BaseModel

from flows.settings import Settings, explaining, extra_of, flat_fields

Group = TypeVar("Group", bound=BaseModel)

# Beside the settings that have a flag of their own, shorter than their name.
CHANGED_FIRST = frozenset(
    {
        *("as_is", "drift", "evaluate_users", "max_bad_share", "min_interactions", "promotion_margin", "protocol"),
        *("sample_fraction", "select_by", "split", "test_share", "top_n"),
    }
)


def is_on_form(name: str) -> bool:
    """Tell whether a setting is a field of the form."""
    field = flat_fields(Settings).get(name)
    return name in CHANGED_FIRST or bool(field and extra_of(field).get("flag"))


def fill_open(group: Group, values: Mapping[str, str]) -> Group:
    """Return a group with the environment's values for what nobody gave: open fields (None), and those off the form.

    Raises:
        InvalidSettings: If such a value does not fit.
    """

    def fill(name: str, value: object) -> object:
        if isinstance(value, BaseModel):
            return fill_open(value, values)
        is_left_out = name not in group.model_fields_set and not is_on_form(name)
        return values.get(name, value) if value is None or is_left_out else value

    with explaining(type(group)):
        filled = {name: fill(name, value) for name, value in group}
        given = {
            name: one
            for name, one in filled.items()
            if name in group.model_fields_set or one is not getattr(group, name)
        }
        return type(group).model_validate(given)


def shorten(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of a flow's parameters with only the fields of the form as its properties.

    The others are still taken and checked, as pattern properties, which no form shows. A field that may be null has the
    type of its values, and may be left out.
    """
    short = deepcopy(dict(schema))
    definitions: dict[str, Any] = short["definitions"]
    for name in definitions:
        _fold(definitions, name)
    for group in short["properties"].values():
        group["default"] = _on_form(group["default"])
    return short


def _fold(definitions: dict[str, Any], name: str) -> None:
    """Take the fields that are not on the form out of a group's properties, and groups that have none left."""
    group = definitions[name]
    for field, shown in list(group.get("properties", {}).items()):
        if "$ref" in shown:
            inner = shown["$ref"].rsplit("/", 1)[-1]
            _fold(definitions, inner)
            is_shown = bool(definitions[inner].get("properties", True))
        else:
            is_shown = is_on_form(field)
        if is_shown:
            _make_plain(shown)
        else:
            group.setdefault("patternProperties", {})[f"^{field}$"] = group["properties"].pop(field)


def _make_plain(field: dict[str, Any]) -> None:
    kinds = [one for one in field.get("anyOf", ()) if one != {"type": "null"}]
    if len(kinds) == 1:
        del field["anyOf"]
        field.update(kinds[0])
    if field.get("default", ...) is None:
        del field["default"]


def _on_form(default: dict[str, Any]) -> dict[str, Any]:
    groups = {name: _on_form(value) for name, value in default.items() if isinstance(value, dict)}
    fields = {name: value for name, value in default.items() if is_on_form(name) and value is not None}
    return {name: value for name, value in groups.items() if value} | fields
