"""From a URI to a store."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from storage.errors import InvalidInput
from storage.local import LocalStore
from storage.memory import shared_memory_store
from storage.protocol import Store

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")
_EXPECTED = "Expected a folder, file:///absolute/folder or memory://name."


def open_store(uri: str) -> Store:
    """Return the store at a URI: a folder (as a path or file://) or memory://name.

    A folder need not be there yet. `memory://name` is the same store for every caller in this process, and
    empty in any other process.

    Raises:
        InvalidInput: If the URI is empty, names something that is no folder, or has an unknown scheme.

    Example:
        >>> open_store("memory://example").uri
        'memory://example'
    """
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return _open_folder(uri, Path(uri))
    match scheme[1].lower():
        case "file":
            return _open_folder(uri, _file_path(uri))
        case "memory":
            return shared_memory_store(_memory_name(uri))
        case "s3":
            raise InvalidInput(f"the store {uri!r} is on S3, which is not supported yet. {_EXPECTED}")
    raise InvalidInput(f"the store {uri!r} has the unknown scheme {scheme[1]!r}. {_EXPECTED}")


def _open_folder(uri: str, folder: Path) -> LocalStore:
    if not uri.strip() or "\0" in str(folder):
        raise InvalidInput(f"the store {uri!r} is no folder's name. {_EXPECTED}")
    try:
        return LocalStore(folder.expanduser())
    except RuntimeError as error:  # the home of nobody
        raise InvalidInput(f"the store {uri!r} names no folder: {error} {_EXPECTED}") from error


def _file_path(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or not parts.path or parts.query or parts.fragment:
        raise InvalidInput(f"the store {uri!r} is not a folder of this machine. {_EXPECTED}")
    return Path(unquote(parts.path))


def _memory_name(uri: str) -> str:
    name = uri.partition("://")[2]
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise InvalidInput(f"the store {uri!r} has the name {name!r}; expected letters, digits, '.', '_' or '-'.")
    return name
