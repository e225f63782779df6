import os
import subprocess
import sys
from pathlib import Path

from storage.leftovers import remove_stale, temporary_name

NAME = "from storage.leftovers import temporary_name; import sys; sys.stdout.write(temporary_name())"


def dead_name() -> str:
    """Return a temporary name of a process that has ended."""
    return subprocess.run([sys.executable, "-c", NAME], check=True, capture_output=True, text=True).stdout


def test_temporary_names_never_repeat() -> None:
    assert len({temporary_name() for _ in range(1000)}) == 1000


def test_remove_stale_removes_files_of_dead_processes(tmp_path: Path) -> None:
    name = dead_name()
    for each in (name, f".{name}"):
        (tmp_path / each).write_bytes(b"half")
    remove_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_remove_stale_removes_files_of_an_earlier_process_of_the_same_number(tmp_path: Path) -> None:
    host, _, run, unique = dead_name().split("~")
    (tmp_path / f"{host}~{os.getpid()}~{run}~{unique}").write_bytes(b"half")
    remove_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_remove_stale_keeps_what_may_be_in_use(tmp_path: Path) -> None:
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
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_remove_stale_of_a_missing_folder_is_fine(tmp_path: Path) -> None:
    remove_stale(tmp_path / "nowhere")
