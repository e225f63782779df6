"""What faults of an S3 server, and of the way to it, may do to an artifact: delay it, never harm it."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from disks import mounted_disk, remount
from sample_artifacts import publish_folder
from servers import Proxy, make_certificate, open_custom_minio, set_variables

import storage.s3
import storage.s3_client
import storage.s3_transfer
from deployments.s3_server import S3Server, open_minio
from flows.child_server import find_program
from schema.digests import file_sha256, stream_sha256
from schema.errors import InvalidInput, OutOfSpace, Unavailable
from storage import artifacts, layout
from storage.inventory import list_artifacts
from storage.manifest import Manifest
from storage.s3 import S3Store
from storage.s3_options import S3Options
from storage.verify import verify_artifact

MEBIBYTE = 1024**2
FUTURE = datetime.now(UTC) + timedelta(days=1)
LARGE = "models/1f3a/large"

pytestmark = pytest.mark.skipif(
    find_program("minio") is None or find_program("toxiproxy-server") is None,
    reason="no minio or no toxiproxy: make services",
)

PUBLISH_UNTIL_A_PART_IS_STORED = """
import sys, threading
from pathlib import Path
from storage import artifacts
from storage.s3 import S3Store
from storage.opening import S3Options

def tell_and_wait(**_):
    sys.stdout.write("x")
    sys.stdout.flush()
    threading.Event().wait()

store = S3Store(sys.argv[1], S3Options(s3_endpoint_url=sys.argv[2]))
store._client.meta.events.register("after-call.s3.UploadPart", tell_and_wait)
artifacts.publish(store, "models", "1f3a", Path(sys.argv[3]), inputs={}, parameters={}, code_version="", counts={})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return what is to be an artifact: a file that goes in three parts, and two that go whole."""
    folder = tmp_path / "artifact"
    folder.mkdir()
    (folder / "large").write_bytes(os.urandom(40 * MEBIBYTE))
    (folder / "metadata.json").write_bytes(b"{}\n")
    (folder / "metrics.json").write_bytes(b"")
    return folder


@pytest.fixture(autouse=True)
def _own_clients() -> Iterator[None]:
    """Keep clients that a test tampers with from other tests."""
    yield
    storage.s3_client._client.cache_clear()
    storage.s3_transfer.race_flaw.cache_clear()


@pytest.fixture(scope="module")
def own_minio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own-minio")


@pytest.fixture(scope="module")
def own_minio(own_minio_folder: Path) -> Iterator[S3Server]:
    """A MinIO that a test may stop, and starts again."""
    with open_minio(own_minio_folder, bucket="faults") as server:
        yield server


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 64 MiB."""
    with mounted_disk(tmp_path / "disk", "64m") as disk:
        yield disk


