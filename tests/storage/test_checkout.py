import stat
from pathlib import Path

import pytest
from sample_artifacts import publish_folder, replace_object

from schema.digests import file_sha256
from schema.errors import CorruptObject, ObjectNotFound
from storage.artifacts import checkout, entry
from storage.local import LocalStore
from storage.manifest import FileEntry, Manifest
from storage.protocol import Store


def place_of(manifest: Manifest) -> str:
    """Return the key of one of its files."""
    return f"models/1f3a/{entry(manifest, 'als_model/metadata').path}"


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(params=["plain", "beside another writer"])
def manifest(request: pytest.FixtureRequest, store: Store, artifact_folder: Path) -> Manifest:
    """Publish the artifact in an empty place, or where a dead writer left other bytes and more files."""
    if request.param != "plain":
        store.create("models/1f3a/metadata.json", b"not ours")
        store.create("models/1f3a/als_model/itemFactors/part-00001", b"not ours")
    return publish_folder(store, artifact_folder)


def test_entry_finds_a_file_by_its_logical_name(manifest):
    assert entry(manifest, "metadata.json").size_bytes == 12
    assert entry(manifest, "metadata.json").path.endswith("metadata.json")


@pytest.mark.parametrize("name", ["report.html", "als_model", "", "metadata"])
def test_entry_lists_the_names_there_are(manifest, name):
    with pytest.raises(ObjectNotFound, match=r"has no '.*'; it has als_model/itemFactors/part-00000, als_model/"):
        entry(manifest, name)


def test_checkout_gives_a_file_of_the_right_bytes(store, manifest, tmp_path, artifact_folder):
    for name in ("metadata.json", "metrics.json", "als_model/metadata"):
        path = checkout(store, manifest, name, tmp_path / "cache")
        assert path.read_bytes() == (artifact_folder / name).read_bytes()
        assert path.name == Path(name).name
    assert isinstance(store, LocalStore) or stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["als_model", "als_model/itemFactors"])
def test_checkout_gives_a_folder_of_exactly_the_files(store, manifest, tmp_path, artifact_folder, name):
    folder = checkout(store, manifest, name, tmp_path / "cache")
    assert folder.name == Path(name).name
    assert contents(folder) == contents(artifact_folder / name)


def test_checkout_from_a_local_store_copies_nothing(artifact_folder, tmp_path):
    store = LocalStore(tmp_path / "store")
    manifest = publish_folder(store, artifact_folder)
    folder = tmp_path / "store" / "models" / "1f3a"
    for name in ("metadata.json", "als_model", "als_model/itemFactors"):
        assert checkout(store, manifest, name, tmp_path / "cache") == folder / name
    assert not (tmp_path / "cache").exists()


def test_checkout_leaves_foreign_files_out_of_a_folder(store, artifact_folder, tmp_path):
    store.create("models/1f3a/als_model/itemFactors/part-00001", b"of a dead writer")
    folder = checkout(store, publish_folder(store, artifact_folder), "als_model", tmp_path / "cache")
    assert contents(folder) == contents(artifact_folder / "als_model")


def test_checkout_of_a_folder_whose_files_lie_in_two_is_one_folder_of_them(tmp_path):
    store = LocalStore(tmp_path / "store")
    paths = ("als/a", "set-0123456789abcdef/als/b", "set-0123456789abcdef/als/stray")
    for path in paths:
        store.create(f"models/1f3a/{path}", b"1")
    files = tuple(FileEntry(path, 1, file_sha256(tmp_path / "store/models/1f3a" / path)) for path in paths[:2])
    folder = checkout(store, Manifest("models", "1f3a", {}, {}, "", files, {}), "als", tmp_path / "cache")
    assert contents(folder) == {"a": b"1", "b": b"1"}


def test_checkout_again_needs_no_store_for_what_is_cached(remote_store, tmp_path, artifact_folder):
    manifest = publish_folder(remote_store, artifact_folder)
    checkout(remote_store, manifest, "als_model", tmp_path / "cache")
    for info in remote_store.list(""):
        remote_store.delete(info.key)
    folder = checkout(remote_store, manifest, "als_model", tmp_path / "cache")
    assert contents(folder) == contents(artifact_folder / "als_model")
    with pytest.raises(ObjectNotFound, match=r"metadata\.json does not exist"):
        checkout(remote_store, manifest, "metadata.json", tmp_path / "cache")


def test_checkout_replaces_a_cached_copy_that_has_rotted(remote_store, tmp_path, artifact_folder):
    manifest = publish_folder(remote_store, artifact_folder)
    path = checkout(remote_store, manifest, "metadata.json", tmp_path / "cache")
    path.write_bytes(b'{"rank": 9}\n')
    assert checkout(remote_store, manifest, "metadata.json", tmp_path / "cache") == path
    assert path.read_bytes() == b'{"rank": 8}\n'


@pytest.mark.parametrize("name", ["als_model/metadata", "als_model"])
def test_checkout_refuses_an_object_of_another_size(store, manifest, tmp_path, name):
    replace_object(store, place_of(manifest), b"forged!")
    with pytest.raises(CorruptObject, match=r"als_model/metadata has .*; its manifest says .* make it again"):
        checkout(store, manifest, name, tmp_path / "cache")
    assert "als_model/metadata" not in contents(tmp_path)


def test_checkout_refuses_other_bytes_of_the_same_size(remote_store, tmp_path, artifact_folder):
    manifest = publish_folder(remote_store, artifact_folder)
    replace_object(remote_store, place_of(manifest), b"[]\n")
    with pytest.raises(CorruptObject, match=r"has the SHA-256 .*; its manifest says"):
        checkout(remote_store, manifest, "als_model/metadata", tmp_path / "cache")
    assert contents(tmp_path / "cache") == {}


def test_checkout_of_a_missing_object_says_so(store, manifest, tmp_path):
    store.delete(place_of(manifest))
    for name in ("als_model/metadata", "als_model"):
        with pytest.raises(ObjectNotFound, match="als_model/metadata does not exist"):
            checkout(store, manifest, name, tmp_path / "cache")


@pytest.mark.parametrize("name", ["report.html", "", "als", "als_model/", "../1f3a"])
def test_checkout_lists_the_names_there_are(store, manifest, tmp_path, name):
    with pytest.raises(ObjectNotFound, match=r"has no '.*'; it has .*metadata\.json, metrics\.json"):
        checkout(store, manifest, name, tmp_path / "cache")
