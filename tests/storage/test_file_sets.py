import pytest
from sample_artifacts import contents, replace_object

from schema.digests import file_sha256
from schema.errors import CorruptObject, InvalidInput, InvalidKey, ObjectNotFound
from storage import layout
from storage.artifacts import add_files, adopt_file
from storage.manifest import FileEntry
from storage.memory import MemoryStore

NAMES = ["als_model/itemFactors/part-00000", "als_model/metadata", "metadata.json", "metrics.json"]


class Observed(MemoryStore):
    """A store that tells what was renewed."""

    def __init__(self) -> None:
        super().__init__("observed")
        self.renewed: list[str] = []

    def renew(self, key: str) -> None:
        super().renew(key)
        self.renewed.append(key)


def test_add_files_puts_every_file_under_its_relative_path(store, artifact_folder):
    entries = add_files(store, "models", "1f3a", artifact_folder)
    assert [entry.path for entry in entries] == NAMES
    assert contents(store) == {f"models/1f3a/{name}": (artifact_folder / name).read_bytes() for name in NAMES}
    for entry in entries:
        path = artifact_folder / entry.path
        assert entry == FileEntry(entry.path, path.stat().st_size, file_sha256(path))


def test_add_files_makes_what_it_adopts_count_as_new(artifact_folder):
    store = Observed()
    add_files(store, "models", "1f3a", artifact_folder)
    assert store.renewed == []
    store.delete("models/1f3a/metadata.json")
    add_files(store, "models", "1f3a", artifact_folder)
    assert store.renewed == [f"models/1f3a/{name}" for name in NAMES if name != "metadata.json"]


def test_add_files_leaves_the_age_of_another_writers_bytes(artifact_folder):
    store = Observed()
    store.create("models/1f3a/als_model/itemFactors/part-00000", b"FACTORS")
    add_files(store, "models", "1f3a", artifact_folder)
    assert store.renewed == []


@pytest.mark.parametrize("verb", ["open", "renew"])
def test_add_files_stores_anew_what_is_taken_away_while_it_is_adopted(store, artifact_folder, verb, happen):
    first = add_files(store, "models", "1f3a", artifact_folder)
    happen(verb, store.delete)
    assert add_files(store, "models", "1f3a", artifact_folder) == first
    assert contents(store) == {f"models/1f3a/{name}": (artifact_folder / name).read_bytes() for name in NAMES}


def test_what_is_taken_away_before_it_is_looked_at_is_not_adopted(store, artifact_folder, happen):
    [file, *_] = add_files(store, "models", "1f3a", artifact_folder)
    happen("head", store.delete)
    with pytest.raises(ObjectNotFound):
        adopt_file(store, f"models/1f3a/{file.path}", file)


@pytest.mark.parametrize("other", [b"other bytes", b'{"rank": 9}\n'], ids=["other size", "same size"])
def test_add_files_keeps_clear_of_another_writers_bytes(store, artifact_folder, other):
    store.create("models/1f3a/metadata.json", other)
    entries = add_files(store, "models", "1f3a", artifact_folder)
    folder = entries[0].path.partition("/")[0]
    assert [entry.path for entry in entries] == [f"{folder}/{name}" for name in NAMES]
    assert [layout.logical_name(entry.path) for entry in entries] == NAMES
    for name in NAMES:
        assert store.read(f"models/1f3a/{folder}/{name}") == (artifact_folder / name).read_bytes()
    assert store.read("models/1f3a/metadata.json") == other
    assert add_files(store, "models", "1f3a", artifact_folder) == entries


def test_sets_of_different_bytes_go_to_different_folders(store, artifact_folder):
    store.create("models/1f3a/metadata.json", b"other")
    first = add_files(store, "models", "1f3a", artifact_folder)
    (artifact_folder / "metrics.json").write_bytes(b"{}")
    second = add_files(store, "models", "1f3a", artifact_folder)
    assert not {entry.path for entry in first} & {entry.path for entry in second}


def test_add_files_refuses_a_set_folder_that_lies(store, artifact_folder):
    store.create("models/1f3a/metadata.json", b"other")
    path = add_files(store, "models", "1f3a", artifact_folder)[0].path
    replace_object(store, f"models/1f3a/{path}", b"forged")
    with pytest.raises(CorruptObject, match=f"{path} does not hold the bytes of its digest; delete its folder"):
        add_files(store, "models", "1f3a", artifact_folder)


def test_add_files_refuses_a_folder_without_files(store, tmp_path):
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    for folder in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(InvalidInput, match=f"{folder} has no files"):
            add_files(store, "models", "1f3a", folder)


def test_add_files_refuses_a_name_that_is_no_key(store, artifact_folder):
    (artifact_folder / "als_model" / ".metadata.crc").write_bytes(b"")
    with pytest.raises(InvalidKey, match=r"\.metadata\.crc"):
        add_files(store, "models", "1f3a", artifact_folder)
    assert contents(store) == {}
