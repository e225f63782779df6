from pathlib import Path

import pytest

from storage import layout
from storage.errors import CorruptObject, InvalidInput, InvalidKey
from storage.file_sets import add_files
from storage.identity import file_sha256
from storage.manifest import FileEntry
from storage.protocol import Store

NAMES = ["als_model/itemFactors/part-00000", "als_model/metadata", "metadata.json", "metrics.json"]


def held(store: Store) -> dict[str, bytes]:
    return {info.key: store.read(info.key) for info in store.list("")}


def test_add_files_puts_every_file_under_its_relative_path(store: Store, artifact_folder: Path) -> None:
    entries = add_files(store, "models", "1f3a", artifact_folder)
    assert [entry.path for entry in entries] == NAMES
    assert held(store) == {f"models/1f3a/{name}": (artifact_folder / name).read_bytes() for name in NAMES}
    for entry in entries:
        path = artifact_folder / entry.path
        assert entry == FileEntry(entry.path, path.stat().st_size, file_sha256(path))


def test_add_files_again_changes_nothing(store: Store, artifact_folder: Path) -> None:
    first = add_files(store, "models", "1f3a", artifact_folder)
    before = list(store.list(""))
    assert add_files(store, "models", "1f3a", artifact_folder) == first
    assert list(store.list("")) == before


def test_add_files_resumes_what_a_dead_writer_began(store: Store, artifact_folder: Path) -> None:
    store.create("models/1f3a/metadata.json", artifact_folder / "metadata.json")
    entries = add_files(store, "models", "1f3a", artifact_folder)
    assert [entry.path for entry in entries] == NAMES
    assert [info.key for info in store.list("")] == [f"models/1f3a/{name}" for name in NAMES]


@pytest.mark.parametrize("other", [b"other bytes", b'{"rank": 9}\n'], ids=["other size", "same size"])
def test_add_files_keeps_clear_of_another_writers_bytes(store: Store, artifact_folder: Path, other: bytes) -> None:
    store.create("models/1f3a/metadata.json", other)
    entries = add_files(store, "models", "1f3a", artifact_folder)
    folder = entries[0].path.partition("/")[0]
    assert [entry.path for entry in entries] == [f"{folder}/{name}" for name in NAMES]
    assert [layout.logical_name(entry.path) for entry in entries] == NAMES
    for name in NAMES:
        assert store.read(f"models/1f3a/{folder}/{name}") == (artifact_folder / name).read_bytes()
    assert store.read("models/1f3a/metadata.json") == other
    assert add_files(store, "models", "1f3a", artifact_folder) == entries


def test_sets_of_different_bytes_go_to_different_folders(store: Store, artifact_folder: Path) -> None:
    store.create("models/1f3a/metadata.json", b"other")
    first = add_files(store, "models", "1f3a", artifact_folder)
    (artifact_folder / "metrics.json").write_bytes(b"{}")
    second = add_files(store, "models", "1f3a", artifact_folder)
    assert not {entry.path for entry in first} & {entry.path for entry in second}


def test_add_files_refuses_a_set_folder_that_lies(store: Store, artifact_folder: Path) -> None:
    store.create("models/1f3a/metadata.json", b"other")
    path = add_files(store, "models", "1f3a", artifact_folder)[0].path
    store.delete(f"models/1f3a/{path}")
    store.create(f"models/1f3a/{path}", b"forged")
    with pytest.raises(CorruptObject, match=f"{path} does not hold the bytes of its digest; delete its folder"):
        add_files(store, "models", "1f3a", artifact_folder)


def test_add_files_refuses_a_folder_without_files(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(InvalidInput, match=f"{folder} has no files"):
            add_files(store, "models", "1f3a", folder)


def test_add_files_refuses_a_name_that_is_no_key(store: Store, artifact_folder: Path) -> None:
    (artifact_folder / "als_model" / ".metadata.crc").write_bytes(b"")
    with pytest.raises(InvalidKey, match=r"\.metadata\.crc"):
        add_files(store, "models", "1f3a", artifact_folder)
    assert held(store) == {}
