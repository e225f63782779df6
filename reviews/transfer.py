"""Transfer a file over HTTP into a part file, continuing by byte range where an earlier transfer was cut."""

import errno
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import httpx

from schema.errors import InvalidInput, OutOfSpace, RecommenderError, Unavailable
from schema.proxies import proxy_before

Progress = Callable[[int, int | None], None]

RETRYABLE_STATUS = {408, 425, 429}
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class PartState:
    """The file of which a part file is the beginning; kept as JSON beside it.

    Attributes:
        url: Where it comes from, without user name and password.
        validator: The server's strong ETag, else its Last-Modified; None forbids continuing.
        size_bytes: Size of the whole; None where the server did not say.
    """

    url: str
    validator: str | None
    size_bytes: int | None


def transfer(url: str, part: Path, progress: Progress, timeout_seconds: float) -> PartState:
    """Bring part to the whole content behind url; a part of the same version is continued.

    The bytes are kept as sent: no content encoding is asked for or undone. `<part>.json` keeps the PartState; progress
    is called with the bytes so far and the size of the whole (None where unknown); the timeout is the longest silence
    of the server.

    Raises:
        InvalidInput: The server refuses (4xx), or answers with nothing or a web page.
        OutOfSpace: The disk is full, or too small for what is to come.
        Unavailable: No answer, 5xx, or a cut connection; what came is kept, so a retry goes on from there.
    """
    state = _state_of(part, url)
    have = part.stat().st_size if state else 0
    if state and have == state.size_bytes:
        return state
    headers = {"Accept-Encoding": "identity"}
    if state and state.validator and have:
        headers |= {"Range": f"bytes={have}-", "If-Range": state.validator}
    timeout = httpx.Timeout(timeout_seconds)
    with (
        _clear_errors(url, part),
        httpx.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as response,
    ):
        if "Range" not in headers or response.status_code == httpx.codes.OK:
            return _receive_whole(response, url, part, progress)
        if state and _continues(response, state, have):
            _append(response.iter_raw(), part, progress, state.size_bytes)
            return state
        _refuse_failure(response, url)
    discard(part)
    return transfer(url, part, progress, timeout_seconds)


def discard(part: Path) -> None:
    """Remove a part file, then what is known about it."""
    part.unlink(missing_ok=True)
    _state_path(part).unlink(missing_ok=True)


def without_credentials(url: str) -> str:
    """Return the URL without user name and password.

    Example:
        >>> without_credentials("https://ada:secret@example.org/a.gz?part=2")
        'https://example.org/a.gz?part=2'
    """
    return str(httpx.URL(url).copy_with(userinfo=b""))


def shown(url: str) -> str:
    """Return the URL as messages show it: no credentials, no query (it may hold a signature)."""
    return without_credentials(url).partition("?")[0]


def _receive_whole(response: httpx.Response, url: str, part: Path, progress: Progress) -> PartState:
    """Rewrite part from a full answer; anything but data leaves the old part untouched."""
    _refuse_failure(response, url)
    if response.status_code != httpx.codes.OK:
        raise InvalidInput(
            f"{shown(url)} answered {response.status_code} to a plain request; expected 200. Check the URL."
        )
    chunks = response.iter_raw()
    first = next(chunks, b"")
    _refuse_other_than_data(first, url)
    length = response.headers.get("Content-Length")
    state = PartState(without_credentials(url), _validator(response), int(length) if length else None)
    discard(part)
    _state_path(part).write_text(json.dumps(asdict(state)))
    _append(chain([first], chunks), part, progress, state.size_bytes)
    return state


def _append(chunks: Iterator[bytes], part: Path, progress: Progress, size_bytes: int | None) -> None:
    with part.open("ab") as file:
        done = file.tell()
        _require_space(part, size_bytes, done)
        progress(done, size_bytes)
        for chunk in chunks:
            file.write(chunk)
            done += len(chunk)
            progress(done, size_bytes)


def _continues(response: httpx.Response, state: PartState, have: int) -> bool:
    """Return whether a 206 answer continues the part of the same version exactly at its end."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status_code != httpx.codes.PARTIAL_CONTENT or match is None:
        return False
    is_same_size = state.size_bytes is None or match[2] in ("*", str(state.size_bytes))
    is_same_version = _validator(response) in (None, state.validator)
    return int(match[1]) == have and is_same_size and is_same_version


def _validator(response: httpx.Response) -> str | None:
    etag: str | None = response.headers.get("ETag")
    last_modified: str | None = response.headers.get("Last-Modified")
    return etag if etag and not etag.startswith("W/") else last_modified


def _refuse_failure(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status >= 500 or status in RETRYABLE_STATUS:
        raise Unavailable(
            f"{shown(url)} answered {status} {response.reason_phrase}. Try again later.{proxy_before(url)}"
        )
    if status >= 400 and status != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise InvalidInput(
            f"{shown(url)} answered {status} {response.reason_phrase}; expected a reviews file. "
            f"Check the URL (RAW_REVIEWS_URL), or give a file with --input.{proxy_before(url)}"
        )


def _refuse_other_than_data(first: bytes, url: str) -> None:
    if not first:
        raise InvalidInput(f"{shown(url)} is empty (0 bytes); expected a reviews file. Check the URL.")
    text = first[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<"):
        raise InvalidInput(
            f"{shown(url)} answered with a web page or XML that begins {text[:60]!r}; "
            "expected a reviews file. Open the URL in a browser: it may want a login, or name a page about the file."
        )


def _require_space(part: Path, size_bytes: int | None, done: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if size_bytes is not None and size_bytes - done > free:
        raise OutOfSpace(_full_message(part, f"{size_bytes - done:,} more bytes are needed"))


def _full_message(part: Path, need: str) -> str:
    free = shutil.disk_usage(part.parent).free
    return (
        f"The disk under {part.parent} is full: {need}, {free:,} are free. "
        "Make room, then run again: the transfer goes on from there."
    )


@contextmanager
def _clear_errors(url: str, part: Path) -> Iterator[None]:
    """Turn what httpx and the disk raise into errors that say what to do."""
    try:
        yield
    except RecommenderError:
        raise
    except httpx.TooManyRedirects as error:
        raise InvalidInput(f"{shown(url)} redirects in a circle; expected a reviews file. Check the URL.") from error
    except httpx.RequestError as error:
        kept = part.stat().st_size if part.exists() else 0
        raise Unavailable(
            f"The transfer of {shown(url)} failed after {kept:,} bytes: {type(error).__name__} {error}. "
            f"Try again: what came is kept, and is continued where the server allows it.{proxy_before(url)}"
        ) from error
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise OutOfSpace(_full_message(part, "writing the next bytes failed")) from error


def _state_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _state_of(part: Path, url: str) -> PartState | None:
    """Return the state of a part that came from this URL; None where there is none to continue."""
    if not part.is_file():
        return None
    try:
        state = PartState(**json.loads(_state_path(part).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return state if state.url == without_credentials(url) else None
