"""Ids of artifacts: the same inputs, parameters and code give the same id."""

import hashlib
from collections.abc import Mapping

from storage import canonical

ID_LENGTH = 16


def artifact_id(kind: str, inputs: Mapping[str, str], parameters: Mapping[str, object], code_version: str) -> str:
    """Return the id of an artifact: the first 16 hexadecimal digits of the SHA-256 of all that went in.

    Args:
        kind: One of `storage.layout.KINDS`.
        inputs: For each role, the id of the artifact that goes in.
        parameters: The settings that shape it, JSON values.
        code_version: Version of the code that makes it, from `storage.code_version`.

    Raises:
        TypeError: If a parameter is not a JSON value.
        ValueError: If a parameter is NaN or infinite.

    Example:
        >>> artifact_id("splits", {"dataset": "1f3a"}, {"split": "leave-last"}, "0.1.0+0")
        '988a1c9179cdde92'
    """
    identity = {"kind": kind, "inputs": {**inputs}, "parameters": {**parameters}, "code_version": code_version}
    return short_digest(canonical.encode(identity))


def short_digest(data: bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()[:ID_LENGTH]
