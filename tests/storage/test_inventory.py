from unittest.mock import Mock

import pytest
from sample_artifacts import DATASET, LINEAGE, MODEL, NAMES, RAW, SPLIT, forge_manifest, publish, publish_lineage
from test_ages import moment, renew_until_later

from schema.errors import CorruptObject, InvalidInput, InvalidKey, ObjectNotFound, Unavailable
from storage.inventory import find_artifact, find_report, lineage, list_artifacts
from storage.manifest import MANIFEST_LIMIT_BYTES, Manifest
from storage.memory import MemoryStore

HOSTILE = {
    "no JSON": b"{",
    "no object": b"[]",
    "empty": b"",
    "binary": bytes(range(256)),
    "deep": b'{"kind":' * 100_000,
    "huge": b" " * (MANIFEST_LIMIT_BYTES + 1),
    "wrong types": b'{"code_version":1,"counts":[],"files":{},"id":[],"inputs":"","kind":null,"parameters":0}',
    "of another artifact": Manifest("models", "0000", {}, {}, "", (), {}).to_bytes(),
    "of another kind": Manifest("fits", "bad0", {}, {}, "", (), {}).to_bytes(),
}


def test_a_new_store_has_no_artifacts(store):
    assert list(list_artifacts(store)) == []


def test_every_artifact_is_listed_once_in_order_of_kind_and_id(store):
    publish_lineage(store)
    publish(store, "models", "0000")
    names = [artifact.name for artifact in list_artifacts(store)]
    assert names == [*NAMES[:6], "models/0000", *NAMES[6:]]
    assert [artifact.name for artifact in list_artifacts(store, "models")] == ["models/0000", f"models/{MODEL}"]
    for artifact in list_artifacts(store):
        assert isinstance(artifact.manifest, Manifest)
        assert artifact.manifest.name == artifact.name


def test_what_has_no_manifest_of_its_own_is_not_listed(store):
    for key in ("models/1f3a/half", "models/1f3a/deeper/manifest.json", "stuff/1f3a/manifest.json", "manifest.json"):
        store.create(key, b"{}")
    assert list(list_artifacts(store)) == []


def test_listing_an_unknown_kind_is_refused(store):
    with pytest.raises(InvalidKey, match="kind 'model' is unknown; expected one of raw"):
        list(list_artifacts(store, "model"))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_broken_manifest_says_why_and_hides_no_other(store, text):
    publish(store, "models", "aaaa")
    store.create("models/bad0/manifest.json", text)
    publish(store, "models", "cccc")
    found = list(list_artifacts(store))
    assert [artifact.name for artifact in found] == ["models/aaaa", "models/bad0", "models/cccc"]
    assert [isinstance(artifact.manifest, Manifest) for artifact in found] == [True, False, True]
    assert "models/bad0/manifest.json" in str(found[1].manifest)
    with pytest.raises(CorruptObject):
        found[1].require_manifest()


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), PermissionError(13, "Permission denied")])
def test_a_manifest_that_the_medium_does_not_give_is_broken(store, error, monkeypatch):
    publish(store, "models", "aaaa")
    monkeypatch.setattr(store, "read", Mock(side_effect=error))
    (found,) = list_artifacts(store)
    assert str(error.strerror) in str(found.manifest)


def test_a_store_that_does_not_answer_is_not_taken_for_a_broken_one(store, monkeypatch):
    publish(store, "models", "aaaa")
    monkeypatch.setattr(store, "read", Mock(side_effect=Unavailable("the server is gone")))
    with pytest.raises(Unavailable):
        list(list_artifacts(store))


@pytest.mark.parametrize("name", [MODEL, f"models/{MODEL}", "models/6", "6666", f"models/{MODEL}/"])
def test_an_artifact_is_found_by_its_id_or_the_beginning(store, name):
    publish_lineage(store)
    found = find_artifact(store, name)
    assert (found.name, found.require_manifest().id) == (f"models/{MODEL}", MODEL)


def test_a_whole_id_is_found_though_others_begin_like_it(store):
    publish(store, "models", "1f3a")
    publish(store, "models", "1f3a00")
    assert find_artifact(store, "1f3a").id == "1f3a"


def test_an_ambiguous_beginning_lists_what_it_could_be(store):
    publish(store, "models", "1f3a")
    publish(store, "fits", "1f3b")
    with pytest.raises(InvalidInput, match=r"'1f' is the beginning of fits/1f3b, models/1f3a\. Give more digits"):
        find_artifact(store, "1f")
    assert find_artifact(store, "models/1f").id == "1f3a"


