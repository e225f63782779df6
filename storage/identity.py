"""Ids and digests: the same inputs, parameters and code give the same id."""

import ast
import hashlib
import inspect
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from schema.digests import file_sha256
from storage import canonical

ID_LENGTH = 16

_DISTRIBUTION = "amazon-recommender"


def artifact_id(kind: str, inputs: Mapping[str, str], parameters: Mapping[str, object], code_version: str) -> str:
    """Return the id of an artifact: the first 16 hexadecimal digits of the SHA-256 of all that went in.

    Args:
        kind: One of `storage.layout.KINDS`.
        inputs: For each role, the id of the artifact that goes in.
        parameters: The settings that shape it, JSON values.
        code_version: What `code_version` says of the modules that make it.

    Raises:
        TypeError: If a parameter is not a JSON value.
        ValueError: If a parameter is NaN or infinite.

    Example:
        >>> artifact_id("splits", {"dataset": "1f3a"}, {"split": "leave-last"}, "0.1.0+0")
        '988a1c9179cdde92'
    """
    identity = {
        "kind": kind,
        "inputs": dict(inputs),
        "parameters": dict(parameters),
        "code_version": code_version,
    }
    return hashlib.sha256(canonical.encode(identity)).hexdigest()[:ID_LENGTH]


def code_version(*modules: ModuleType, files: Iterable[Path] = ()) -> str:
    """Return the project's version and a digest of what the modules do.

    The digest covers syntax trees without docstrings, so that a comment, a docstring or the layout of the
    code changes nothing. It covers the modules given and not what they import; the order in which they are
    given does not matter.
    """
    digest = hashlib.sha256()
    for module in sorted(set(modules), key=lambda module: module.__name__):
        digest.update(canonical.encode([module.__name__, _syntax(inspect.getsource(module))]))
    for path in sorted(files):
        digest.update(canonical.encode([path.name, file_sha256(path)]))
    return f"{version(_DISTRIBUTION)}+{digest.hexdigest()[:ID_LENGTH]}"


def _syntax(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return ast.dump(tree)
