"""Digests of files, which names and checks are made of."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_BLOCK_BYTES = 1024 * 1024


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits, reading it as a stream."""
    with path.open("rb") as stream:
        return stream_sha256(stream)


def stream_sha256(stream: BinaryIO, advance: Callable[[int], object] | None = None) -> str:
    """Return the SHA-256 of the rest of a stream as 64 hexadecimal digits, and report bytes as they are done."""
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK_BYTES):
        digest.update(block)
        if advance:
            advance(len(block))
    return digest.hexdigest()