def test_an_unknown_id_lists_what_there_is(store):
    with pytest.raises(ObjectNotFound, match=r"has no artifact '1f3a'; it has none\."):
        find_artifact(store, "1f3a")
    for number in range(12):
        publish(store, "models", f"{number:04x}")
    with pytest.raises(ObjectNotFound, match=r"it has models/0000, models/0001, .*models/0009 and 2 more\."):
        find_artifact(store, "1f3a")


def test_files_without_a_manifest_are_not_found(store):
    store.create("models/1f3a/half", b"")
    with pytest.raises(ObjectNotFound):
        find_artifact(store, "models/1f3a")


@pytest.mark.parametrize(
    ("name", "error"),
    [("", InvalidInput), ("/", InvalidInput), ("model/1f3a", InvalidKey), ("..", InvalidKey), ("a b", InvalidKey)],
)
def test_what_can_be_no_id_is_refused(store, name, error):
    publish(store, "models", "1f3a")
    with pytest.raises(error):
        find_artifact(store, name)


def test_lineage_leads_back_to_the_raw_file_and_follows_each_artifact_once(store):
    publish_lineage(store)
    lines = lineage(store, find_artifact(store, f"models/{MODEL}").require_manifest())
    assert [("  " * one.depth + one.role, one.kind, one.is_repeated) for one in lines] == [
        ("", "models", False),
        ("  dataset", "datasets", False),
        ("    reviews", "reviews", False),
        ("      raw", "raw", False),
        ("  fit", "fits", False),
        ("    split", "splits", False),
        ("      dataset", "datasets", True),
        ("  products", "raw", True),
        ("  split", "splits", True),
        ("  test", "scores", False),
        ("    fit", "fits", True),
        ("    split", "splits", True),
    ]
    assert {one.id for one in lines} == {artifact_id for _, artifact_id, _ in LINEAGE[:7]}
    assert {one.state for one in lines} == {"there"}


def test_lineage_shows_what_is_missing_broken_or_of_no_known_kind(store):
    store.create(f"datasets/{DATASET}/manifest.json", b"{")
    inputs = {"dataset": DATASET, "split": SPLIT, "muse": "1f3a", "raw": "../../etc"}
    forge_manifest(store, "models", MODEL, inputs)
    _, *lines = lineage(store, find_artifact(store, MODEL).require_manifest())
    assert [(one.role, one.name, one.state) for one in lines] == [
        ("dataset", f"datasets/{DATASET}", "broken"),
        ("muse", "?/1f3a", "unknown"),
        ("raw", "raw/../../etc", "broken"),
        ("split", f"splits/{SPLIT}", "missing"),
    ]


def test_lineage_of_a_forged_circle_ends(store):
    forge_manifest(store, "models", "aaaa", {"model": "bbbb"})
    forge_manifest(store, "models", "bbbb", {"model": "aaaa"})
    lines = lineage(store, find_artifact(store, "aaaa").require_manifest())
    assert [(one.id, one.is_repeated) for one in lines] == [("aaaa", False), ("bbbb", False), ("aaaa", True)]


def test_lineage_of_a_forged_chain_of_any_length_ends():
    store = MemoryStore("chain")
    for number in range(3000):
        forge_manifest(store, "models", f"{number:04}", {"model": f"{number + 1:04}"})
    lines = lineage(store, find_artifact(store, "models/0000").require_manifest())
    assert (len(lines), lines[-1].state) == (3001, "missing")


def test_raw_files_have_long_ids_and_are_found_by_their_first_digits(store):
    publish_lineage(store)
    assert find_artifact(store, RAW[:16]).name == f"raw/{RAW}"


@pytest.mark.parametrize("role", ["model", "evaluation"])
def test_the_newest_report_of_a_model_or_an_evaluation_is_found(store, role):
    subject = publish(store, f"{role}s", "1f3a")
    other = publish(store, f"{role}s", "2222")
    assert find_report(store, subject) is None
    for one, about in (("bbbb", "1f3a"), ("aaaa", "1f3a"), ("cccc", "2222")):
        publish(store, "reports", one, {role: about})
        if one == "aaaa":
            renew_until_later(store, "reports/aaaa/manifest.json", moment(store, "reports/bbbb/manifest.json"))
    store.create("reports/dddd/manifest.json", b"{")
    found = find_report(store, subject), find_report(store, other)
    assert [report.id for report in found if report] == ["aaaa", "cccc"]
