from pathlib import Path
from typing import Any

import pytest
from sample_artifacts import publish_folder, replace_object

from schema.errors import CorruptObject, ObjectNotFound
from storage import artifacts, layout
from storage.manifest import FileEntry
from storage.memory import MemoryStore
from storage.protocol import ObjectInfo

ORIGIN: dict[str, Any] = {
    "inputs": {"split": "77aa"},
    "parameters": {"rank": 8, "reg": 0.1, "shape": (1, 2)},
    "code_version": "0.1.0+abc",
}


class PowerCutError(Exception):
    """The process is gone."""


class FailingStore(MemoryStore):
    """A store whose process dies before, or just after, its n-th create."""

    def __init__(self, n_creates: int, is_last_done: bool) -> None:
        super().__init__("failing")
        self.n_left = n_creates
        self.is_last_done = is_last_done

    def create(self, key: str, source: Path | bytes) -> ObjectInfo:
        self.n_left -= 1
        if self.n_left == 0 and not self.is_last_done:
            raise PowerCutError
        info = super().create(key, source)
        if self.n_left == 0:
            raise PowerCutError
        return info


def test_publish_makes_an_artifact_that_find_finds(store, artifact_folder):
    assert artifacts.find(store, "models", "1f3a") is None
    manifest = publish_folder(store, artifact_folder, **ORIGIN, counts={"n_users": 3})
    assert artifacts.find(store, "models", "1f3a") == manifest
    assert store.read("models/1f3a/manifest.json") == manifest.to_bytes()
    assert (manifest.kind, manifest.id, manifest.counts) == ("models", "1f3a", {"n_users": 3})
    assert manifest.inputs == {"split": "77aa"}
    assert manifest.parameters == {"rank": 8, "reg": 0.1, "shape": [1, 2]}
    assert [file.path for file in manifest.files] == [
        "als_model/itemFactors/part-00000",
        "als_model/metadata",
        "metadata.json",
        "metrics.json",
    ]


def test_publish_again_returns_the_first_and_writes_nothing(store, artifact_folder):
    first = publish_folder(store, artifact_folder, **ORIGIN)
    before = list(store.list(""))
    (artifact_folder / "metadata.json").write_bytes(b"other")
    assert publish_folder(store, artifact_folder, **ORIGIN, counts={"n_users": 4}) == first
    assert list(store.list("")) == before


@pytest.mark.parametrize("n_creates", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("is_last_done", [False, True])
def test_publish_cut_anywhere_ends_the_same_when_done_again(artifact_folder, n_creates, is_last_done):
    whole = MemoryStore("whole")
    expected = publish_folder(whole, artifact_folder, **ORIGIN)
    store = FailingStore(n_creates, is_last_done)
    with pytest.raises(PowerCutError):
        publish_folder(store, artifact_folder, **ORIGIN)
    is_sealed = n_creates == 5 and is_last_done
    assert artifacts.find(store, "models", "1f3a") == (expected if is_sealed else None)
    assert publish_folder(store, artifact_folder, **ORIGIN) == expected
    assert [info.key for info in store.list("")] == [info.key for info in whole.list("")]


def test_a_cut_writer_with_other_bytes_never_gets_into_the_manifest(artifact_folder):
    store = FailingStore(n_creates=4, is_last_done=True)
    with pytest.raises(PowerCutError):
        publish_folder(store, artifact_folder, **ORIGIN)
    (artifact_folder / "als_model" / "itemFactors" / "part-00000").write_bytes(b"another order of sums")
    manifest = publish_folder(store, artifact_folder, **ORIGIN)
    for file in manifest.files:
        assert store.read(f"models/1f3a/{file.path}") == (artifact_folder / layout.logical_name(file.path)).read_bytes()


def test_seal_returns_the_manifest_of_whoever_sealed_first(store, artifact_folder):
    files = artifacts.add_files(store, "models", "1f3a", artifact_folder)
    first = artifacts.seal(store, "models", "1f3a", **ORIGIN, files=files, counts={"n_users": 1})
    second = artifacts.seal(store, "models", "1f3a", **ORIGIN, files=files, counts={"n_users": 2})
    assert second == first
    assert first.counts == {"n_users": 1}


def test_seal_takes_files_of_several_sets_in_any_order(store, tmp_path):
    entries: tuple[FileEntry, ...] = ()
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.json").write_bytes(b"{}")
        entries += artifacts.add_files(store, "models", "1f3a", tmp_path / name)
    manifest = artifacts.seal(store, "models", "1f3a", **ORIGIN, files=entries, counts={})
    assert [file.path for file in manifest.files] == ["a.json", "b.json"]


def test_seal_refuses_a_missing_file(store, artifact_folder):
    files = artifacts.add_files(store, "models", "1f3a", artifact_folder)
    store.delete("models/1f3a/metadata.json")
    with pytest.raises(ObjectNotFound, match=r"models/1f3a/metadata\.json does not exist; add it"):
        artifacts.seal(store, "models", "1f3a", **ORIGIN, files=files, counts={})
    assert artifacts.find(store, "models", "1f3a") is None


def test_seal_refuses_a_file_of_another_size(store, artifact_folder):
    files = artifacts.add_files(store, "models", "1f3a", artifact_folder)
    replace_object(store, "models/1f3a/metadata.json", b"short")
    with pytest.raises(CorruptObject, match=r"metadata\.json has 5 bytes; expected 12"):
        artifacts.seal(store, "models", "1f3a", **ORIGIN, files=files, counts={})
    assert artifacts.find(store, "models", "1f3a") is None


def test_seal_refuses_a_manifest_that_no_reader_accepts(store):
    twice = [FileEntry("a", 0, "0" * 64)] * 2
    with pytest.raises(CorruptObject, match="the manifest of models/1f3a: files names 'a' twice"):
        artifacts.seal(store, "models", "1f3a", **ORIGIN, files=twice, counts={})
    assert list(store.list("")) == []


def test_find_refuses_the_manifest_of_another_artifact(store, artifact_folder):
    store.create("models/beef/manifest.json", publish_folder(store, artifact_folder).to_bytes())
    with pytest.raises(CorruptObject, match=r"is the manifest of models/1f3a; expected models/beef"):
        artifacts.find(store, "models", "beef")


def test_find_names_the_place_of_a_broken_manifest(store):
    store.create("models/1f3a/manifest.json", b"{")
    with pytest.raises(CorruptObject, match=r"models/1f3a/manifest\.json is not valid JSON"):
        artifacts.find(store, "models", "1f3a")
