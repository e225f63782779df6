from collections.abc import Callable
from pathlib import Path

import pytest
from sample_artifacts import (
    DATASET,
    FIT,
    LISTS,
    MODEL,
    NAMES,
    PROMOTION,
    RAW,
    REVIEWS,
    SPLIT,
    contents,
    forge_manifest,
    problems,
    publish,
    publish_lineage,
    replace_object,
)

from schema.errors import CorruptObject, ObjectExists, ObjectNotFound
from storage.copying import Copied, artifacts_to_copy, copy_artifacts
from storage.inventory import find_artifact, list_artifacts
from storage.memory import MemoryStore
from storage.opening import open_store
from storage.protocol import ObjectInfo, Store


@pytest.fixture
def target(new_store_uri: Callable[[], str]) -> Store:
    return open_store(new_store_uri())


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def copy(source: Store, target: Store, scratch: Path, name: str, *, alone: bool = False) -> list[Copied]:
    manifests = artifacts_to_copy(source, find_artifact(source, name), alone=alone)
    return list(copy_artifacts(source, target, manifests, scratch))


def test_a_copy_is_the_artifact_and_all_it_was_made_from_byte_for_byte(store, target, scratch):
    publish_lineage(store)
    publish(store, "models", "0000")
    copied = copy(store, target, scratch, MODEL)
    wanted = {key: data for key, data in contents(store).items() if not key.startswith(("recomm", "models/0000"))}
    assert contents(target) == wanted
    assert {one.is_new for one in copied} == {True}
    assert problems(target) == []
    assert list(scratch.iterdir()) == []


def test_what_an_artifact_was_made_from_is_copied_before_it(store, target, scratch):
    publish_lineage(store)
    done: set[str] = set()
    for one in copy(store, target, scratch, LISTS):
        assert set(one.manifest.inputs.values()) <= done
        done.add(one.manifest.id)
    assert len(done) == len(NAMES)


def test_a_promotion_is_copied_with_challenger_and_champion(store, target, scratch):
    publish_lineage(store)
    publish(store, "models", "0000", {"dataset": DATASET, "split": SPLIT})
    publish(store, "promotions", PROMOTION, {"challenger": "0000", "champion": MODEL, "split": SPLIT})
    copied = [one.manifest.name for one in copy(store, target, scratch, PROMOTION)]
    assert copied[-1] == f"promotions/{PROMOTION}"
    assert set(copied) == {*NAMES, "models/0000", f"promotions/{PROMOTION}"} - {f"recommendations/{LISTS}"}
    assert problems(target) == []


def test_a_comparison_of_reviews_takes_both_along(store, target, scratch):
    publish_lineage(store)
    publish(store, "reviews", "1111bbbb", {"raw": RAW})
    publish(store, "drifts", "9999aaaa", {"reviews": "1111bbbb", "before": REVIEWS})
    copied = [one.manifest.name for one in copy(store, target, scratch, "9999aaaa")]
    assert sorted(copied) == ["drifts/9999aaaa", f"raw/{RAW}", f"reviews/{REVIEWS}", "reviews/1111bbbb"]
    assert problems(target) == []


def test_an_artifact_can_be_copied_alone(store, target, scratch):
    publish_lineage(store)
    assert [one.manifest.name for one in copy(store, target, scratch, MODEL, alone=True)] == [f"models/{MODEL}"]
    assert [artifact.name for artifact in list_artifacts(target)] == [f"models/{MODEL}"]


def test_files_of_a_set_folder_keep_their_paths(store, target, scratch):
    store.create("models/1f3a/first.parquet", b"of another writer")
    manifest = publish(store, "models", "1f3a")
    copy(store, target, scratch, "1f3a")
    paths = ["manifest.json", *(file.path for file in manifest.files)]
    assert sorted(contents(target)) == sorted(f"models/1f3a/{path}" for path in paths)


