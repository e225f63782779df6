"""Two processes that write one store at the same moment."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from sample_artifacts import publish_folder

from schema.errors import VersionConflict
from storage import artifacts
from storage.champion import ChampionHistory, ChampionTerm, promote, read_history
from storage.inventory import find_artifact
from storage.layout import logical_name
from storage.opening import open_store
from storage.protocol import Store
from storage.verify import verify_artifact

MEBIBYTE = 1024**2

# All but memory, which is another store in each process.
pytestmark = pytest.mark.parametrize("new_store_uri", ["local", "minio", "versitygw"], indirect=True)

_START: list[Any] = []  # in each of the two processes the barrier that they share


@pytest.fixture(scope="module")
def pair() -> Iterator[ProcessPoolExecutor]:
    """Two processes."""
    context = get_context("spawn")
    with ProcessPoolExecutor(2, context, initializer=take_start, initargs=(context.Barrier(2),)) as pool:
        yield pool


def take_start(barrier: Any) -> None:
    _START.append(barrier)


def at_once(pair: ProcessPoolExecutor, work: Callable[..., Any], uri: str, *arguments: Any) -> list[Any]:
    """Run the work in both processes, in each with its own argument; neither begins before both are ready."""
    return list(pair.map(in_step, [dict(os.environ)] * 2, [work] * 2, [uri] * 2, arguments))


def in_step(environment: dict[str, str], work: Callable[..., Any], uri: str, argument: Any) -> Any:
    os.environ.update(environment)
    store = open_store(uri)
    store.race_flaw()  # which takes a second or two, in each process its own
    _START[0].wait()
    return work(store, argument)


def publish(store: Store, folder: Path) -> tuple[bytes, bytes]:
    """Return the manifest that this writer got, and the one that it found afterwards."""
    made = publish_folder(store, folder, counts={"n_users": 3})
    found = artifacts.find(store, "models", "1f3a")
    return made.to_bytes(), found.to_bytes() if found else b""


def try_to_promote(store: Store, promotion: tuple[str, ChampionHistory]) -> str | None:
    """Return why the promotion was refused, or None."""
    model_id, history = promotion
    try:
        promote(store, ChampionTerm(model_id, "now", "because"), history)
    except VersionConflict as error:
        return str(error)
    return None


def folder_of(folder: Path, content: bytes) -> Path:
    folder.mkdir()
    for number in range(5):
        (folder / f"file-{number}").write_bytes(content * 1000 + b"%d" % number)
    (folder / "large").write_bytes(content * 17 * MEBIBYTE)  # in two parts, where there are parts
    return folder


def test_two_that_publish_equal_bytes_make_one_artifact(pair, store_uri, tmp_path):
    folders = [folder_of(tmp_path / name, b"x") for name in ("first", "second")]
    results = at_once(pair, publish, store_uri, *folders)
    assert len({manifest for pair in results for manifest in pair}) == 1
    store = open_store(store_uri)
    assert list(verify_artifact(store, find_artifact(store, "models/1f3a"))) == []
    manifests = [info.key for info in store.list("") if info.key.endswith("manifest.json")]
    assert manifests == ["models/1f3a/manifest.json"]


def test_of_two_that_publish_different_bytes_both_get_the_one_artifact_that_is_whole(pair, store_uri, tmp_path):
    folders = [folder_of(tmp_path / name, name[:1].encode()) for name in ("first", "second")]
    results = at_once(pair, publish, store_uri, *folders)
    assert len({manifest for pair in results for manifest in pair}) == 1
    store = open_store(store_uri)
    artifact = find_artifact(store, "models/1f3a")
    assert list(verify_artifact(store, artifact)) == []
    files = artifact.require_manifest().files
    held = {logical_name(file.path): store.read(f"models/1f3a/{file.path}") for file in files}
    assert held in [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]


def test_of_two_that_promote_one_wins_and_the_other_is_told_who(pair, store_uri):
    store = open_store(store_uri)
    promote(store, ChampionTerm("before"), ChampionHistory((), None))
    winners = ["before"]
    for round_number in range(10):
        history = read_history(store)
        models = [f"{round_number}-{name}" for name in "ab"]  # a record that was there before has its old version
        refusals = at_once(pair, try_to_promote, store_uri, *((model, history) for model in models))
        assert [type(refusal) for refusal in refusals].count(type(None)) == 1
        (refusal,) = filter(None, refusals)
        winners.insert(0, models[refusals.index(None)])
        assert f"models/{winners[0]} became the champion (now: because)" in refusal
        assert refusal.endswith("run the same command again.")
        assert [entry.model_id for entry in read_history(store).terms] == winners
