"""How old objects are, how they become young again, and what dead writers leave behind."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from test_protocol import watched

from schema.errors import ObjectNotFound
from storage.files import temporary_name
from storage.local import LocalStore
from storage.protocol import Store

MINUTE = timedelta(minutes=1)
LONG_AGO = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
PATIENCE_SECONDS = 10


def now() -> datetime:
    return datetime.now(UTC)


def moment(store: Store, key: str) -> datetime:
    written_at = store.written_at(key)
    assert written_at is not None
    return written_at


def renew_until_later(store: Store, key: str, than: datetime) -> datetime:
    """Renew until the store's clock has ticked, which takes a second at most."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while moment(store, key) <= than:
        assert time.monotonic() < deadline, "renewing never makes an object younger"
        store.renew(key)
    return moment(store, key)


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_an_object_was_written_when_it_was_created(store):
    assert store.written_at("a/b") is None
    store.create("a/b", b"content")
    assert now() - MINUTE < moment(store, "a/b") < now() + MINUTE
    assert moment(store, "a/b").utcoffset() == timedelta(0)


def test_a_folder_of_objects_was_never_written(store):
    store.create("a/b", b"")
    assert store.written_at("a") is None
    with pytest.raises(ObjectNotFound):
        store.renew("a")


def test_a_replaced_object_is_no_older_than_before(store):
    version = store.replace("pointer", b"1", None).version
    before = moment(store, "pointer")
    store.replace("pointer", b"2", version)
    assert moment(store, "pointer") >= before


def test_a_renewed_object_is_younger_and_else_the_same(store):
    store.create("a/b", b"content")
    store.create("a/c", b"")
    before = moment(store, "a/b")
    assert before < renew_until_later(store, "a/b", before) < now() + MINUTE
    assert store.read("a/b") == b"content"
    assert [(info.key, info.size_bytes) for info in store.list("")] == [("a/b", 7), ("a/c", 0)]
    assert store.head("a/b") == next(store.list("a/b"))


def test_a_renewed_object_can_be_replaced_by_who_reads_it_again(store):
    store.replace("pointer", b"1", None)
    store.renew("pointer")
    info = store.head("pointer")
    assert info is not None
    store.replace("pointer", b"2", info.version)
    assert store.read("pointer") == b"2"


def test_renewing_a_free_key_says_so_and_stores_nothing(store):
    store.create("a", b"")
    store.delete("a")
    with pytest.raises(ObjectNotFound, match="/a does not exist"):
        store.renew("a")
    assert list(store.list("")) == []


def test_no_reader_misses_an_object_that_is_being_renewed(store, store_uri):
    store.create("a", b"content" * 10_000)
    with watched(store_uri, "a") as seen:
        for _ in range(30):
            store.renew("a")
    assert seen == {b"content" * 10_000}


@pytest.mark.parametrize("remove", [False, True])
def test_sweep_never_touches_objects(store, remove):
    assert list(store.sweep(now() + MINUTE, remove=remove)) == []
    version = store.replace("pointer", b"1", None).version
    store.replace("pointer", b"2", version)
    store.create("models/1/x", b"content")
    assert list(store.sweep(now() + MINUTE, remove=remove)) == []
    assert [info.key for info in store.list("")] == ["models/1/x", "pointer"]


def leave(folder: Path, name: str, written_at: datetime = LONG_AGO) -> Path:
    """Leave a temporary file as a writer that was killed does."""
    (folder / ".tmp").mkdir(parents=True, exist_ok=True)
    path = folder / ".tmp" / name
    path.write_bytes(b"half")
    os.utime(path, (written_at.timestamp(), written_at.timestamp()))
    return path


def test_a_files_age_is_that_of_its_last_change(local, tmp_path):
    local.create("a", b"content")
    os.utime(tmp_path / "store" / "a", (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
    assert local.written_at("a") == LONG_AGO
    local.renew("a")
    assert now() - MINUTE < moment(local, "a") < now() + MINUTE


@pytest.mark.parametrize("name", ["elsewhere~1~0123abcd~0", "of-no-writer-we-know"])
def test_sweep_finds_files_of_other_hosts_and_removes_them_if_asked(local, tmp_path, name):
    path = leave(tmp_path / "store", name)
    assert list(local.sweep(LONG_AGO, remove=True)) == []
    assert list(local.sweep(now() - MINUTE, remove=False)) == [f".tmp/{name}"]
    assert path.exists()
    assert list(local.sweep(now() - MINUTE, remove=True)) == [f".tmp/{name}"]
    assert not path.exists()


def test_sweep_keeps_what_a_writer_may_be_at(local, tmp_path):
    of_this_process = leave(tmp_path / "store", temporary_name())
    of_its_parent = leave(tmp_path / "store", f"{temporary_name().split('~')[0]}~{os.getppid()}~0123abcd~0")
    of_elsewhere = leave(tmp_path / "store", "elsewhere~1~0123abcd~0", now())
    assert list(local.sweep(now() - MINUTE, remove=True)) == []
    assert all(path.exists() for path in (of_this_process, of_its_parent, of_elsewhere))


def test_sweep_removes_as_it_is_read(local, tmp_path):
    paths = [leave(tmp_path / "store", f"elsewhere~1~0123abcd~{number}") for number in range(2)]
    swept = local.sweep(now() - MINUTE, remove=True)
    next(swept)
    assert [path.exists() for path in paths] == [False, True]


def test_sweep_of_a_store_that_is_not_there_makes_none(local, tmp_path):
    assert list(local.sweep(now(), remove=True)) == []
    assert not (tmp_path / "store").exists()