def test_a_manifest_that_others_wrote_otherwise_is_copied_as_it_is(store, target, scratch):
    publish(store, "models", "1f3a")
    spaced = store.read("models/1f3a/manifest.json").replace(b"\n", b"\n\n")
    replace_object(store, "models/1f3a/manifest.json", spaced)
    copy(store, target, scratch, "1f3a")
    assert target.read("models/1f3a/manifest.json") == spaced


def test_a_second_copy_changes_nothing(store, target, scratch):
    publish_lineage(store)
    copy(store, target, scratch, DATASET)
    before = list(target.list(""))
    assert {one.is_new for one in copy(store, target, scratch, DATASET)} == {False}
    assert list(target.list("")) == before
    later = copy(store, target, scratch, SPLIT)
    assert [(one.manifest.kind, one.is_new) for one in later] == [
        ("raw", False),
        ("reviews", False),
        ("datasets", False),
        ("splits", True),
    ]


def test_a_copy_to_the_same_store_changes_nothing(store, scratch):
    publish_lineage(store)
    before = list(store.list(""))
    assert {one.is_new for one in copy(store, store, scratch, LISTS)} == {False}
    assert list(store.list("")) == before


def test_another_artifact_of_the_same_id_is_told_before_anything_is_copied(store, target, scratch):
    publish_lineage(store)
    publish(target, "fits", FIT, {"split": SPLIT}, {"factors": b"sums in another order"})
    before = contents(target)
    with pytest.raises(
        ObjectExists, match=rf"fits/{FIT}/manifest\.json is there already and differs: the same question"
    ):
        copy(store, target, scratch, MODEL)
    assert contents(target) == before


def test_a_file_that_is_not_what_its_manifest_says_is_not_copied(store, target, scratch):
    publish(store, "models", "1f3a", files={"a": b"content", "b": b"others"})
    replace_object(store, "models/1f3a/b", b"OTHERS")
    with pytest.raises(CorruptObject, match=r"models/1f3a/b has the SHA-256 .*; its manifest says"):
        copy(store, target, scratch, "1f3a")
    assert contents(target) == {"models/1f3a/a": b"content"}
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("data", [b"other", b"others and more"])
def test_a_file_of_another_size_is_not_even_fetched(store, target, data, tmp_path):
    publish(store, "models", "1f3a", files={"b": b"others"})
    replace_object(store, "models/1f3a/b", data)
    with pytest.raises(CorruptObject, match=rf"models/1f3a/b has {len(data)} bytes; its manifest says 6"):
        copy(store, target, tmp_path / "never made", "1f3a")
    assert not (tmp_path / "never made").exists()


def test_a_missing_file_is_told(store, target, scratch):
    publish(store, "models", "1f3a", files={"b": b"others"})
    store.delete("models/1f3a/b")
    with pytest.raises(ObjectNotFound, match="models/1f3a/b does not exist"):
        copy(store, target, scratch, "1f3a")
    assert contents(target) == {}


def test_what_a_dead_copy_left_is_used_and_what_another_writer_left_is_told(store, target, scratch):
    publish(store, "models", "1f3a", files={"a": b"content", "b": b"others"})
    target.create("models/1f3a/a", b"content")
    target.create("models/1f3a/b", b"OTHERS")
    with pytest.raises(ObjectExists, match="models/1f3a/b has other bytes than the models/1f3a that is to be copied"):
        copy(store, target, scratch, "1f3a")
    assert target.head("models/1f3a/manifest.json") is None
    target.delete("models/1f3a/b")
    copy(store, target, scratch, "1f3a")
    assert contents(target) == contents(store)


class Watched(MemoryStore):
    """A store that dies at its n-th create, and tells what was fetched and how much scratch space was in use."""

    def __init__(self, name: str, scratch: Path, n_creates: int = 1_000_000) -> None:
        super().__init__(name)
        self.scratch, self.n_left = scratch, n_creates
        self.fetched: list[str] = []
        self.n_files: list[int] = []

    def create(self, key: str, source: Path | bytes) -> ObjectInfo:
        self.n_files.append(len(list(self.scratch.iterdir())))
        self.n_left -= 1
        if self.n_left < 0:
            raise KeyboardInterrupt
        return super().create(key, source)

    def fetch(self, key: str, target: Path) -> None:
        self.fetched.append(key)
        super().fetch(key, target)


