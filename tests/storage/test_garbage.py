import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sample_artifacts import DATASET, LISTS, MODEL, SPLIT, contents, forge_manifest, problems, publish, publish_lineage
from test_ages import moment, renew_until_later

from schema.digests import file_sha256
from schema.errors import InvalidInput, ObjectNotFound
from storage import artifacts, layout
from storage.champion import ChampionHistory, ChampionTerm, promote, replace_champion
from storage.garbage import DEFAULT_AGE, LEAST_AGE, Garbage, collect_garbage
from storage.inventory import list_artifacts
from storage.local import LocalStore
from storage.manifest import FileEntry
from storage.protocol import Store

ALL_ARE_OLD = DEFAULT_AGE + timedelta(minutes=5)
ORIGIN: dict[str, Any] = {"inputs": {}, "parameters": {}, "code_version": "", "counts": {}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one file."""
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "part").write_bytes(b"content")
    return folder


def collect(store: Store, *, remove: bool = True) -> Garbage:
    """Collect as if a week had gone by."""
    return collect_garbage(store, remove=remove, now=datetime.now(UTC) + ALL_ARE_OLD)


def keys(garbage: Garbage) -> list[str]:
    return [orphan.key for orphan in garbage.orphans]


def wait_for_the_clock(store: Store, key: str) -> datetime:
    """Return a moment after all that was written, at which the store's clock has not yet arrived before."""
    before = moment(store, key)
    probe = f"raw/{time.time_ns()}/probe"
    store.create(probe, b"")
    renew_until_later(store, probe, before)
    store.delete(probe)
    return before + timedelta(microseconds=1)


def test_an_empty_store_has_no_garbage(store):
    found = collect(store)
    assert (found.orphans, found.leftovers, found.n_young, found.left_alone) == ([], [], 0, {})


def test_nothing_that_a_manifest_or_the_pointer_reaches_is_garbage(store):
    publish_lineage(store)
    store.create("fits/aaaa/first.parquet", b"of another writer")
    publish(store, "fits", "aaaa")  # goes into a folder of its own set
    replace_champion(store, {"model_id": MODEL}, None)
    before = contents(store)
    found = collect(store)
    assert keys(found) == ["fits/aaaa/first.parquet"]
    assert contents(store) == {key: data for key, data in before.items() if key != "fits/aaaa/first.parquet"}
    assert (problems(store), len(list(list_artifacts(store)))) == ([], 9)


def test_orphans_are_found_with_their_size_and_age_and_left_where_they_are(store):
    publish(store, "models", "1f3a")
    store.create("models/1f3a/part", b"four")
    store.create("models/dead/half", b"seven b")
    before = contents(store)
    found = collect(store, remove=False)
    assert keys(found) == ["models/1f3a/part", "models/dead/half"]
    assert [orphan.size_bytes for orphan in found.orphans] == [4, 7]
    assert [orphan.written_at for orphan in found.orphans] == [moment(store, key) for key in keys(found)]
    assert found.size_bytes == 11
    assert contents(store) == before


def test_orphans_are_removed_if_asked_and_nothing_else(store):
    publish(store, "models", "1f3a")
    before = contents(store)
    orphans = ["models/1f3a/part", "models/1f3a/set-0123456789abcdef/part", "models/1f3b/half", "raw/0/half"]
    for key in orphans:
        store.create(key, b"half")
    assert keys(collect(store)) == orphans
    assert contents(store) == before
    assert collect(store).orphans == []


def test_what_was_written_lately_may_be_a_running_writers_and_stays(store):
    store.create("models/1f3a/half", b"half")
    found = collect_garbage(store, LEAST_AGE, remove=True)
    assert (keys(found), found.n_young) == ([], 1)
    assert list(contents(store)) == ["models/1f3a/half"]


def test_what_was_renewed_counts_as_written_then(store):
    store.create("models/1f3a/adopted", b"")
    store.create("models/1f3a/forgotten", b"")
    before = wait_for_the_clock(store, "models/1f3a/forgotten")
    store.renew("models/1f3a/adopted")
    found = collect_garbage(store, remove=True, now=before + DEFAULT_AGE)
    assert (keys(found), found.n_young, found.before) == (["models/1f3a/forgotten"], 1, before)
    assert list(contents(store)) == ["models/1f3a/adopted"]


@pytest.mark.parametrize("age", [timedelta(minutes=59), timedelta(0), timedelta(days=-1)])
def test_an_age_below_an_hour_is_refused(store, age):
    store.create("models/1f3a/half", b"half")
    with pytest.raises(InvalidInput, match=r"expected 1:00:00 or more: a run may be writing"):
        collect_garbage(store, age, remove=True, now=datetime.now(UTC) + ALL_ARE_OLD)
    assert list(contents(store)) == ["models/1f3a/half"]


def test_an_age_before_all_time_is_refused(store):
    with pytest.raises(InvalidInput, match="1000000 days is before all time"):
        collect_garbage(store, timedelta(days=1_000_000))


@pytest.mark.parametrize("text", [b"{", b"", b'{"kind":' * 100_000], ids=range(3))
def test_an_artifact_whose_manifest_is_broken_is_left_alone_and_told(store, text):
    store.create("models/bad0/manifest.json", text)
    store.create("models/bad0/part", b"may be named by it")
    store.create("models/dead/half", b"half")
    found = collect(store)
    assert keys(found) == ["models/dead/half"]
    assert list(found.left_alone) == ["models/bad0"]
    assert found.left_alone["models/bad0"].startswith("its manifest cannot be read: ")
    assert list(contents(store)) == ["models/bad0/manifest.json", "models/bad0/part"]


def test_scenarios_and_events_are_no_garbage(store):
    for key in (layout.scenario_key("home"), f"{layout.EVENTS}/2026-01-01/1f3a.json"):
        store.create(key, b"{}")
    found = collect(store, remove=True)
    assert (found.orphans, found.left_alone, len(list(store.list("")))) == ([], {}, 2)


def test_what_belongs_to_no_kind_is_left_alone_and_told(store):
    strange = ["champion.json.bak", "models/readme", "stuff/1/a", "stuff/2/b"]
    for key in strange:
        store.create(key, b"")
    found = collect(store)
    assert found.left_alone == dict.fromkeys(
        ["champion.json.bak", "models/readme", "stuff"], "it belongs to no kind of artifact"
    )
    assert list(contents(store)) == strange


def test_files_of_a_lost_manifest_stay_while_another_artifact_or_the_pointer_names_it(store):
    publish_lineage(store)
    for key in (f"datasets/{DATASET}", f"recommendations/{LISTS}", f"models/{MODEL}"):
        store.delete(f"{key}/manifest.json")
    replace_champion(store, {"model_id": MODEL}, None)
    found = collect(store)
    assert found.left_alone == {
        f"datasets/{DATASET}": f"it has no manifest, but splits/{SPLIT} was made from it",
        f"models/{MODEL}": "it has no manifest, but it is the champion",
    }
    assert keys(found) == [f"recommendations/{LISTS}/first.parquet", f"recommendations/{LISTS}/folder/second"]


def test_files_of_a_lost_manifest_stay_while_the_history_of_the_champions_names_them(store):
    kept = ["models/gone", "models/here", "promotions/best", "promotions/first", "promotions/second"]
    for name in (*kept, "models/stray", "promotions/stray"):
        store.create(f"{name}/half", b"")
    first, second = ChampionTerm("gone", promotion="first"), ChampionTerm("here", promotion="second", best="best")
    promote(store, second, ChampionHistory((first,), None))
    found = collect(store)
    assert list(found.left_alone) == kept
    assert found.left_alone["models/gone"] == "it has no manifest, but it was the champion"
    assert keys(found) == ["models/stray/half", "promotions/stray/half"]


def test_files_named_under_a_role_of_no_known_kind_stay(store):
    forge_manifest(store, "models", "1f3a", {"muse": "beef"})
    store.create("fits/beef/half", b"")
    found = collect(store)
    assert list(found.left_alone) == ["fits/beef"]


@pytest.mark.parametrize("record", [b"{", b'{"model": "1f3a"}'])
def test_while_the_pointer_cannot_be_read_no_model_without_a_manifest_is_garbage(store, record):
    store.replace("champion.json", record, None)
    store.create("models/1f3a/factors", b"")
    store.create("fits/1f3a/half", b"")
    found = collect(store)
    assert keys(found) == ["fits/1f3a/half"]
    assert list(found.left_alone) == ["models/1f3a"]
    assert "the pointer to the champion may name it" in found.left_alone["models/1f3a"]


def test_what_a_writer_adopts_at_the_last_moment_stays(store, folder, happen):
    store.create("models/1f3a/part", b"content")
    before = wait_for_the_clock(store, "models/1f3a/part")
    happen("written_at", lambda _: artifacts.add_files(store, "models", "1f3a", folder))
    found = collect_garbage(store, remove=True, now=before + DEFAULT_AGE)
    assert (keys(found), found.n_young) == ([], 1)
    assert contents(store) == {"models/1f3a/part": b"content"}


def test_a_manifest_that_appears_after_the_listing_saves_its_files(store, folder, happen):
    for name in ("a", "b", "c"):
        store.create(f"models/1f3a/{name}", b"content")
    files = [FileEntry(name, 7, file_sha256(folder / "part")) for name in ("b", "c")]
    happen("delete", lambda _: artifacts.seal(store, "models", "1f3a", files=files, **ORIGIN))
    found = collect(store)
    assert keys(found) == ["models/1f3a/a"]
    assert found.left_alone == {"models/1f3a": "its manifest was written at the same time; collect again"}
    assert problems(store) == []


def test_a_writer_whose_files_were_taken_cannot_seal_and_begins_anew(store, folder):
    files = artifacts.add_files(store, "models", "1f3a", folder)
    collect(store)
    with pytest.raises(ObjectNotFound, match="part does not exist; add it before its artifact is sealed"):
        artifacts.seal(store, "models", "1f3a", files=files, **ORIGIN)
    artifacts.publish(store, "models", "1f3a", folder, **ORIGIN)
    assert problems(store) == []


def test_an_object_that_is_gone_before_its_turn_is_no_orphan(store, happen):
    store.create("models/1f3a/half", b"half")
    happen("written_at", store.delete)
    assert keys(collect(store)) == []


def test_leftovers_of_dead_writers_are_found_and_removed_if_asked(tmp_path):
    store = LocalStore(tmp_path)
    (tmp_path / ".tmp").mkdir()
    old, young = tmp_path / ".tmp" / "elsewhere~1~0123abcd~0", tmp_path / ".tmp" / "elsewhere~1~0123abcd~1"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    assert collect_garbage(store).leftovers == [".tmp/elsewhere~1~0123abcd~0"]
    assert old.exists()
    assert collect_garbage(store, remove=True).leftovers == [".tmp/elsewhere~1~0123abcd~0"]
    assert (old.exists(), young.exists()) == (False, True)


def test_old_files_are_garbage_by_default_after_a_week(tmp_path):
    store = LocalStore(tmp_path)
    for name, days in (("old", 7.1), ("young", 6.9)):
        store.create(f"models/1f3a/{name}", b"")
        written_at = time.time() - days * 86_400
        os.utime(tmp_path / "models" / "1f3a" / name, (written_at, written_at))
    assert keys(collect_garbage(store)) == ["models/1f3a/old"]