class Place:
    """One prefix of a server's bucket, to which several clients have their own ways."""

    def __init__(self, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.prefix = server, uuid.uuid4().hex
        self.uri = f"s3://{server.bucket}/{self.prefix}"
        set_variables(monkeypatch, server)

    def store(
        self, url: str | None = None, *, attempts: int = storage.s3_client.ATTEMPTS, answer_seconds: float = 60
    ) -> S3Store:
        """Return a store whose client is its own, and has tried the server's conditional writes."""
        store = self.reader(url, attempts, answer_seconds)
        assert store.race_flaw() is None
        return store

    def reader(
        self, url: str | None = None, attempts: int = storage.s3_client.ATTEMPTS, answer_seconds: float = 60
    ) -> S3Store:
        """Return a store whose client is its own."""
        storage.s3_client._client.cache_clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(storage.s3_client, "ATTEMPTS", attempts)
            patch.setattr(storage.s3_client, "ANSWER_SECONDS", answer_seconds)
            return S3Store(self.uri, S3Options(s3_endpoint_url=url or self.server.endpoint_url))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Hold that all the while whoever finds a manifest finds the files that it names, and does so in the end."""
        store, is_over = self.reader(attempts=1), threading.Event()
        seen: dict[str, list[str]] = {}

        def look() -> None:
            for artifact in list_artifacts(store):
                if seen.get(artifact.name) != []:
                    seen[artifact.name] = [problem.what for problem in verify_artifact(store, artifact)]
                    assert seen[artifact.name] == []

        def watch() -> None:
            while not is_over.wait(0.02):
                with suppress(Unavailable):
                    look()

        with ThreadPoolExecutor(1) as pool:
            watching = pool.submit(watch)
            try:
                yield
            finally:
                is_over.set()
            watching.result()
        look()
        assert seen == {"models/1f3a": []}


@pytest.fixture
def place(minio: S3Server, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(minio, monkeypatch)


def assert_rerun_completes(store: S3Store, folder: Path) -> None:
    """Publish again, and hold that the store then has the folder's bytes, and after a sweep nothing besides."""
    manifest = publish_folder(store, folder)
    assert artifacts.find(store, "models", "1f3a") == manifest
    assert_has_bytes(store, manifest, folder)
    list(store.sweep(FUTURE, remove=True))
    assert list(store.sweep(FUTURE, remove=False)) == []
    assert uploads(store) == []


def assert_has_bytes(store: S3Store, manifest: Manifest, folder: Path) -> None:
    assert {layout.logical_name(file.path) for file in manifest.files} == {path.name for path in folder.iterdir()}
    for file in manifest.files:
        with store.open(f"models/1f3a/{file.path}") as stream:
            assert stream_sha256(stream) == file_sha256(folder / layout.logical_name(file.path))


def assert_is_absent(store: S3Store) -> None:
    assert artifacts.find(store, "models", "1f3a") is None
    assert store.head(LARGE) is None


def uploads(store: S3Store) -> list[str]:
    return [upload["Key"].removeprefix(store._full("")) for upload in store._unfinished_uploads()]


def uploads_to(store: S3Store, key: str) -> int:
    answer = store._client.list_multipart_uploads(Bucket=store._bucket, Prefix=store._full(key))
    return len(answer.get("Uploads", []))


def on_event(store: S3Store, name: str, work: Callable[[], object], when: Callable[..., bool] | None = None) -> None:
    """Do a work the first time that something happens to a client, before its thread goes on."""
    lock, done = threading.Lock(), threading.Event()

    def handle(**told: Any) -> None:
        with lock:
            if not done.is_set() and (when is None or when(**told)):
                done.set()
                work()

    store._client.meta.events.register(name, handle)


def failures(n_failures: int) -> Callable[..., bool]:
    """Return what tells that so many requests got no answer."""
    left = iter(range(n_failures - 1))

    def is_last(caught_exception: Exception | None = None, **_: object) -> bool:
        return caught_exception is not None and next(left, None) is None

    return is_last


# --- A server that dies, or whose disk does not take more ---


def test_server_killed_in_the_middle_of_an_upload_and_soon_back(own_minio, folder, monkeypatch):
    place = Place(own_minio, monkeypatch)
    store, is_killed = place.store(), threading.Event()
    on_event(store, "after-call.s3.UploadPart", lambda: (own_minio.process.kill(), is_killed.set()))
    with place.watched(), ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(publish_folder, store, folder)
        assert is_killed.wait(60)
        own_minio.process.start()
        with suppress(Unavailable):
            publishing.result()
        assert_rerun_completes(store, folder)


def test_server_killed_in_the_middle_of_an_upload_and_back_too_late(own_minio, folder, monkeypatch):
    place = Place(own_minio, monkeypatch)
    store = place.store(attempts=2)
    on_event(store, "after-call.s3.UploadPart", own_minio.process.kill)
    with place.watched():
        with pytest.raises(
            Unavailable, match=rf"{own_minio.endpoint_url} does not answer for .*{LARGE} .*run this again"
        ):
            publish_folder(store, folder)
        own_minio.process.start()
        assert_is_absent(store)
        # After a restart MinIO tells of an upload only if asked for its very key; it removes the parts after a day.
        assert uploads(store) == []
        assert uploads_to(store, LARGE) == 1
        assert_rerun_completes(store, folder)


def test_server_whose_disk_is_read_only(disk, folder, monkeypatch):
    with open_minio(disk / "minio", bucket="faults") as server:
        place = Place(server, monkeypatch)
        store = place.store()
        store.create("raw/1/before", b"content")
        with place.watched():
            remount(disk, "ro")
            with pytest.raises(InvalidInput, match=r"AccessDenied.*its own disk is read-only: make that writable"):
                publish_folder(store, folder)
            assert store.read("raw/1/before") == b"content"
            assert [info.key for info in store.list("")] == ["raw/1/before"]
            remount(disk, "rw")
            assert_rerun_completes(store, folder)


def test_server_whose_disk_is_full(disk, folder, monkeypatch):
    with open_minio(disk / "minio", bucket="faults") as server:
        place = Place(server, monkeypatch)
        store = place.store()
        (disk / "ballast").write_bytes(bytes(30 * MEBIBYTE))
        with place.watched():
            started = time.monotonic()
            with pytest.raises(OutOfSpace, match=rf"no space left on {server.endpoint_url} for .*{LARGE} .*Free some"):
                publish_folder(store, folder)
            assert time.monotonic() - started < 60
            assert_is_absent(store)
            list(store.sweep(FUTURE, remove=True))
            assert uploads(store) == []
            remount(disk, "size=512m")
            assert_rerun_completes(store, folder)


def test_writer_killed_in_the_middle_of_an_upload(place, folder):
    store = place.store()
    writer = subprocess.Popen(
        [sys.executable, "-c", PUBLISH_UNTIL_A_PART_IS_STORED, place.uri, place.server.endpoint_url, str(folder)],
        stdout=subprocess.PIPE,
    )
    with place.watched():
        assert writer.stdout is not None
        assert writer.stdout.read(1) == b"x"
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        writer.stdout.close()
        assert_is_absent(store)
        assert uploads(store) == [LARGE]
        assert_rerun_completes(store, folder)


def test_server_whose_disk_rots(own_minio, folder, tmp_path, own_minio_folder, monkeypatch):
    monkeypatch.setattr(storage.s3_transfer, "RESUMPTIONS", 1)
    place = Place(own_minio, monkeypatch)
    store = place.store()
    manifest = publish_folder(store, folder)
    (part,) = (own_minio_folder / own_minio.bucket / place.prefix).rglob("part.2")
    with part.open("r+b") as stream:
        stream.seek(5 * MEBIBYTE)
        byte = stream.read(1)[0]
        stream.seek(5 * MEBIBYTE)
        stream.write(bytes([byte ^ 1]))
    with pytest.raises(Unavailable, match=f"does not answer for .*{LARGE}"):
        artifacts.checkout(store, manifest, "large", tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


# --- Certificates ---


@pytest.fixture(scope="module")
def private_minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A MinIO that speaks TLS, with a certificate that no authority signed."""
    certs = make_certificate(tmp_path_factory.mktemp("certs"))
    with open_custom_minio(tmp_path_factory.mktemp("private-minio"), bucket="private", certs=certs) as server:
        yield server


def test_certificate_of_an_unknown_authority_is_refused(private_minio, monkeypatch):
    store = Place(private_minio, monkeypatch).reader(attempts=1)
    with pytest.raises(
        InvalidInput, match=r"certificate of https://127\.0\.0\.1:\d+ does not pass .*Name the file .*S3_CA_BUNDLE"
    ):
        store.create("a", b"content")


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("is_checked", [True, False])
def test_certificate_that_is_named_or_not_looked_at_passes(private_minio, is_checked, monkeypatch):
    place = Place(private_minio, monkeypatch)
    options = S3Options(
        s3_endpoint_url=private_minio.endpoint_url,
        s3_ca_bundle=private_minio.ca_bundle if is_checked else None,
        s3_verify_tls=is_checked,
    )
    store = S3Store(place.uri, options)
    store.create("a", b"content")
    assert store.read("a") == b"content"


# --- A way that is slow, is cut, or swallows what is sent ---


def test_slow_way(place, proxy, folder):
    store = place.store(proxy.url)
    for stream in ("upstream", "downstream"):
        proxy.add_toxic("bandwidth", stream=stream, rate=20_000)
        proxy.add_toxic("latency", stream=stream, latency=50, jitter=20)
    with place.watched():
        started = time.monotonic()
        publish_folder(store, folder)
        assert time.monotonic() - started > 2, "the way was not slow; the test shows nothing"
        assert_rerun_completes(store, folder)


def test_upload_goes_on_when_a_way_that_resets_connections_is_mended(place, proxy, folder):
    store = place.store(proxy.url)
    names: list[str] = []
    on_event(store, "after-call.s3.CreateMultipartUpload", lambda: names.append(break_upload(proxy)))
    on_event(store, "needs-retry.s3.UploadPart", lambda: proxy.remove_toxic(names.pop()), failures(2))
    with place.watched():
        publish_folder(store, folder)
        assert names == [], "no connection was reset; the test shows nothing"
        assert_rerun_completes(store, folder)


def test_upload_over_a_way_that_resets_connections_is_unavailable(place, proxy, folder):
    store = place.store(proxy.url, attempts=2)
    names: list[str] = []
    on_event(store, "after-call.s3.CreateMultipartUpload", lambda: names.append(break_upload(proxy)))
    with place.watched():
        with pytest.raises(Unavailable, match="does not answer"):
            publish_folder(store, folder)
        assert_is_absent(place.reader())
        proxy.remove_toxic(names.pop())
        assert_rerun_completes(store, folder)


def break_upload(proxy: Proxy) -> str:
    return proxy.add_toxic("reset_peer", stream="upstream", timeout=10)


def test_upload_goes_on_when_a_server_that_was_away_is_back(place, proxy, folder):
    store = place.store(proxy.url)
    is_back = threading.Event()
    on_event(store, "after-call.s3.CreateMultipartUpload", proxy.disable)
    on_event(store, "needs-retry.s3.UploadPart", lambda: (proxy.enable(), is_back.set()), failures(4))
    with place.watched():
        publish_folder(store, folder)
        assert is_back.is_set(), "no request met a closed door; the test shows nothing"
        assert_rerun_completes(store, folder)


def test_way_that_swallows_answers_is_unavailable(place, proxy, folder):
    store = place.store(proxy.url, attempts=1, answer_seconds=2)
    names: list[str] = []
    on_event(store, "before-send.s3.UploadPart", lambda: names.append(proxy.add_toxic("timeout", timeout=0)))
    with place.watched():
        with pytest.raises(Unavailable, match=r"does not answer .*ReadTimeout"):
            publish_folder(store, folder)
        assert_is_absent(place.reader())
        proxy.remove_toxic(names.pop())
        assert_rerun_completes(place.store(proxy.url), folder)


def test_error_is_the_first_one_though_the_parts_cannot_be_taken_away(place, proxy, folder):
    store = place.store(proxy.url, attempts=1)

    def break_source_and_way() -> None:
        os.truncate(folder / "large", MEBIBYTE)
        proxy.disable()

    on_event(store, "after-call.s3.CreateMultipartUpload", break_source_and_way)
    with pytest.raises(InvalidInput, match="large became shorter"):
        store.create("raw/1/large", folder / "large")


def test_download_goes_on_where_it_was_cut(place, proxy, folder, tmp_path):
    (folder / "large").write_bytes(os.urandom(5 * MEBIBYTE))
    store = place.store(proxy.url)
    ranges: list[str] = []
    store._client.meta.events.register(
        "before-send.s3.GetObject", lambda request, **_: ranges.append(str(request.headers.get("Range")))
    )
    with place.watched():
        manifest = publish_folder(store, folder)
        ranges.clear()
        proxy.add_toxic("limit_data", bytes=1_000_000)
        held = artifacts.checkout(store, manifest, "large", tmp_path / "cache")
    assert held.read_bytes() == (folder / "large").read_bytes()
    assert len(ranges) > 5, "no connection was cut; the test shows nothing"
    assert all("bytes=" in resumed for resumed in ranges[1:])


def test_object_that_is_replaced_before_a_cut_stream_goes_on(place, proxy):
    behind = place.reader()
    behind.create("a", b"1" * 5 * MEBIBYTE)
    store = place.reader(proxy.url)
    proxy.add_toxic("limit_data", bytes=1_000_000)
    with store.open("a") as stream:
        assert stream.read(1) == b"1"
        behind.delete("a")
        behind.create("a", b"2" * 5 * MEBIBYTE)
        with pytest.raises(Unavailable, match="/a was replaced while it was read; read it again"):
            stream.read()
