import re
from typing import BinaryIO

import pytest
from sample_artifacts import DATASET, FIT, MODEL, forge_manifest, problems, publish, publish_lineage, replace_object

from schema.errors import Unavailable
from storage import layout
from storage.champion import ChampionHistory, ChampionTerm, promote, replace_champion
from storage.inventory import find_artifact
from storage.local import LocalStore
from storage.manifest import FileEntry
from storage.memory import MemoryStore
from storage.protocol import Store
from storage.verify import verify_artifact, verify_champion


def pointer_problems(store: Store) -> list[str]:
    return [problem.what for problem in verify_champion(store)]


def test_a_store_as_the_flows_leave_it_has_no_problems(store):
    publish_lineage(store)
    assert problems(store) == []
    assert pointer_problems(store) == []
    replace_champion(store, {"model_id": MODEL}, None)
    assert pointer_problems(store) == []


def test_files_of_a_set_folder_are_looked_for_there(store):
    store.create("models/1f3a/first.parquet", b"of another writer")
    manifest = publish(store, "models", "1f3a")
    assert manifest.files[0].path.startswith("set-")
    assert problems(store) == []


def test_each_kind_of_harm_is_told_and_hides_no_other(store):
    for number in range(4):
        publish(store, "models", f"{number:04}", files={"a": b"content", "b": b"others"})
    store.delete("models/0000/a")
    replace_object(store, "models/0001/a", b"shorter"[:3])
    replace_object(store, "models/0002/a", b"CONTENT")
    replace_object(store, "models/0002/b", b"OTHERS")
    found = problems(store)
    assert [line.partition(" has the SHA-256")[0] for line in found] == [
        "models/0000: a is missing; its manifest says 7 bytes.",
        "models/0001: a has 3 bytes; its manifest says 7.",
        "models/0002: a",
        "models/0002: b",
    ]
    assert found[2].endswith("; its manifest says ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73.")


def test_a_broken_manifest_is_a_problem_of_its_artifact_and_of_those_made_from_it(store):
    publish_lineage(store)
    replace_object(store, f"fits/{FIT}/manifest.json", b"{")
    places = [line.split(": ", 1)[0] for line in problems(store)]
    assert places == [f"fits/{FIT}", "scores/5555aaaa", f"models/{MODEL}"]
    assert all("is not valid JSON" in line for line in problems(store))


def test_missing_unknown_and_impossible_inputs_are_told(store):
    forge_manifest(store, "models", MODEL, {"dataset": DATASET, "muse": "1f3a", "raw": "../../etc"})
    found = problems(store)
    assert found[:2] == [
        f"models/{MODEL}: its input datasets/{DATASET} (dataset) does not exist.",
        f"models/{MODEL}: its input 'muse' is of no kind that is known; expected one of "
        f"{', '.join(sorted(layout.INPUT_KINDS))}.",
    ]
    assert "models/6666aaaa: its input raw/../../etc (raw) is broken" in found[2]
    assert len(found) == 3


@pytest.mark.parametrize("size_bytes", [0, 2**63 - 1])
def test_a_size_that_lies_is_told_without_reading(store, size_bytes):
    store.create("models/1f3a/a", b"content")
    forge_manifest(store, "models", "1f3a", {}, files=(FileEntry("a", size_bytes, "0" * 64),))
    assert problems(store) == [f"models/1f3a: a has 7 bytes; its manifest says {size_bytes}."]


def test_a_path_too_long_for_any_key_is_told(store):
    path = "/".join(["s" * 200] * 4 + ["t" * 90])
    forge_manifest(store, "models", "1f3a", {}, files=(FileEntry(path, 0, "0" * 64),))
    (problem,) = problems(store)
    assert "cannot be read: key 'models/1f3a/sss" in problem


def test_a_link_out_of_the_store_is_told(tmp_path):
    (tmp_path / "secret").write_bytes(b"content")
    (tmp_path / "store" / "models" / "1f3a").mkdir(parents=True)
    (tmp_path / "store" / "models" / "1f3a" / "a").symlink_to(tmp_path / "secret")
    store = LocalStore(tmp_path / "store")
    forge_manifest(store, "models", "1f3a", {}, files=(FileEntry("a", 7, "0" * 64),))
    (problem,) = problems(store)
    assert "leads out of the store" in problem


class Failing(MemoryStore):
    """A store whose objects of one name cannot be opened."""

    def __init__(self, error: Exception) -> None:
        super().__init__("failing")
        self.error = error

    def open(self, key: str) -> BinaryIO:
        if key.endswith("/a"):
            raise self.error
        return super().open(key)


def test_a_file_that_the_medium_does_not_give_is_told_and_hides_no_other():
    store = Failing(OSError(5, "Input/output error"))
    publish(store, "models", "1f3a", files={"a": b"content", "b": b"others"})
    replace_object(store, "models/1f3a/b", b"OTHERS")
    first, second = problems(store)
    assert first == "models/1f3a: a cannot be read: Input/output error."
    assert second.startswith("models/1f3a: b has the SHA-256")


def test_a_store_that_does_not_answer_is_no_problem_of_an_artifact():
    store = Failing(Unavailable("the server is gone"))
    publish(store, "models", "1f3a", files={"a": b"content"})
    with pytest.raises(Unavailable):
        problems(store)


def test_progress_counts_the_bytes_that_the_manifest_names(store):
    manifest = publish(store, "models", "1f3a", files={"a": b"x" * 3_000_000, "b": b"gone", "c": b"short"})
    store.delete("models/1f3a/b")
    replace_object(store, "models/1f3a/c", b"")
    steps: list[int] = []
    list(verify_artifact(store, find_artifact(store, "1f3a"), steps.append))
    assert sum(steps) == manifest.size_bytes == 3_000_009
    assert max(steps) < 2_000_000


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (b"{", "is not valid JSON"),
        (b"[]", "expected an object"),
        (b"{}", "has model_id 'None'; expected the id of a model"),
        (b'{"model_id": ["1f3a"]}', "expected the id of a model"),
        (b'{"model_id": "1f3a"}', "names the model '1f3a', which does not exist"),
        (b'{"model_id": "../raw"}', "names the model '../raw', which is broken"),
        (b'{"model_id": "bad0"}', "names the model 'bad0', which is broken: .* not valid JSON"),
    ],
)
def test_a_pointer_that_leads_to_no_model_is_told(store, record, problem):
    store.create("models/bad0/manifest.json", b"{")
    store.replace("champion.json", record, None)
    (found,) = verify_champion(store)
    assert found.where == "champion.json"
    assert re.search(problem, found.what)


def test_a_promotion_that_the_history_names_and_the_store_lacks_is_told(store):
    publish(store, "models", "1f3a")
    publish(store, "promotions", "new", {"challenger": "1f3a"})
    first, second = ChampionTerm("gone", promotion="old"), ChampionTerm("1f3a", promotion="new", best="best")
    promote(store, second, ChampionHistory((first,), None))
    assert pointer_problems(store) == [
        "it names the promotion 'best', which does not exist.",
        "it names the promotion 'old', which does not exist.",
    ]
    for name in ("old", "best"):
        publish(store, "promotions", name)
    assert pointer_problems(store) == []


def test_an_artifact_is_verified_by_itself(store):
    publish_lineage(store)
    store.delete(f"datasets/{DATASET}/first.parquet")
    assert list(verify_artifact(store, find_artifact(store, MODEL))) == []
    assert len(list(verify_artifact(store, find_artifact(store, DATASET)))) == 1
