"""List the routes of the API and the records that they take and give, from the schema that the API publishes."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from docs.tables import code, table
from serving.options import ServingOptions
from serving.web import create_app

Schema = Mapping[str, Any]


@cache
def openapi() -> dict[str, Any]:
    """Return the schema of the API, as ``/openapi.json`` has it."""
    return create_app(ServingOptions()).openapi()


def list_routes() -> str:
    """Return a section for each tag, with its routes, then one with the records."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in openapi()["paths"].items():
        for method, route in methods.items():
            by_tag.setdefault(route["tags"][0], []).append(_route(method, path, route))
    sections = [f"## {tag.capitalize()}\n\n" + "\n".join(routes) for tag, routes in by_tag.items()]
    records = (_record(name, one) for name, one in openapi()["components"]["schemas"].items())
    return "\n".join([*sections, "## Records\n", *records])


def _route(method: str, path: str, route: Schema) -> str:
    lines = [f"### {method.upper()} {path}\n", f"{route['description']}\n"]
    if parameters := route.get("parameters"):
        lines.append(table(("parameter", "in", "type", "default", "meaning"), map(_parameter, parameters)))
    if body := route.get("requestBody"):
        lines.append(f"Takes {_content(body)}.\n")
    for status, answer in route["responses"].items():
        if status.startswith("2"):
            lines.append(f"Answers {status} with {_content(answer) or 'text'}.\n")
    return "\n".join(lines)


def _parameter(one: Schema) -> tuple[str, str, str, str, str]:
    schema = one["schema"]
    about = one.get("description") or schema.get("description") or ""
    default = "required" if one.get("required") else code(schema.get("default"))
    return code(one["name"]), one["in"], _type(schema), default, about


def _content(one: Schema) -> str:
    return next((_type(content["schema"]) for content in one.get("content", {}).values() if content.get("schema")), "")


def _record(name: str, schema: Schema) -> str:
    required = schema.get("required", ())
    fields = (
        (
            code(field),
            _type(one),
            "required" if field in required else code(one.get("default")),
            one.get("description", ""),
        )
        for field, one in schema.get("properties", {}).items()
    )
    return f"### {name}\n\n{schema.get('description', '')}\n\n{table(('field', 'type', 'default', 'meaning'), fields)}"


def _type(schema: Schema) -> str:
    return " or ".join(dict.fromkeys(_types(schema)))


def _types(schema: Schema) -> Iterator[str]:
    if name := str(schema.get("$ref", "")).rpartition("/")[2]:
        yield f"[{name}](#{name.lower()})"
    elif several := schema.get("anyOf") or schema.get("oneOf"):
        for one in several:
            yield from _types(one)
    elif "enum" in schema:
        yield from (code(word) for word in schema["enum"])
    elif schema.get("type") == "array":
        yield f"list of {_type(schema['items'])}" if schema.get("items") else "list"
    else:
        yield str(schema.get("const") or schema.get("type") or "any")
