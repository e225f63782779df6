"""Fetch the raw reviews file once, check that it is complete, and identify it by its SHA-256."""

import fcntl
import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from reviews.transfer import PartState, Progress, discard, shown, transfer, without_credentials
from reviews.unpacking import GZIP_MAGIC
from schema.digests import file_sha256
from schema.errors import InvalidInput, Unavailable

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Download:
    """A raw file on the local disk, complete and digested.

    Attributes:
        path: The file.
        sha256: Digest of its bytes, 64 lower-case hexadecimal digits.
        size_bytes: Its size.
        was_present: Whether it was there before, so that nothing was fetched.
    """

    path: Path
    sha256: str
    size_bytes: int
    was_present: bool


def is_url(source: str | Path) -> bool:
    """Return whether an `--input` names something on a web server rather than a file.

    Example:
        >>> is_url("https://example.org/reviews.json.gz"), is_url("data/reviews.json.gz")
        (True, False)
    """
    return str(source).lower().startswith(("http://", "https://"))


def use_local(path: Path, *, sha256: str | None = None) -> Download:
    """Return the record of a file that is there already.

    Raises:
        InvalidInput: There is nothing, no regular file, an empty or unreadable one, or another digest.
    """
    if not path.exists():
        raise InvalidInput(f"No file at {path}. Check its name; for reviews, --input takes a URL as well.")
    if not path.is_file():
        kind = "a directory" if path.is_dir() else "no regular file"
        raise InvalidInput(f"{path} is {kind}; expected one reviews file. Name the file itself.")
    if path.stat().st_size == 0:
        raise InvalidInput(f"{path} is empty (0 bytes); expected a reviews file. Replace or delete it.")
    if not os.access(path, os.R_OK):
        raise InvalidInput(f"{path} cannot be read: permission denied. Change its rights, or name another file.")
    digest = file_sha256(path)
    _require_digest(digest, sha256, str(path))
    return Download(path, digest, path.stat().st_size, was_present=True)


def download(
    url: str, target: Path, *, sha256: str | None, progress: Progress, timeout_seconds: float = 60
) -> Download:
    """Return the file at target, fetched from url unless it is there with the right digest.

    Right is: the pinned `sha256`; else the digest that an earlier download of the same URL recorded in
    `<name>.download.json`. A file without such a record was put there by hand: it is used, never replaced.
    An interrupted transfer stays in `<name>.part` and is continued; target appears whole or not at all, in a folder
    that is made. Progress and the timeout are as for `transfer`.

    Raises:
        InvalidInput: A bad URL, a refusal (404 …), a web page, a broken gzip, another digest than pinned.
        OutOfSpace: The disk under target is full.
        Unavailable: A failure that may pass (no answer, 5xx, cut connection, another process at work).
    """
    _require_url(url)
    if present := _present(url, target, sha256):
        return present
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with _lock(target):
        if present := _present(url, target, sha256):
            return present
        was_begun = part.exists()
        try:
            return _finish(part, target, transfer(url, part, progress, timeout_seconds), sha256)
        except InvalidInput:
            if not was_begun or part.exists():
                raise
        # The pieces of two transfers did not make a whole: blame the file only if it fails in one piece.
        return _finish(part, target, transfer(url, part, progress, timeout_seconds), sha256)


def _present(url: str, target: Path, sha256: str | None) -> Download | None:
    """Return the file that is at target, or None where it must be fetched."""
    if not target.exists():
        return None
    record = _read_record(target)
    if record is None:
        return use_local(target, sha256=sha256)
    if record.get("url") != without_credentials(url):
        return None
    expected = sha256.lower() if sha256 else record.get("sha256")
    digest = file_sha256(target)
    return Download(target, digest, target.stat().st_size, was_present=True) if digest == expected else None


def _finish(part: Path, target: Path, state: PartState, sha256: str | None) -> Download:
    """Check a finished part and give it its name; the record comes first, so no fetched file lacks one."""
    size_bytes = _require_size(part, state)
    try:
        _require_gzip(part, target.name, state)
        digest = file_sha256(part)
        _require_digest(digest, sha256, shown(state.url))
    except (InvalidInput, Unavailable):
        discard(part)
        raise
    with part.open("rb") as file:
        os.fsync(file.fileno())
    record = {"url": state.url, "etag": state.validator, "sha256": digest, "size_bytes": size_bytes}
    _write_record(target, record)
    part.replace(target)
    discard(part)
    return Download(target, digest, size_bytes, was_present=False)


def _require_digest(digest: str, sha256: str | None, subject: str) -> None:
    """Refuse a digest other than the pinned one; no pin allows any."""
    if sha256 and digest != sha256.lower():
        raise InvalidInput(
            f"{subject} has SHA-256 {digest}; expected {sha256.lower()}. "
            "Use the right file, or correct RAW_REVIEWS_SHA256."
        )


def _require_size(part: Path, state: PartState) -> int:
    """Return the size of a fetched file in bytes; what came of one that is too short is kept, to be continued."""
    size_bytes = part.stat().st_size
    if state.size_bytes not in (None, size_bytes):
        raise Unavailable(
            f"{shown(state.url)} came with {size_bytes:,} bytes; its server announced {state.size_bytes:,}. Try again."
        )
    return size_bytes


def _require_gzip(part: Path, name: str, state: PartState) -> None:
    """Read a gzip to its end; anything else passes unless `name` says that it is a gzip.

    Raises:
        InvalidInput: A `.gz` that is none, or one that is damaged although every announced byte came.
        Unavailable: A damaged gzip whose size was not announced: the line may have been cut.
    """
    with part.open("rb") as file:
        start = file.read(60)
    if not start.startswith(GZIP_MAGIC):
        if name.endswith(".gz"):
            raise InvalidInput(
                f"{shown(state.url)} is no gzip: it begins {start!r}. Check the URL, or drop .gz from {name}."
            )
        return
    try:
        with gzip.open(part, "rb") as unpacked:
            while unpacked.read(_BLOCK_BYTES):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        if state.size_bytes is None:
            raise Unavailable(
                f"{shown(state.url)} came as a broken gzip ({error}); its size was not announced. Try again."
            ) from error
        raise InvalidInput(
            f"{shown(state.url)} is a broken gzip: {error}; all {state.size_bytes:,} announced bytes came. "
            "The file on the server is damaged: look for another copy."
        ) from error


def _require_url(url: str) -> None:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidInput(f"{url!r} is no URL ({error}); expected http://… or https://….") from error
    if parts.scheme not in ("http", "https") or not parts.host:
        raise InvalidInput(
            f"{shown(url)!r} cannot be fetched; expected http://… or https://…. A local file goes to --input."
        )


@contextmanager
def _lock(target: Path) -> Iterator[None]:
    """Keep other processes off target's part file; the lock ends with the process, however that dies."""
    with target.with_name(f".{target.name}.lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(f"Another process is fetching {target}. Try again when it is done.") from error
        yield


def _record_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.download.json")


def _read_record(target: Path) -> dict[str, object] | None:
    """Return what the download of target recorded; None for a file that was put there by hand."""
    path = _record_path(target)
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_bytes())
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _write_record(target: Path, record: Mapping[str, object]) -> None:
    path = _record_path(target)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    draft.replace(path)
