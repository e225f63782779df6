"""The batches of events and impressions that servers shipped, read line by line."""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator

from schema.errors import CorruptObject
from storage.canonical import ID_LENGTH
from storage.protocol import Store

MAX_LINE_BYTES = 2**20


def list_batches(store: Store, stream: str) -> list[str]:
    """Return the keys of all batches of a stream, by server and in the order of its commits.

    Args:
        store: Where they were shipped to.
        stream: The folder, `layout.EVENTS` or `layout.IMPRESSIONS`.
    """
    return [info.key for info in store.list(f"{stream}/")]


def read_lines(store: Store, keys: Iterable[str]) -> Iterator[bytes]:
    """Yield the lines of batches without their ends, in the order of the keys.

    Raises:
        CorruptObject: If a batch is cut off, damaged or not the one of its name, or has a line of more than 1 MiB.
    """
    for key in keys:
        where = store.locate(key)
        try:
            yield from _lines_of(store, key, where)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CorruptObject(
                f"{where} is a batch that is cut off or damaged ({error}). Copy it here again, or move it away."
            ) from error


def _lines_of(store: Store, key: str, where: str) -> Iterator[bytes]:
    digest = hashlib.sha256()
    with store.open(key) as batch, gzip.open(batch) as text:
        while line := text.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                raise CorruptObject(f"{where} has a line of more than {MAX_LINE_BYTES:,} bytes. Move it away.")
            digest.update(line)
            yield line.rstrip(b"\n")
    found = digest.hexdigest()[:ID_LENGTH]
    if f"-{found}." not in key:
        raise CorruptObject(
            f"{where} is a batch that is not the one of its name: its lines have the digest {found}. "
            "Copy it here again, or move it away."
        )
