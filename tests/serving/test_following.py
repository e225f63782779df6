"""Whoever follows the champion serves the next one once it is ready, and keeps what it has whatever is wrong."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from loguru import logger
from sample_artifacts import forge_manifest, replace_object
from sample_bundle import Sample, publish_bundle, write_store
from servers import Proxy, set_variables

import storage.s3_client
from deployments.s3_server import S3Server
from schema.errors import InvalidInput
from serving import following
from serving.following import Follower
from storage import layout
from storage.local import LocalStore
from storage.opening import open_store
from storage.s3_options import S3Options

Follow = Callable[..., Follower]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """Return the warnings of the log, as they come."""
    found: list[str] = []
    sink = logger.add(lambda line: found.append(line.record["message"]), level="WARNING")
    yield found
    logger.remove(sink)


@pytest.fixture
def follow(folder: Path, tmp_path: Path) -> Follow:
    def make(model_id: str | None = None) -> Follower:
        return Follower(lambda: open_store(str(folder)), tmp_path / "cache", model_id=model_id)

    return make


def serves(follower: Follower) -> tuple[str, str] | None:
    served = follower.current
    if served is None:
        return None
    items, _ = served.model.rank(np.arange(3), served.bundle.histories.take(np.arange(3)), 5)
    assert (items >= 0).all()
    return served.model_id, served.bundle_id


def test_a_champion_serves_until_another_is_made_one(folder: Path, follow: Follow, lines: list[str]) -> None:
    first = write_store(folder, "popularity", model_id="first")
    follower = follow()
    for _ in range(2):
        follower.poll()
        assert (serves(follower), follower.problem, follower.n_swaps) == (("first", first.bundle_id), None, 1)
    taken = follower.current
    second = write_store(folder, "als-implicit", model_id="second")
    follower.poll()
    assert (serves(follower), follower.n_swaps) == (("second", second.bundle_id), 2)
    assert taken is not None
    assert (taken.model_id, taken.bundle.item_ids[3]) == ("first", "item-03"), "a request that took it still has it"
    assert lines == []


def test_a_newer_bundle_of_the_same_model_is_taken_and_an_older_pointer_is_not_read_again(
    folder: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, follower = write_store(folder), follow()
    follower.poll()
    monkeypatch.setattr(following, "champion_id", lambda _: pytest.fail("the pointer has the same version"))
    newer = publish_bundle(sample.store, sample.bundle, salt="with other lists")
    follower.poll()
    assert (serves(follower), follower.problem) == ((sample.model_id, newer.id), None)


def test_a_model_by_its_id_serves_whoever_is_the_champion(folder: Path, follow: Follow) -> None:
    fixed = write_store(folder, "popularity", model_id="fixed", is_champion=False)
    write_store(folder, "item-knn", model_id="champion")
    follower = follow("fixed")
    follower.poll()
    assert serves(follower) == ("fixed", fixed.bundle_id)


def broken(folder: Path) -> None:
    sample = write_store(folder, "bias", model_id="next")
    replace_object(sample.store, f"models/{sample.model_id}/factors/item_factors.npy", b"no array")


def absent(folder: Path) -> None:
    point_to(folder, "nobody")


def bare(folder: Path) -> None:
    sample = write_store(folder, "bias", model_id="next")
    sample.store.delete(layout.manifest_key(layout.BUNDLES, sample.bundle_id))


def forged(folder: Path) -> None:
    forge_manifest(open_store(str(folder)), "models", "next", {})
    forge_manifest(open_store(str(folder)), "bundles", "next-1", {})
    point_to(folder, "next")


def point_to(folder: Path, model_id: object) -> None:
    replace_pointer(folder, b'{"model_id": "%b"}' % str(model_id).encode())


def replace_pointer(folder: Path, data: bytes) -> None:
    replace_object(open_store(str(folder)), layout.CHAMPION, data)


REFUSALS = {
    "other bytes": (broken, "item_factors.npy has"),
    "no such model": (absent, "has no model 'nobody'"),
    "no bundle": (bare, "recommend.py --model next'"),
    "manifests of nothing": (forged, "has no 'served'; it has no files"),
    "a way out": (lambda folder: point_to(folder, "../../etc"), "contains '/'"),
    "no id": (lambda folder: replace_pointer(folder, b'{"model_id": 3}'), "expected the id of a model"),
    "no JSON": (lambda folder: replace_pointer(folder, b"\xff\x00"), "is not valid JSON"),
}


@pytest.mark.parametrize(("spoil", "problem"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_serve_is_refused_once_in_the_log_and_the_old_one_is_kept(
    folder: Path, follow: Follow, lines: list[str], spoil: Callable[[Path], None], problem: str
) -> None:
    good, follower = write_store(folder, model_id="good"), follow()
    follower.poll()
    spoil(folder)
    for n_polls in (1, 2, 3):
        follower.poll()
        assert serves(follower) == ("good", good.bundle_id)
        assert follower.problem is not None
        assert problem in follower.problem
        assert (follower.n_refusals, follower.n_swaps, follower.n_store_errors) == (n_polls, 1, 0)
    assert len(lines) == 1
    assert lines[0].startswith("models/good goes on serving: ")
    point_to(folder, "good")
    follower.poll()
    assert (follower.problem, follower.n_refusals) == (None, 3)


def test_what_was_refused_serves_when_it_is_repaired_under_its_own_id(folder: Path, follow: Follow) -> None:
    sample = write_store(folder)
    key = f"models/{sample.model_id}/factors/item_factors.npy"
    good = sample.store.read(key)
    replace_object(sample.store, key, b"no array")
    follower = follow()
    follower.poll()
    replace_object(sample.store, key, good)
    for _ in range(following.POLLS_PER_RETRY):
        follower.poll()
        assert follower.current is None
    follower.poll()
    assert (serves(follower), follower.problem) == ((sample.model_id, sample.bundle_id), None)


def test_a_store_without_a_champion_says_what_to_do_and_is_no_refusal(folder: Path, follow: Follow) -> None:
    write_store(folder, is_champion=False)
    follower = follow()
    follower.poll()
    assert (follower.current, follower.n_refusals, follower.n_store_errors) == (None, 0, 0)
    assert "has no champion. Make one with 'python flows/promote.py'" in str(follower.problem)


def test_what_serves_goes_on_when_its_files_and_the_pointer_are_gone(folder: Path, follow: Follow) -> None:
    sample, follower = write_store(folder), follow()
    follower.poll()
    for info in list(sample.store.list("")):
        sample.store.delete(info.key)
    follower.poll()
    assert serves(follower) == (sample.model_id, sample.bundle_id)
    assert "has no champion" in str(follower.problem)


def test_a_store_that_cannot_be_opened_at_first_is_opened_later(folder: Path, tmp_path: Path, lines: list[str]) -> None:
    sample = write_store(folder)
    answers = iter([InvalidInput("no bucket"), ConnectionError("1 refused"), ConnectionError("2 refused"), None])

    def open_at_last() -> LocalStore:
        if error := next(answers):
            raise error
        return LocalStore(folder)

    follower = Follower(open_at_last, tmp_path / "cache")
    said = []
    for _ in range(4):
        follower.poll()
        said.append(follower.problem)
    assert said == ["no bucket", *(f"the store cannot be read: {n} refused" for n in (1, 2)), None]
    assert serves(follower) == (sample.model_id, sample.bundle_id)
    assert (follower.n_refusals, follower.n_store_errors, len(lines)) == (1, 2, 2)


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::SyntaxWarning")
@pytest.mark.parametrize("kind", ["als-implicit", "item-knn", "random"])
def test_no_store_whatever_is_in_it_ends_following(folder: Path, follow: Follow, kind: str) -> None:
    """Any object with any bytes, that a manifest with their digest names: refused, or it serves, and no more."""
    sample, rng = write_store(folder, kind), np.random.default_rng(5)
    keys = [info.key for info in sample.store.list("")]
    for _ in range(15):
        key = keys[rng.integers(len(keys))]
        before = {one: sample.store.read(one) for one in {key, key_of_manifest(key)}}
        data = np.frombuffer(before[key], np.uint8).copy()
        data[rng.integers(0, min(len(data), 300), 3)] = rng.integers(256)
        replace_object(sample.store, key, data[: rng.choice([len(data), rng.integers(len(data))])].tobytes())
        name_as_it_is(sample, key)
        follower = follow()
        follower.poll()
        assert (follower.n_refusals == 1 and follower.problem) if serves(follower) is None else not follower.problem
        for one, good in before.items():
            replace_object(sample.store, one, good)
    last = follow()
    last.poll()
    assert serves(last) == (sample.model_id, sample.bundle_id)


def key_of_manifest(key: str) -> str:
    place = layout.place_of(key)
    return layout.manifest_key(place.kind, place.id) if place else key


def name_as_it_is(sample: Sample, key: str) -> None:
    """Have the manifest name the object with the size and digest that it has now."""
    place = layout.place_of(key)
    if place is None or place.path == layout.MANIFEST:
        return
    record = json.loads(sample.store.read(key_of_manifest(key)))
    data = sample.store.read(key)
    for file in record["files"]:
        if file["path"] == place.path:
            file |= {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    replace_object(sample.store, key_of_manifest(key), json.dumps(record).encode())


def test_following_in_a_thread_begins_at_once_and_ends_when_it_is_told(folder: Path, tmp_path: Path) -> None:
    sample, opened = write_store(folder), []
    follower = Follower(lambda: opened.append(1) or sample.store, tmp_path, poll_seconds=0.01)  # type: ignore[func-returns-value]
    follower.stop()
    follower.start()
    follower.stop()
    assert (opened, serves(follower)) == ([1], (sample.model_id, sample.bundle_id))


@pytest.fixture
def remote(minio: S3Server, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, S3Options]:
    """Return the URI of a store on MinIO that nobody has used, and the way to it through a proxy."""
    set_variables(monkeypatch, minio)
    monkeypatch.setattr(storage.s3_client, "ATTEMPTS", 1)
    return f"s3://{minio.bucket}/{tmp_path.name}", S3Options(s3_endpoint_url=proxy.url)


def test_a_server_that_goes_away_stops_nothing_and_copies_that_nobody_needs_are_removed(
    remote: tuple[str, S3Options], proxy: Proxy, tmp_path: Path
) -> None:
    uri, options = remote
    store = open_store(uri, options)
    follower = Follower(lambda: open_store(uri, options), tmp_path / "cache")
    proxy.disable()
    follower.poll()
    assert "the store cannot be read" in str(follower.problem)
    proxy.enable()
    samples = [write_store(store, "popularity", model_id="first")]
    follower.poll()
    assert serves(follower) == ("first", samples[0].bundle_id)
    proxy.disable()
    follower.poll()
    assert (serves(follower), follower.n_store_errors) == (("first", samples[0].bundle_id), 2)
    proxy.enable()
    samples += [write_store(store, "bias", model_id=name) for name in ("second", "third")]
    for sample in samples[1:]:
        replace_pointer_of(sample)
        follower.poll()
        assert (serves(follower), follower.problem) == ((sample.model_id, sample.bundle_id), None)
    kept = {path.name for path in (tmp_path / "cache").glob("served/*/*")}
    assert kept == {name for sample in samples[1:] for name in (sample.model_id, sample.bundle_id)}


def replace_pointer_of(sample: Sample) -> None:
    replace_object(sample.store, layout.CHAMPION, b'{"model_id": "%b"}' % sample.model_id.encode())
