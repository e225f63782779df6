"""Canonical JSON: one text for one value, a strict reader of untrusted text, and ids that are digests of it."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import NoReturn

from schema.errors import CorruptObject

MAX_DEPTH = 32
ID_LENGTH = 16


def encode(value: object, indent: int | None = None) -> bytes:
    """Return the UTF-8 JSON text of a value: keys sorted, and with an indent a newline at the end.

    Raises:
        TypeError: If the value holds something that JSON has no word for.
        ValueError: If it holds NaN or an infinity.

    Example:
        >>> encode({"b": 1, "a": [True, None]})
        b'{"a":[true,null],"b":1}'
    """
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)
    return (text if indent is None else text + "\n").encode()


def artifact_id(kind: str, inputs: Mapping[str, str], parameters: Mapping[str, object], code_version: str) -> str:
    """Return the id of an artifact: the first 16 hexadecimal digits of the SHA-256 of all that went in.

    Args:
        kind: One of `storage.layout.KINDS`.
        inputs: For each role, the id of the artifact that goes in.
        parameters: The settings that shape it, JSON values.
        code_version: Version of the code that makes it, from `storage.code_version`. What stands before its plus sign,
            the version of the project, decides no content and does not count.

    Raises:
        TypeError: If a parameter is not a JSON value.
        ValueError: If a parameter is NaN or infinite.

    Example:
        >>> artifact_id("splits", {"dataset": "1f3a"}, {"split": "leave-last"}, "0.1.0+0")
        '27dfc727eb499d01'
    """
    code = code_version.rpartition("+")[2]
    identity = {"kind": kind, "inputs": {**inputs}, "parameters": {**parameters}, "code_version": code}
    return short_digest(encode(identity))


def short_digest(data: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()[:ID_LENGTH]


def decode_object(data: bytes, source: str) -> dict[str, object]:
    """Return the JSON object in the UTF-8 bytes; `source` is what messages call them.

    Raises:
        CorruptObject: If it is not one JSON object, or has a repeated name, NaN, an infinity, half a
            surrogate pair, or more than 32 levels.
    """
    try:
        value = json.loads(data.decode(), object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except RecursionError:
        raise CorruptObject(f"{source} is nested deeper than {MAX_DEPTH} levels.") from None
    except ValueError as error:
        raise CorruptObject(f"{source} is not valid JSON: {error}. Expected UTF-8 JSON.") from error
    if not isinstance(value, dict):
        raise CorruptObject(f"{source} holds a JSON {type(value).__name__}; expected an object.")
    _check(value, source, "", MAX_DEPTH)
    return value


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the name {repeated[:80]!r} stands twice in one object")
    return found


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _check(value: object, source: str, path: str, depth: int) -> None:
    if depth == 0:
        raise CorruptObject(f"{source} is nested deeper than {MAX_DEPTH} levels at {path[:80]}.")
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise CorruptObject(f"{source} has half a surrogate pair at {path or 'its top'}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise CorruptObject(f"{source} has a number beyond any float at {path}.")
    if isinstance(value, dict):
        for name, part in value.items():
            _check(name, source, "a name" if not path else f"a name in {path}", depth)
            _check(part, source, f"{path}.{name[:80]}" if path else name[:80], depth - 1)
    elif isinstance(value, list):
        for position, part in enumerate(value):
            _check(part, source, f"{path}[{position}]", depth - 1)
