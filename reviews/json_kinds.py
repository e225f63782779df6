"""Find how the objects of a JSON file are laid out, and read its first ones."""

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from reviews.columns import has_user_and_item
from reviews.json_values import read_values
from reviews.literals import parse_json, parse_literal
from reviews.unfit import Unfit

JsonKind = Literal["json", "json-array", "loose-json"]
_MAX_OBJECTS = 1_000


@dataclass(frozen=True)
class Objects:
    """The first objects of a file.

    Attributes:
        kind: One a line; an array, or a sequence over any lines; one Python literal a line.
        records: Those of the sample that could be read, at least one.
        evidence: Why, in words.
    """

    kind: JsonKind
    records: list[dict[str, Any]]
    evidence: str


def find_objects(
    lines: Sequence[str], has_roles: Callable[[Sequence[str]], bool] = has_user_and_item
) -> Objects | None:
    """Return the objects of a sample; None where it is no JSON.

    Args:
        lines: With their ends.
        has_roles: Whether the names of an object are those of a record, and not of what holds the table.

    Raises:
        InvalidInput: When it is JSON of another layout, as one object of columns.
    """
    filled = [line.strip() for line in lines if line.strip()]
    n_braced = sum(line.startswith("{") for line in filled)
    is_list = re.match(r"\[\s*([\[{\"\]]|$)", filled[0]) is not None
    if not n_braced and not is_list:
        return None
    for kind, parse in (("json", parse_json), ("loose-json", parse_literal)):
        records = _objects(filled, parse)
        if len(records) * 2 > len(filled[:_MAX_OBJECTS]):
            _require_rows(records, len(filled), has_roles)
            n = min(len(filled), _MAX_OBJECTS)
            what = "JSON objects" if kind == "json" else "Python literals"
            return Objects(kind, records, f"{len(records):,} of {n:,} lines are {what}")  # type: ignore[arg-type]
    if is_list or filled[0].startswith("{"):
        return _array("".join(lines).lstrip(), has_roles)
    if n_braced * 2 > len(filled):
        raise Unfit(_broken(filled[0]))
    return None


def _objects(lines: Sequence[str], parse: Callable[[str], object]) -> list[dict[str, Any]]:
    found = (parse(line) for line in lines[:_MAX_OBJECTS] if line.startswith("{"))
    return [record for record in found if isinstance(record, dict)]


def _array(text: str, has_roles: Callable[[Sequence[str]], bool]) -> Objects:
    """Return the objects of an array, or of a sequence of objects, that goes over any lines."""
    is_array = text.startswith("[")
    records: list[dict[str, Any]] = []
    for record in islice(_whole_values(text), _MAX_OBJECTS):
        if not isinstance(record, dict):
            raise Unfit(
                f"is JSON that holds {type(record).__name__} values where objects were expected, beginning "
                f'{text[:60]!r}. Write each review as an object with names, as {{"user_id": …, "item_id": …}}.'
            )
        records.append(record)
    if not records:
        raise Unfit(_broken(text))
    if not is_array:
        _require_rows(records, len(records), has_roles)
        if text[json.JSONDecoder().raw_decode(text)[1] :].lstrip().startswith(","):
            raise Unfit(
                "has commas between its objects but no brackets around them; expected JSON lines or an "
                "array. Put [ before the first and ] behind the last, or take the commas out."
            )
    layout = "an array" if is_array else "one after the other"
    return Objects("json-array", records, f"{len(records):,} objects read, {layout}, over any lines")


def _whole_values(text: str) -> Iterator[object]:
    """Yield the values of a text until one is broken, or cut off."""
    with suppress(ValueError, RecursionError):
        yield from map(json.loads, read_values(io.BytesIO(text.encode("utf-8", "surrogateescape"))))


def _require_rows(
    records: Sequence[dict[str, Any]], n_objects: int, has_roles: Callable[[Sequence[str]], bool]
) -> None:
    """Refuse a single object that holds the table in its values."""
    if n_objects != 1:
        return
    record = records[0]
    for name, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict) and not has_roles(list(record)):
            raise Unfit(_wrapped(name))
    if record and all(isinstance(value, dict | list) for value in record.values()):
        raise Unfit(_columnar(json.dumps(record)))


def _wrapped(name: str) -> str:
    return (
        f"is one JSON object that keeps its rows under {name!r}; expected one object per review. "
        f"Convert it: jq -c '.[{json.dumps(name)}][]'."
    )


def _columnar(text: str) -> str:
    return (
        f"is one JSON object of columns, beginning {text[:60]!r}; expected one object per review. Convert it, "
        "with pandas: pd.read_json(old).to_json(new, orient='records', lines=True)."
    )


def _broken(text: str) -> str:
    head = text[:4_096]
    if rows := re.search(r"\"([^\"]+)\"\s*:\s*\[\s*\{", head):
        return _wrapped(rows[1])
    if re.match(r"\{\s*\"[^\"]*\"\s*:\s*[{\[]", head):
        return _columnar(text)
    return (
        f"looks like JSON, but no object of its beginning can be read: {text[:80]!r}. "
        "Expected JSON lines, an array of objects, or one Python literal per line, of less than a MiB each."
    )
