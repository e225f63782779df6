"""The batches of events and impressions that servers shipped, read line by line."""

import gzip
import zlib
from collections.abc import Iterator

from schema.errors import CorruptObject
from storage.protocol import Store

MAX_LINE_BYTES = 2**20


def read_lines(store: Store, stream: str) -> Iterator[bytes]:
    """Yield the lines of all batches of a stream without their ends, by server and in the order of its commits.

    Args:
        store: Where they were shipped to.
        stream: The folder, `layout.EVENTS` or `layout.IMPRESSIONS`.

    Raises:
        CorruptObject: If a batch is cut off or damaged, or has a line of more than 1 MiB.
    """
    for info in store.list(f"{stream}/"):
        where = store.locate(info.key)
        try:
            with store.open(info.key) as batch, gzip.open(batch) as text:
                while line := text.readline(MAX_LINE_BYTES + 1):
                    if len(line) > MAX_LINE_BYTES:
                        raise CorruptObject(f"{where} has a line of more than {MAX_LINE_BYTES:,} bytes. Move it away.")
                    yield line.rstrip(b"\n")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CorruptObject(
                f"{where} is a batch that is cut off or damaged ({error}). Copy it here again, or move it away."
            ) from error
