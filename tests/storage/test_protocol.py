"""What every backend must do: the conformance suite of the store protocol."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from schema.errors import CorruptObject, InvalidKey, ObjectExists, ObjectNotFound, VersionConflict
from storage.opening import open_store
from storage.protocol import ObjectInfo, Store

EVIL_KEYS = [
    *("", "/", "/etc/passwd", "a/", "a//b"),  # an empty part
    *(".", "..", "../outside", "a/../b", "a/./b", ".hidden", "a/.tmp/b"),  # a part that begins with a dot
    *("a b", "models/a ", "a\nb", "a\0b", "a\\b", "\\\\server\\share\\a"),  # characters that systems read differently
    *("é", "models/a%2f..%2fetc", "models/\uff0e\uff0e/a"),  # what may be taken for another key
    *("a" * 256, "/".join(["abcdefgh"] * 101)),  # too long
]


def in_threads(work: Callable[[int], object], n_threads: int) -> list[object]:
    """Run the work at once in several threads; a thread's error becomes its result."""
    start = threading.Barrier(n_threads)

    def run(number: int) -> object:
        start.wait()
        try:
            return work(number)
        except (ObjectExists, VersionConflict) as error:
            return error

    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(run, range(n_threads)))


def test_create_stores_bytes(store):
    info = store.create("datasets/1/train.parquet", b"rows")
    assert store.read("datasets/1/train.parquet") == b"rows"
    assert info == store.head("datasets/1/train.parquet")
    assert (info.key, info.size_bytes) == ("datasets/1/train.parquet", 4)


def test_create_stores_a_file_of_several_blocks(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 20_000)
    assert store.create("raw/1/file", source).size_bytes == 5_120_000
    assert store.read("raw/1/file") == source.read_bytes()
    assert source.exists()


def test_create_refuses_existing_key_and_leaves_it(store):
    before = store.create("a", b"first")
    with pytest.raises(ObjectExists, match=r"/a exists already"):
        store.create("a", b"second")
    assert store.read("a") == b"first"
    assert store.head("a") == before


def test_create_copies_and_does_not_share_the_source(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"before")
    store.create("a", source)
    source.write_bytes(b"after!")
    assert store.read("a") == b"before"


def test_create_of_a_missing_file_says_so_and_stores_nothing(store, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        store.create("a", tmp_path / "nowhere")
    assert store.head("a") is None


def test_create_lets_one_of_many_writers_win(store, store_uri):
    results = in_threads(lambda number: open_store(store_uri).create("a", b"%d" % number), n_threads=8)
    winners = [number for number, result in enumerate(results) if isinstance(result, ObjectInfo)]
    assert len(winners) == 1
    assert store.read("a") == b"%d" % winners[0]
    assert sum(isinstance(result, ObjectExists) for result in results) == 7


def test_replace_swaps_the_expected_version(store):
    first = store.replace("pointer", b"1", None)
    second = store.replace("pointer", b"2", first.version)
    assert store.read("pointer") == b"2"
    assert second.version != first.version
    assert store.head("pointer") == second


def test_replace_refuses_a_stale_version(store):
    first = store.replace("pointer", b"1", None)
    second = store.replace("pointer", b"2", first.version)
    with pytest.raises(VersionConflict, match=r"pointer has version .*; expected .*Read it again"):
        store.replace("pointer", b"3", first.version)
    assert store.read("pointer") == b"2"
    assert store.head("pointer") == second


def test_versions_of_quick_replacements_all_differ(store):
    versions = [store.replace("pointer", b"000", None).version]
    for number in range(1, 100):
        versions.append(store.replace("pointer", b"%03d" % number, versions[-1]).version)
    assert len(set(versions)) == 100


def test_replace_loses_no_update_of_many_writers(store, store_uri):
    store.replace("counter", b"0", None)

    def add_ten(_: int) -> None:
        own, n_added = open_store(store_uri), 0
        while n_added < 10:
            info = own.head("counter")
            assert info is not None
            with suppress(VersionConflict):
                own.replace("counter", b"%d" % (int(own.read("counter")) + 1), info.version)
                n_added += 1

    in_threads(add_ten, n_threads=4)
    assert store.read("counter") == b"40"


@contextmanager
def watched(uri: str, key: str) -> Iterator[set[bytes | None]]:
    """Yield what another reader sees of a key all the while; None where it finds nothing."""
    has_begun, is_done = threading.Event(), threading.Event()
    seen: set[bytes | None] = set()

    def watch() -> None:
        own = open_store(uri)
        while not is_done.is_set():
            try:
                seen.add(own.read(key))
            except ObjectNotFound:
                seen.add(None)
            has_begun.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert has_begun.wait(10)
    try:
        yield seen
    finally:
        is_done.set()
        watcher.join()


def test_replace_is_never_seen_half_done(store, store_uri):
    blocks = [bytes([number]) * 300_000 for number in range(8)]
    version = store.replace("pointer", blocks[0], None).version
    with watched(store_uri, "pointer") as seen:
        for block in blocks[1:]:
            version = store.replace("pointer", block, version).version
    assert seen <= set(blocks)


def test_read_refuses_more_than_the_limit(store):
    store.create("a", b"12345")
    assert store.read("a", limit_bytes=5) == b"12345"
    with pytest.raises(CorruptObject, match=r"/a has .*4"):
        store.read("a", limit_bytes=4)


def test_open_streams_the_content(store):
    store.create("a", b"12345")
    with store.open("a") as stream:
        assert (stream.read(2), stream.read()) == (b"12", b"345")


def test_open_keeps_reading_the_version_it_began_with(store):
    version = store.replace("pointer", b"first", None).version
    with store.open("pointer") as stream:
        store.replace("pointer", b"other", version)
        assert stream.read() == b"first"


def test_fetch_copies_to_a_file_whose_folder_it_makes(store, tmp_path):
    store.create("a", b"content")
    target = tmp_path / "new" / "folder" / "file"
    store.fetch("a", target)
    assert target.read_bytes() == b"content"
    assert list(target.parent.iterdir()) == [target]


def test_fetch_replaces_what_was_there(store, tmp_path):
    target = tmp_path / "file"
    target.write_bytes(b"something longer")
    store.create("a", b"content")
    store.fetch("a", target)
    assert target.read_bytes() == b"content"


def test_local_path_holds_the_object_if_there_is_one(store):
    store.create("a", b"content")
    path = store.local_path("a")
    assert path is None or path.read_bytes() == b"content"
    assert store.local_path("b") is None


def test_absent_key_has_no_head_and_cannot_be_read(store, tmp_path):
    assert store.head("a/b") is None
    for read in (store.read, store.open, lambda key: store.fetch(key, tmp_path / "file")):
        with pytest.raises(ObjectNotFound, match="a/b does not exist"):
            read("a/b")
    assert not (tmp_path / "file").exists()


def test_folder_of_objects_is_no_object(store):
    store.create("a/b", b"")
    assert store.head("a") is None
    assert store.local_path("a") is None
    with pytest.raises(ObjectNotFound):
        store.read("a")


def test_head_and_read_below_an_object_find_nothing(store):
    store.create("a", b"")
    assert store.head("a/b") is None
    with pytest.raises(ObjectNotFound):
        store.read("a/b")
    store.delete("a/b")
    assert store.head("a") is not None


def test_list_yields_what_head_says_in_code_point_order(store):
    keys = ["b", "a/b", "a-b", "a/B", "a0", "a/b.c/d", "A"]
    for key in keys:
        store.create(key, key.encode())
    assert [info.key for info in store.list("")] == ["A", "a-b", "a/B", "a/b", "a/b.c/d", "a0", "b"]
    assert [store.head(info.key) for info in store.list("")] == list(store.list(""))


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("models/", ["models/10/x", "models/1/x"]),
        ("models/1", ["models/10/x", "models/1/x"]),
        ("models/1/", ["models/1/x"]),
        ("mod", ["models/10/x", "models/1/x", "mod"]),
        ("models/1/x", ["models/1/x"]),
        ("models/1/x/", []),
        ("none/", []),
    ],
)
def test_list_takes_any_beginning_of_keys(store, prefix, expected):
    for key in ("models/10/x", "models/1/x", "mod", "splits/1/x"):
        store.create(key, b"")
    assert [info.key for info in store.list(prefix)] == sorted(expected)


