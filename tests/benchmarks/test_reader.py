"""The reader that watches a store while trainings die: quiet where all is well, and every wrong is found."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sample_artifacts import LINEAGE, MODEL, forge_manifest, publish, publish_lineage, replace_object

from benchmarks.reader import Reader, watching
from schema.errors import InvalidInput, Unavailable
from storage import artifacts
from storage.local import LocalStore
from storage.memory import MemoryStore
from storage.protocol import ObjectInfo, Store

STORES: dict[str, Callable[[Path], Store]] = {
    "local": lambda folder: LocalStore(folder / "store"),
    "memory": lambda _: MemoryStore("memory://watched"),
}
FILE = f"models/{MODEL}/first.parquet"
MANIFEST = f"models/{MODEL}/manifest.json"


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return STORES[request.param](tmp_path)


@pytest.fixture
def reader(store: Store) -> Reader:
    """Return a reader who has seen a whole lineage."""
    publish_lineage(store)
    reader = Reader(store)
    reader.look()
    assert reader.violations == []
    return reader


def test_honest_store_is_no_violation_however_often_it_is_looked_at(reader: Reader) -> None:
    reader.look()
    reader.look_again()
    assert reader.violations == []
    assert (reader.n_manifests, reader.n_looks) == (len(LINEAGE), 3)


def test_renewed_object_is_no_violation(store: Store, reader: Reader) -> None:
    store.renew(FILE)
    reader.look()
    assert reader.violations == []


def test_files_without_a_manifest_are_no_violation(store: Store, reader: Reader) -> None:
    store.create("models/8888aaaa/first.parquet", b"half of an artifact")
    reader.look_again()
    assert reader.violations == []


def test_changed_object_is_found(store: Store, reader: Reader) -> None:
    replace_object(store, "models/8888aaaa/loose", b"one")
    reader.look()
    replace_object(store, "models/8888aaaa/loose", b"two")
    reader.look()
    assert len(reader.violations) == 1
    assert reader.violations[0].startswith("models/8888aaaa/loose changed from SHA-256 ")


def test_changed_manifest_is_found(store: Store, reader: Reader) -> None:
    replace_object(store, MANIFEST, store.read(MANIFEST).replace(b'"n_users": 3', b'"n_users": 4'))
    reader.look()
    assert [violation.split()[:2] for violation in reader.violations] == [[MANIFEST, "changed"]]


def test_vanished_object_is_found(store: Store, reader: Reader) -> None:
    store.delete(FILE)
    reader.look()
    assert reader.violations == [f"{FILE} was there and is in no listing now (None by its key)"]


def test_vanished_file_of_a_manifest_is_found_again_in_the_last_look(store: Store, reader: Reader) -> None:
    store.delete(FILE)
    reader.look_again()
    assert f"models/{MODEL}: first.parquet is missing; its manifest says 21 bytes." in reader.violations


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"kind": "models"}'])
def test_manifest_that_cannot_be_parsed_is_found(store: Store, reader: Reader, data: bytes) -> None:
    store.create("models/8888aaaa/manifest.json", data)
    reader.look()
    assert len(reader.violations) == 1
    assert reader.violations[0].startswith("models/8888aaaa: ")


def test_manifest_that_is_there_before_its_files_is_found(store: Store, reader: Reader, tmp_path: Path) -> None:
    elsewhere = LocalStore(tmp_path / "elsewhere")
    manifest = publish(elsewhere, "models", "8888aaaa")
    store.create("models/8888aaaa/manifest.json", manifest.to_bytes())
    reader.look()
    assert len(reader.violations) == len(manifest.files)
    assert all("is missing" in violation for violation in reader.violations)


def test_manifest_whose_file_holds_other_bytes_of_the_same_length_is_found(
    store: Store, reader: Reader, tmp_path: Path
) -> None:
    manifest = publish(LocalStore(tmp_path / "elsewhere"), "models", "8888aaaa", files={"data": b"right"})
    store.create("models/8888aaaa/data", b"wrong")
    store.create("models/8888aaaa/manifest.json", manifest.to_bytes())
    reader.look()
    assert len(reader.violations) == 1
    assert "data has the SHA-256" in reader.violations[0]


def test_manifest_that_is_there_before_what_it_was_made_from_is_found(store: Store, reader: Reader) -> None:
    forge_manifest(store, "splits", "8888aaaa", {"dataset": "9999aaaa"})
    reader.look()
    assert reader.violations == ["splits/8888aaaa: its input datasets/9999aaaa (dataset) does not exist."]


def test_artifact_that_exists_without_a_manifest_is_found(
    store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = artifacts.find(store, "models", MODEL)
    store.create("models/8888aaaa/first.parquet", b"half of an artifact")
    monkeypatch.setattr("benchmarks.reader.look_up", lambda *_: manifest)
    reader.look()
    assert reader.violations == ["models/8888aaaa has no manifest and exists all the same: found by its id"]


def test_manifest_in_a_listing_that_is_not_found_by_its_id_is_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, "models", MODEL)
    reader = Reader(store)
    monkeypatch.setattr("benchmarks.reader.look_up", lambda *_: None)
    reader.look()
    assert reader.violations == [f"models/{MODEL} has a manifest in the listing that is not found by its id"]


def test_object_that_is_shorter_than_its_listing_says_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    list_one(monkeypatch, store, ObjectInfo("loose", 9, "1"))
    store.create("loose", b"half")
    reader = Reader(store)
    reader.look()
    assert reader.violations == ["loose is listed with 9 bytes and has 4"]


def test_object_that_is_listed_and_not_there_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    list_one(monkeypatch, store, ObjectInfo("loose", 9, "1"))
    reader = Reader(store)
    reader.look()
    assert reader.violations == ["loose is listed and cannot be read"]


def test_each_violation_is_told_once(store: Store, reader: Reader) -> None:
    store.delete(FILE)
    reader.look()
    reader.look()
    assert len(reader.violations) == 1


def test_watching_sees_what_happens_in_between(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = threading.Semaphore(0)
    monkeypatch.setattr(type(store), "list", announcing(looks, type(store).list))
    with watching(store) as reader:
        replace_object(store, "models/8888aaaa/loose", b"one")
        while looks.acquire(blocking=False):
            pass
        assert all(looks.acquire(timeout=30) for _ in range(2))  # a look begins only when the one before is over
        store.delete("models/8888aaaa/loose")
    assert reader.violations[0].startswith("models/8888aaaa/loose was there")


def test_watching_tells_of_an_error_of_the_reader_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(store), "list", refusing(ZeroDivisionError(), threading.Event()))
    with pytest.raises(ZeroDivisionError), watching(store):
        pass


def test_server_that_does_not_answer_is_no_violation(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(store)
    stop = threading.Event()
    monkeypatch.setattr(type(store), "list", refusing(Unavailable("gone"), stop))
    with pytest.raises(Unavailable):  # for then nothing can be said in the end
        reader.run(stop)
    assert (reader.violations, reader.n_unanswered) == ([], 1)


def test_what_a_reader_is_refused_for_another_reason_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(store)
    stop = threading.Event()
    monkeypatch.setattr(type(store), "list", refusing(InvalidInput("who are you?"), stop))
    with pytest.raises(InvalidInput):
        reader.run(stop)
    assert reader.violations == ["a reader gets an error: who are you?"]


def list_one(monkeypatch: pytest.MonkeyPatch, store: Store, info: ObjectInfo) -> None:
    """Make all listings of a store consist of one object."""
    monkeypatch.setattr(type(store), "list", lambda *_: iter([info]))


def refusing(error: Exception, stop: threading.Event) -> Callable[[Store, str], None]:
    def refuse(_: Store, __: str) -> None:
        stop.set()
        raise error

    return refuse


def announcing(calls: threading.Semaphore, method: Callable[..., Iterator[ObjectInfo]]) -> Callable[..., Any]:
    def announce(*arguments: Any) -> Iterator[ObjectInfo]:
        calls.release()
        return method(*arguments)

    return announce