def test_a_copy_that_was_cut_off_goes_on_where_it_was(scratch):
    source = Watched("source", scratch)
    publish_lineage(source)
    target = Watched("target", scratch, n_creates=8)
    with pytest.raises(KeyboardInterrupt):
        copy(source, target, scratch, MODEL)
    assert list(scratch.iterdir()) == []
    assert f"datasets/{DATASET}/manifest.json" not in contents(target)
    source.fetched.clear()
    target.n_left = 1_000_000
    copied = copy(source, target, scratch, MODEL)
    assert [one.manifest.kind for one in copied if not one.is_new] == ["raw", "reviews"]
    assert source.fetched[0] == f"splits/{SPLIT}/first.parquet"
    assert problems(target) == []


def test_scratch_space_is_for_one_file_at_a_time(scratch):
    source, target = Watched("source", scratch), Watched("target", scratch)
    publish_lineage(source)
    source.n_files.clear()
    copy(source, target, scratch, MODEL)
    assert set(target.n_files) == {0, 1}


def test_local_files_are_copied_without_scratch_space(tmp_path):
    source, target = open_store(str(tmp_path / "source")), open_store(str(tmp_path / "target"))
    publish_lineage(source)
    copy(source, target, tmp_path / "never made", MODEL)
    assert not (tmp_path / "never made").exists()
    assert problems(target) == []


def test_copies_between_backends_are_equal(store, scratch):
    there, back = MemoryStore("there"), MemoryStore("back")
    publish_lineage(there)
    copy(there, store, scratch, LISTS)
    copy(store, back, scratch, LISTS)
    assert contents(back) == contents(there)


def test_an_ancestor_that_is_missing_or_broken_is_told_before_anything_is_copied(store, target, scratch):
    publish_lineage(store)
    store.delete(f"reviews/{REVIEWS}/manifest.json")
    with pytest.raises(
        ObjectNotFound, match=rf"models/{MODEL} goes back to reviews/{REVIEWS} \(reviews\), which .* lacks"
    ):
        copy(store, target, scratch, MODEL)
    store.create(f"reviews/{REVIEWS}/manifest.json", b"{")
    with pytest.raises(CorruptObject, match="not valid JSON"):
        copy(store, target, scratch, MODEL)
    assert contents(target) == {}


def test_a_broken_artifact_is_not_copied_even_alone(store, target, scratch):
    store.create("models/bad0/manifest.json", b"{")
    with pytest.raises(CorruptObject, match="not valid JSON"):
        copy(store, target, scratch, "bad0", alone=True)


def test_inputs_of_no_known_kind_and_circles_are_told(store, target, scratch):
    forge_manifest(store, "models", "cccc", {"muse": "1f3a"})
    with pytest.raises(
        CorruptObject, match=r"models/cccc goes back to \?/1f3a as 'muse', which is no kind that is known"
    ):
        copy(store, target, scratch, "cccc")
    forge_manifest(store, "models", "aaaa", {"model": "bbbb"})
    forge_manifest(store, "models", "bbbb", {"model": "aaaa"})
    with pytest.raises(CorruptObject, match="an artifact was made from itself: models/"):
        copy(store, target, scratch, "aaaa")
    assert contents(target) == {}


def test_of_two_copies_at_once_both_succeed(store, target, scratch):
    publish(store, "models", "1f3a")
    manifests = artifacts_to_copy(store, find_artifact(store, "1f3a"))
    first = copy_artifacts(store, target, manifests, scratch)

    def other(_: int) -> None:
        if target.head("models/1f3a/manifest.json") is None:
            copy(store, target, scratch, "1f3a")

    assert [one.is_new for one in copy_artifacts(store, target, manifests, scratch, other)] == [True]
    assert [one.is_new for one in first] == [False]
    assert contents(target) == contents(store)
