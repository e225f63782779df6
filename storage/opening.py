"""Stores by their URIs, and the options by which a server is reached."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from schema.errors import InvalidInput, RecommenderError
from storage.local import LocalStore
from storage.memory import shared_memory_store
from storage.protocol import Store
from storage.s3_options import S3Options

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")
_EXPECTED = "Expected a folder, file:///absolute/folder, s3://bucket/prefix or memory://name."
_NO_OPTIONS = S3Options()


def open_store(uri: str, s3: S3Options = _NO_OPTIONS) -> Store:
    """Return the store at a URI: a folder (as a path or file://), s3://bucket/prefix or memory://name.

    A folder need not be there yet; a bucket must. `memory://name` is the same store for every caller in this
    process, and empty in any other process.

    Raises:
        InvalidInput: If the URI is empty, names something that is no folder, or has an unknown scheme, or the
            options do not fit.

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
            from storage.s3 import S3Store  # boto3 takes half a second that local stores need not spend

            return S3Store(uri, s3)
    raise InvalidInput(f"the store {uri!r} has the unknown scheme {scheme[1]!r}. {_EXPECTED}")


def _open_folder(uri: str, folder: Path) -> LocalStore:
    if not uri.strip() or "\0" in str(folder):
        raise InvalidInput(f"the store {uri!r} is no folder's name. {_EXPECTED}")
    try:
        return LocalStore(folder.expanduser())
    except (RuntimeError, OSError) as error:  # the home of nobody, a name that is too long
        if isinstance(error, RecommenderError):
            raise
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
