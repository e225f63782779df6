"""What only a folder must do: rights, symbolic links, full disks, and writers that die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from disks import mounted_disk, remount
from test_protocol import verbs

from schema.errors import InvalidInput, InvalidKey, ObjectExists, ObjectNotFound, OutOfSpace, VersionConflict
from storage.local import LocalStore

MEBIBYTE = 1024 * 1024

WRITE_WITHOUT_END = """
import sys
from pathlib import Path
from storage.local import LocalStore
LocalStore(Path(sys.argv[1])).create("raw/1/large", Path("/dev/zero"))
"""

WRITE_MANY = """
import sys
from pathlib import Path
from storage.local import LocalStore
store = LocalStore(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), 10_000):
    store.create(f"many/{number:05d}", b"%05d" % number * 100_000)
    info = store.head("champion.json")
    store.replace("champion.json", b"%05d" % number * 1_000, info.version if info else None)
    sys.stdout.write("x")
    sys.stdout.flush()
"""


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def python(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of one mebibyte."""
    with mounted_disk(tmp_path / "small disk", "1m") as disk:
        yield disk


@pytest.fixture
def umask() -> Iterator[None]:
    """Restore the umask that a test changes."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_objects_are_plain_files_under_their_keys(tmp_path):
    store = LocalStore(tmp_path / "store")
    store.create("datasets/1/train.parquet", b"rows")
    assert (tmp_path / "store" / "datasets" / "1" / "train.parquet").read_bytes() == b"rows"
    assert files_below(tmp_path / "store") == ["datasets/1/train.parquet"]
    assert store.local_path("datasets/1/train.parquet") == (tmp_path / "store" / "datasets" / "1" / "train.parquet")


def test_a_store_that_is_only_read_makes_no_folder(tmp_path):
    store = LocalStore(tmp_path / "store")
    assert store.head("a") is None
    assert list(store.list("")) == []
    store.delete("a")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(("mask", "rights"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_get_the_rights_of_the_umask(tmp_path, umask, mask, rights):
    os.umask(mask)
    store = LocalStore(tmp_path)
    store.create("created", b"")
    store.replace("replaced", b"", store.replace("replaced", b"1", None).version)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("created", "replaced")} == {rights}


def test_versions_do_not_hang_on_the_tick_of_the_file_system(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_456_789)
    LocalStore(tmp_path).create("a", b"")
    assert (tmp_path / "a").stat().st_mtime_ns == 1_700_000_000_123_456_789


@pytest.fixture
def synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes | None]]:
    """Return the path of each sync, and what ``models/1/x`` of the store held right before it."""
    found: list[tuple[str, bytes | None]] = []
    sync, watched = os.fsync, tmp_path / "store" / "models" / "1" / "x"

    def watch(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path)
        found.append((path.as_posix(), watched.read_bytes() if watched.exists() else None))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    return found


def test_writes_sync_the_bytes_before_and_the_names_after(tmp_path, synced):
    store = LocalStore(tmp_path / "store")
    for folder in (".tmp", "models/1"):
        (tmp_path / "store" / folder).mkdir(parents=True)
    version = store.create("models/1/x", b"1").version
    store.replace("models/1/x", b"2", version)
    steps = [(path.split("/")[1], content) for path, content in synced]
    assert steps == [(".tmp", None), ("models", b"1"), (".tmp", b"1"), ("models", b"2")]
    synced.clear()
    with pytest.raises(ObjectExists):
        store.create("models/1/x", b"3")
    assert synced == [("store/models/1", b"2")]
    store.delete("models/1/x")
    assert synced[1:] == [("store/models/1", None)]


def test_new_folders_are_durable_before_the_object_is(tmp_path, synced):
    LocalStore(tmp_path / "store").create("models/1/x", b"")
    assert {".", "store", "store/models"} <= {path for path, content in synced if content is None}


def test_no_temporary_file_outlives_a_refused_write(tmp_path):
    store = LocalStore(tmp_path)
    version = store.create("a", b"1").version
    for number in range(2):
        with pytest.raises((ObjectExists, VersionConflict)):
            store.create("a", b"2") if number else store.replace("a", b"2", f"{version}0")
    with pytest.raises(FileNotFoundError):
        store.create("b", tmp_path / "nowhere")
    assert files_below(tmp_path / ".tmp") == []


def test_list_passes_over_what_is_no_object(tmp_path):
    store = LocalStore(tmp_path)
    store.create("a/b", b"")
    (tmp_path / "a" / ".DS_Store").write_bytes(b"")
    (tmp_path / "a" / "has a space").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "a" / "pipe")
    assert [info.key for info in store.list("")] == ["a/b"]


def test_the_root_itself_may_be_a_symbolic_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    LocalStore(tmp_path / "link").create("a/b", b"content")
    assert LocalStore(tmp_path / "real").read("a/b") == b"content"


def test_a_file_is_no_store(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidInput, match="is a file; expected a folder"):
        LocalStore(tmp_path / "file")


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path):
    root = tmp_path / "closed"
    root.mkdir(mode=0o500)
    with as_nobody(), pytest.raises(InvalidInput, match=rf"{root} cannot be used .*Change its rights"):
        LocalStore(root).create("a", b"")


def test_a_folder_that_may_not_be_read_is_named_and_no_empty_store(tmp_path):
    root = tmp_path / "closed"
    store = LocalStore(root)
    store.create("a/b", b"")
    reading = [
        lambda: list(store.list("")),
        lambda: store.head("a/b"),
        lambda: store.read("a/b"),
        lambda: LocalStore(root),
    ]
    root.chmod(0)
    try:
        with as_nobody():
            for verb in reading:
                with pytest.raises(
                    InvalidInput, match=rf"{root} cannot be used \(Permission denied.*Change its rights"
                ):
                    verb()
    finally:
        root.chmod(0o700)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's rights for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_read_only_disk_can_be_read_and_is_named_by_a_write(small_disk):
    version = LocalStore(small_disk).create("a", b"content").version
    remount(small_disk, "ro")
    store = LocalStore(small_disk)
    assert store.read("a") == b"content"
    with pytest.raises(InvalidInput, match=rf"{small_disk} cannot be used .*Read-only.*Change its rights"):
        store.create("b", b"")
    with pytest.raises(InvalidInput, match="cannot be used"):
        store.replace("a", b"", version)


def test_writer_killed_in_the_middle_of_a_large_file_is_never_seen(tmp_path):
    root = tmp_path / "store"
    writer = python(WRITE_WITHOUT_END, str(root))
    while not any(path.stat().st_size > 16 * MEBIBYTE for path in root.glob(".tmp/*")):
        assert writer.poll() is None
    writer.send_signal(signal.SIGSTOP)  # so that it does not fill the disk
    bystander = LocalStore(root)
    assert len(files_below(root / ".tmp")) == 1, "opening a store left a living writer's file alone"
    assert bystander.head("raw/1/large") is None
    kill(writer)
    assert len(files_below(root / ".tmp")) == 1
    assert bystander.head("raw/1/large") is None
    assert list(bystander.list("")) == []
    with pytest.raises(ObjectNotFound):
        bystander.open("raw/1/large")

    after = LocalStore(root)
    assert files_below(root) == []
    after.create("raw/1/large", b"whole")
    assert after.read("raw/1/large") == b"whole"


def test_writers_killed_anywhere_leave_only_whole_objects(tmp_path):
    n_before = 0
    for n_writes in (1, 2, 3, 5, 8):
        writer = python(WRITE_MANY, str(tmp_path), str(n_before))
        assert writer.stdout is not None
        assert writer.stdout.read(n_writes) == b"x" * n_writes
        kill(writer)
        writer.stdout.close()
        store = LocalStore(tmp_path)
        whole = {info.key: store.read(info.key) for info in store.list("many/")}
        assert len(whole) >= n_before + n_writes
        assert whole == {f"many/{n:05d}": b"%05d" % n * 100_000 for n in range(len(whole))}
        pointer = store.read("champion.json")
        assert pointer == pointer[:5] * 1_000
        assert int(pointer[:5]) >= n_before + n_writes - 1
        assert files_below(tmp_path / ".tmp") == []
        n_before = len(whole)


def test_full_disk_names_the_folder_and_the_bytes_and_leaves_nothing(small_disk):
    store = LocalStore(small_disk / "store")
    store.create("small", b"x" * 1000)
    before = store.replace("champion.json", b"1", None)
    with pytest.raises(OutOfSpace, match=rf"{small_disk}/store: 2097152 bytes needed, 10\d{{5}} bytes free"):
        store.create("large", b"x" * 2 * MEBIBYTE)
    with pytest.raises(OutOfSpace, match="2097152 bytes needed"):
        store.replace("champion.json", b"x" * 2 * MEBIBYTE, before.version)
    assert store.head("large") is None
    assert store.head("champion.json") == before
    assert files_below(small_disk / "store" / ".tmp") == []
    store.create("large", b"x" * 100_000)


def test_fetch_to_a_full_disk_leaves_nothing(tmp_path, small_disk):
    store = LocalStore(tmp_path / "store")
    store.create("large", b"x" * 2 * MEBIBYTE)
    (small_disk / "copy").write_bytes(b"an older copy")
    with pytest.raises(OutOfSpace, match=rf"{small_disk}: 2097152 bytes needed"):
        store.fetch("large", small_disk / "copy")
    assert files_below(small_disk) == ["copy"]
    assert (small_disk / "copy").read_bytes() == b"an older copy"


def test_file_system_without_hard_links_is_named(tmp_path, monkeypatch):
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(source), None, str(target))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(InvalidInput, match="Put the store on a local file system with hard links"):
        LocalStore(tmp_path).create("a", b"")
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("key", ["linked", "folder/secret", "folder/new", "loop"])
def test_no_verb_follows_a_link_out_of_the_store(tmp_path, key):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    before = (outside / "secret").stat()
    store = LocalStore(tmp_path / "store")
    store.create("models/a", b"")
    (tmp_path / "store" / "linked").symlink_to(outside / "secret")
    (tmp_path / "store" / "folder").symlink_to(outside)
    (tmp_path / "store" / "loop").symlink_to(tmp_path / "store" / "loop")
    of_a_key = verbs(store, tmp_path)
    del of_a_key["locate"]
    for verb in of_a_key.values():
        with pytest.raises(InvalidKey, match="symbolic link"):
            verb(key)
    with pytest.raises(InvalidKey, match="symbolic link"):
        store.list("folder/")
    assert list(store.list(key.partition("/")[0])) == []
    assert [info.key for info in store.list("")] == ["models/a"]
    assert list(store.sweep(datetime.now(UTC), remove=True)) == []
    assert files_below(outside) == ["secret"]
    assert (outside / "secret").stat() == before
    assert not (tmp_path / "target").exists()
