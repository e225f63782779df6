"""Whether a fetched file is whole: its size, its gzip, its digest."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from reviews.transfer import PartState, shown
from schema.errors import InvalidInput, Unavailable

GZIP_MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 1 << 20


def require_digest(digest: str, sha256: str | None, subject: str) -> None:
    """Refuse a digest other than the pinned one; no pin allows any.

    Raises:
        InvalidInput: Naming both digests; `subject` begins the message.
    """
    if sha256 and digest != sha256.lower():
        raise InvalidInput(
            f"{subject} has SHA-256 {digest}; expected {sha256.lower()}. "
            "Use the right file, or correct RAW_REVIEWS_SHA256."
        )


def require_size(part: Path, state: PartState) -> int:
    """Return the size of a fetched file in bytes.

    Raises:
        Unavailable: It is not as long as the server announced; what came is kept, to be continued.
    """
    size_bytes = part.stat().st_size
    if state.size_bytes not in (None, size_bytes):
        raise Unavailable(
            f"{shown(state.url)} came with {size_bytes:,} bytes; its server announced {state.size_bytes:,}. Try again."
        )
    return size_bytes


def require_gzip(part: Path, name: str, state: PartState) -> None:
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
            while unpacked.read(BLOCK_BYTES):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _broken_gzip(state, error) from error


def _broken_gzip(state: PartState, error: Exception) -> InvalidInput | Unavailable:
    if state.size_bytes is None:
        return Unavailable(
            f"{shown(state.url)} came as a broken gzip ({error}); its size was not announced. Try again."
        )
    return InvalidInput(
        f"{shown(state.url)} is a broken gzip: {error}; all {state.size_bytes:,} announced bytes came. "
        "The file on the server is damaged: look for another copy."
    )