def test_delete_of_an_absent_key_is_fine(store):
    store.delete("a")
    store.delete("a/b")
    assert list(store.list("")) == []


def verbs(store: Store, folder: Path) -> dict[str, Callable[[str], object]]:
    """Return every verb that takes a key, called with as little as it needs."""
    (folder / "source").write_bytes(b"content")
    return {
        "create": lambda key: store.create(key, b""),
        "create from a file": lambda key: store.create(key, folder / "source"),
        "replace": lambda key: store.replace(key, b"", None),
        "read": store.read,
        "open": store.open,
        "fetch": lambda key: store.fetch(key, folder / "target"),
        "local_path": store.local_path,
        "head": store.head,
        "delete": store.delete,
        "written_at": store.written_at,
        "renew": store.renew,
        "locate": store.locate,
    }


@pytest.mark.parametrize("key", EVIL_KEYS, ids=lambda key: repr(key[:20]))
def test_every_verb_refuses_an_evil_key(store, tmp_path, key):
    for verb in verbs(store, tmp_path).values():
        with pytest.raises(InvalidKey):
            verb(key)
    assert list(store.list("")) == []
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a"), ("a", "a/b/c")])
def test_a_key_is_not_both_object_and_folder(store, first, second):
    store.create(first, b"")
    with pytest.raises(InvalidKey, match="both an object and a folder"):
        store.create(second, b"")
    with pytest.raises(InvalidKey, match="both an object and a folder"):
        store.replace(second, b"", None)
    assert [info.key for info in store.list("")] == [first]


@pytest.mark.parametrize("prefix", ["/", "..", "../", "a/../", ".tmp", ".tmp/", "a//"])
def test_list_refuses_an_evil_prefix(store, prefix):
    with pytest.raises(InvalidKey):
        store.list(prefix)


def test_longest_key_is_stored(store):
    key = "/".join(["s" * 224] * 4)
    assert len(key) == 899
    store.create(key, b"deep")
    assert [info.key for info in store.list("s")] == [key]


def test_locate_names_the_key_below_the_root(store):
    assert store.locate("a/b") == f"{store.uri}/a/b"


def test_uri_opens_the_same_store(store):
    store.create("a", b"content")
    assert open_store(store.uri).read("a") == b"content"
    assert open_store(store.uri).uri == store.uri


def test_stores_of_different_uris_share_nothing(new_store_uri):
    open_store(new_store_uri()).create("a", b"content")
    assert open_store(new_store_uri()).head("a") is None
