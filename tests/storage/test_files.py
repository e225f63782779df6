"""Files that appear whole, and scratch that is removed when its writer is dead and only then."""

import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from shutil import disk_usage

import pytest
from disks import mounted_disk, remount

from schema.errors import InvalidSettings, OutOfSpace
from storage.files import (
    ABANDONED_AGE,
    remove_stale,
    temporary_name,
    try_place,
    whole_file,
    write_whole,
)
from tasks.options import PlaceOptions
from tasks.store import scratch_folder

NAME = "from storage.files import temporary_name; import sys; sys.stdout.write(temporary_name())"

UNSHARE = ("/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

# Works in a scratch folder until its standard input ends; tells its name, and what is left beside it then.
WORKER = """
import os, sys
from pathlib import Path
from tasks.options import PlaceOptions
from tasks.store import scratch_folder
with scratch_folder(PlaceOptions(work_dir=Path(sys.argv[1])), "models") as folder:
    (folder / "half").touch()
    print(folder.name, flush=True)
    if sys.stdin.readline():
        os._exit(9)
"""


def dead_name() -> str:
    """Return a temporary name of a process that has ended."""
    return subprocess.run([sys.executable, "-c", NAME], check=True, capture_output=True, text=True).stdout


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def age(path: Path, seconds: float) -> None:
    for each in (path, *path.rglob("*")):
        os.utime(each, (time.time() - seconds,) * 2)


def test_temporary_names_never_repeat():
    assert len({temporary_name() for _ in range(1000)}) == 1000


def test_remove_stale_removes_files_and_folders_of_dead_processes(tmp_path):
    name = dead_name()
    for each in (name, f".{name}"):
        (tmp_path / each).write_bytes(b"half")
    (tmp_path / dead_name() / "inside").mkdir(parents=True)
    remove_stale(tmp_path)
    assert names(tmp_path) == set()


def test_remove_stale_removes_files_of_an_earlier_process_of_the_same_number(tmp_path):
    host, _, run, unique = dead_name().split("~")
    (tmp_path / f"{host}~{os.getpid()}~{run}~{unique}").write_bytes(b"half")
    remove_stale(tmp_path)
    assert names(tmp_path) == set()


def test_remove_stale_keeps_what_may_be_in_use(tmp_path):
    host, pid, run, unique = dead_name().split("~")
    kept = {
        temporary_name(),
        f"elsewhere~{pid}~{run}~{unique}",
        f"{host}~{os.getppid()}~{run}~{unique}",
        f"{host}~none~{run}~{unique}",
        "notes.txt",
    }
    for name in kept:
        (tmp_path / name).write_bytes(b"")
    remove_stale(tmp_path)
    assert names(tmp_path) == kept


def test_remove_stale_removes_what_another_host_has_not_touched_for_a_week(tmp_path):
    week = ABANDONED_AGE.total_seconds()
    ages = {"elsewhere~7~run~old": week + 60, "elsewhere~7~run~young": week - 60, "notes": 9 * week}
    theirs = {"mlflow.db.~1~.~2~", "a~b~c~d", "draft~~~", "notes~v1~old~final~2.txt"}
    ages |= dict.fromkeys(theirs, 9 * week)
    for name in ages:
        (tmp_path / name / "inside").mkdir(parents=True)
    (tmp_path / "elsewhere~7~run~busy" / "inside").mkdir(parents=True)
    for name, seconds in ages.items():
        age(tmp_path / name, seconds)
    age(tmp_path / "elsewhere~7~run~busy", week + 60)
    (tmp_path / "elsewhere~7~run~busy" / "inside" / "written just now").touch()
    remove_stale(tmp_path)
    assert names(tmp_path) == {"elsewhere~7~run~young", "elsewhere~7~run~busy", "notes"} | theirs


def test_remove_stale_of_a_missing_folder_is_fine(tmp_path):
    remove_stale(tmp_path / "nowhere")


class Container:
    """Processes with numbers of their own, and the same host name as all others."""

    def __init__(self, work_dir: Path) -> None:
        self._process = subprocess.Popen(
            [*UNSHARE, sys.executable, "-c", WORKER, work_dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self.scratch = self._process.stdout.readline().strip()

    def end(self, *, is_killed: bool) -> None:
        """Let the worker end, with or without removing its scratch."""
        self._process.communicate("die\n" if is_killed else None, timeout=30)


@pytest.fixture
def can_unshare() -> None:
    """Skip the test where process numbers of one's own are not permitted."""
    if not Path(UNSHARE[0]).exists():
        pytest.skip("unshare, of util-linux, is not installed")
    tried = subprocess.run([*UNSHARE, sys.executable, "-c", ""], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no process-number namespaces here: {tried.stderr.strip()}")


@pytest.mark.usefixtures("can_unshare")
def test_containers_that_share_a_volume_leave_each_others_live_scratch_alone(tmp_path):
    """Both have process 1; neither has the other's numbers, nor those of this process."""
    first, second = Container(tmp_path), Container(tmp_path)
    remove_stale(tmp_path)
    (tmp_path / dead_name()).mkdir()
    third = Container(tmp_path)
    assert names(tmp_path) >= {first.scratch, second.scratch, third.scratch}
    remove_stale(tmp_path)
    assert names(tmp_path) == {first.scratch, second.scratch, third.scratch}
    third.end(is_killed=True)
    second.end(is_killed=False)
    remove_stale(tmp_path)
    assert names(tmp_path) == {first.scratch, third.scratch}, "of another namespace nobody knows that it is dead"
    first.end(is_killed=False)


def test_scratch_is_for_its_owner_only(tmp_path):
    with scratch_folder(PlaceOptions(work_dir=tmp_path), "models") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_whole_file_replaces_what_was_there_and_has_its_mode_from_the_start(tmp_path):
    target = tmp_path / "folder" / "secret"
    write_whole(target, "old")
    with whole_file(target, mode=0o600) as partial:
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600
        partial.write_text("new")
        assert target.read_text() == "old"
    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("new", 0o600)
    assert names(target.parent) == {"secret"}


def test_a_file_that_was_not_finished_is_never_seen_and_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "file") as partial:
        partial.write_text(str(1 / 0))
    assert names(tmp_path) == set()


def test_a_whole_file_may_leave_the_one_that_came_first(tmp_path):
    for text in ("first", "second"):
        with whole_file(tmp_path / "file", replace=False, staging=tmp_path / "staging") as partial:
            partial.write_text(text)
    assert (tmp_path / "file").read_text() == "first"
    assert names(tmp_path / "staging") == set()


@pytest.fixture
def bad_places(tmp_path: Path) -> Path:
    """A folder with a file, a link to a place that is not there, and a folder called ``folder``."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/nowhere/at/all")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("file", "file: Not a directory"),
        ("file/x", "file: Not a directory"),
        ("link/x", "link, a link to /nowhere/at/all: No such file"),
        ("x" * 300, "File name too long"),
        ("absent/" + "x" * 300, "File name too long"),
        ("/proc/x/y", "/proc: No such file"),
    ],
)
@pytest.mark.parametrize("is_file", [False, True])
def test_a_place_that_cannot_be_written_to_is_told_with_its_setting_and_why(bad_places, name, why, is_file):
    place = bad_places / name / "result.json" if is_file else bad_places / name
    with pytest.raises(
        InvalidSettings, match=rf"^--flag: {re.escape(str(place))} cannot be written to .*{why}.*expected"
    ):
        try_place(place, "--flag", is_file=is_file)
    assert sorted(path.name for path in bad_places.iterdir()) == ["file", "folder", "link"]


@pytest.mark.parametrize(("name", "why"), [("folder", "Is a directory"), ("/dev/null", "Not a regular file")])
def test_a_file_that_is_to_be_written_is_none_of_another_kind(bad_places, name, why):
    with pytest.raises(InvalidSettings, match=why):
        try_place(bad_places / name, "--json", is_file=True)


def test_a_place_that_can_be_written_to_is_left_as_it_was(bad_places):
    (bad_places / "file").write_text("content")
    try_place(bad_places / "folder", "--flag")
    try_place(bad_places / "a" / "b", "--flag")
    try_place(bad_places / "a" / "b", "--flag", is_file=True)
    try_place(bad_places / "file", "--flag", is_file=True)
    assert sorted(path.name for path in bad_places.rglob("*")) == ["file", "folder", "link"]
    assert (bad_places / "file").read_text() == "content"


def test_a_full_or_read_only_disk_is_told_before_it_is_used(tmp_path):
    with mounted_disk(tmp_path / "disk", "64k") as disk:
        (disk / "all").write_bytes(bytes(disk_usage(disk).free))
        with pytest.raises(OutOfSpace, match=r"^--flag: no space left for .*disk/x"):
            try_place(disk / "x", "--flag")
        remount(disk, "ro")
        with pytest.raises(InvalidSettings, match="Read-only file system"):
            try_place(disk / "x", "--flag")
