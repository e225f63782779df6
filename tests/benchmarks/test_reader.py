"""The reader of a store while trainings die: it reports every violation, and nothing where all is well."""

import threading
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

NEW = "models/8888aaaa"
FILE, MANIFEST = f"models/{MODEL}/first.parquet", f"models/{MODEL}/manifest.json"


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return LocalStore(tmp_path / "store") if request.param == "local" else MemoryStore("memory://watched")


@pytest.fixture
def reader(store: Store) -> Reader:
    """Return a reader that has seen a whole lineage."""
    publish_lineage(store)
    reader = Reader(store)
    reader.look()
    assert reader.violations == []
    return reader


def change_manifest(store: Store) -> None:
    replace_object(store, MANIFEST, store.read(MANIFEST).replace(b'"n_users": 3', b'"n_users": 4'))


def show_manifest_first(store: Store) -> None:
    store.create(f"{NEW}/manifest.json", publish(MemoryStore("memory://other"), "models", "8888aaaa").to_bytes())


def show_other_bytes(store: Store) -> None:
    right = publish(MemoryStore("memory://other"), "models", "8888aaaa", files={"data": b"right"})
    store.create(f"{NEW}/data", b"wrong")
    store.create(f"{NEW}/manifest.json", right.to_bytes())


@pytest.mark.parametrize(
    "happen",
    [
        lambda _: None,
        lambda store: store.renew(FILE),
        lambda store: store.create(f"{NEW}/first.parquet", b"half of an artifact"),
    ],
    ids=["nothing", "renewed", "no manifest yet"],
)
def test_what_honest_writers_do_is_no_violation(store, reader, happen):
    happen(store)
    reader.look()
    reader.look_again()
    assert (reader.violations, reader.n_looks) == ([], 3)
    assert reader.n_manifests == len(LINEAGE)


@pytest.mark.parametrize(
    ("happen", "expected"),
    [
        (change_manifest, [f"{MANIFEST} changed from SHA-256 "]),
        (lambda store: store.delete(FILE), [f"{FILE} was there and is in no listing now (None by its key)"]),
        (show_manifest_first, [f"{NEW}: first.parquet is missing", f"{NEW}: folder/second is missing"]),
        (show_other_bytes, [f"{NEW}: data has the SHA-256 "]),
        (
            lambda store: forge_manifest(store, "splits", "8888aaaa", {"dataset": "9999aaaa"}),
            ["splits/8888aaaa: its input datasets/9999aaaa (dataset) does not exist."],
        ),
        *(
            (lambda store, data=data: store.create(f"{NEW}/manifest.json", data), [f"{NEW}: "])
            for data in (b"", b"{", b"[]", b'{"kind": "models"}')
        ),
    ],
)
def test_violation_is_reported_once(store, reader, happen, expected):
    happen(store)
    reader.look()
    reader.look()
    assert len(reader.violations) == len(expected)
    for violation, beginning in zip(sorted(reader.violations), expected, strict=True):
        assert violation.startswith(beginning)


def test_changed_object_is_found(store, reader):
    for data in (b"one", b"two"):
        replace_object(store, f"{NEW}/loose", data)
        reader.look()
    [violation] = reader.violations
    assert violation.startswith(f"{NEW}/loose changed from SHA-256 ")


def test_vanished_file_of_a_manifest_is_found_again_in_the_last_look(store, reader):
    store.delete(FILE)
    reader.look_again()
    assert f"models/{MODEL}: first.parquet is missing; its manifest says 21 bytes." in reader.violations


def test_artifact_that_exists_without_a_manifest_is_found(store, reader, monkeypatch):
    manifest = artifacts.find(store, "models", MODEL)
    store.create(f"{NEW}/first.parquet", b"half of an artifact")
    monkeypatch.setattr("benchmarks.reader.look_up", lambda *_: manifest)
    reader.look()
    assert reader.violations == [f"{NEW} has no manifest and exists all the same: found by its id"]


def test_manifest_in_a_listing_that_is_not_found_by_its_id_is_found(store, monkeypatch):
    publish(store, "models", MODEL)
    reader = Reader(store)
    monkeypatch.setattr("benchmarks.reader.look_up", lambda *_: None)
    reader.look()
    assert reader.violations == [f"models/{MODEL} has a manifest in the listing that is not found by its id"]


@pytest.mark.parametrize(
    ("content", "violation"),
    [(b"half", "loose is listed with 9 bytes and has 4"), (None, "loose is listed and cannot be read")],
)
def test_listing_that_says_more_than_there_is_is_found(store, monkeypatch, content, violation):
    if content:
        store.create("loose", content)
    monkeypatch.setattr(type(store), "list", lambda *_: iter([ObjectInfo("loose", 9, "1")]))
    reader = Reader(store)
    reader.look()
    assert reader.violations == [violation]


def test_watching_sees_what_happens_in_between(store, monkeypatch):
    looks, list_all = threading.Semaphore(0), type(store).list

    def announce(*arguments: Any) -> Any:
        looks.release()
        return list_all(*arguments)

    monkeypatch.setattr(type(store), "list", announce)
    with watching(store) as reader:
        replace_object(store, f"{NEW}/loose", b"one")
        while looks.acquire(blocking=False):
            pass
        assert all(looks.acquire(timeout=30) for _ in range(2))  # a look begins only when the one before is over
        store.delete(f"{NEW}/loose")
    assert reader.violations[0].startswith(f"{NEW}/loose was there")


def test_watching_raises_an_error_of_the_reader_itself(store, monkeypatch):
    refuse(monkeypatch, store, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError), watching(store):
        pass


@pytest.mark.parametrize(
    ("error", "violations", "n_unanswered"),
    [(Unavailable("gone"), [], 1), (InvalidInput("who are you?"), ["a reader gets an error: who are you?"], 0)],
)
def test_server_that_does_not_answer_is_no_violation_and_a_refusal_is_one(
    store, monkeypatch, error, violations, n_unanswered
):
    reader, stop = Reader(store), refuse(monkeypatch, store, error)
    with pytest.raises(type(error)):  # in the last look, after which nothing can be said of the store
        reader.run(stop)
    assert (reader.violations, reader.n_unanswered) == (violations, n_unanswered)


def refuse(monkeypatch: pytest.MonkeyPatch, store: Store, error: Exception) -> threading.Event:
    """Make every listing fail, and return an event that the first one sets."""
    stop = threading.Event()

    def fail(*_: object) -> None:
        stop.set()
        raise error

    monkeypatch.setattr(type(store), "list", fail)
    return stop
