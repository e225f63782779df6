"""Shipped batches are read line by line, and one that is damaged is named, never passed over."""

import gzip

import pytest

from schema.errors import CorruptObject
from storage import layout
from storage.canonical import short_digest
from storage.events import MAX_LINE_BYTES, list_batches, read_lines
from storage.memory import MemoryStore

TEXT = b"one\ntwo\n"
WHOLE = gzip.compress(TEXT, mtime=0)


def test_lines_come_by_server_and_number_from_one_stream_only() -> None:
    store = MemoryStore("batches")
    for stream, server, number, text in (
        (layout.EVENTS, "b", 0, b"last\n"),
        (layout.EVENTS, "a", 10, b"third\n"),
        (layout.EVENTS, "a", 9, b"first\nsecond\n"),
        (layout.IMPRESSIONS, "a", 0, b"other\n"),
    ):
        store.create(layout.batch_key(stream, server, number, short_digest(text)), gzip.compress(text))
    assert list(read_lines(store, list_batches(store, layout.EVENTS))) == [b"first", b"second", b"third", b"last"]


DAMAGED = {
    "cut off": WHOLE[:-3],
    "no bytes": b"",
    "fewer lines": gzip.compress(b"one\n", mtime=0),
    "no lines": gzip.compress(b"", mtime=0),
    "no gzip": b"no gzip",
    "other bytes": WHOLE[:12] + b"\xff" * 20,
    "an endless line": gzip.compress(b"x" * (MAX_LINE_BYTES + 1), mtime=0),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_a_damaged_batch_is_named(how: str) -> None:
    store = MemoryStore("batches")
    key = layout.batch_key(layout.EVENTS, "a", 0, short_digest(TEXT))
    store.create(key, DAMAGED[how])
    with pytest.raises(CorruptObject, match=f"{key} (is a batch that is|has a line of)"):
        list(read_lines(store, list_batches(store, layout.EVENTS)))
