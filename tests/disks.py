"""Small disks that a test may fill or make read-only."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a tmpfs of a size such as '1m' at a new folder; the test is skipped where that is not permitted."""
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("a full or read-only disk needs root and mount(8) to make a small tmpfs")
    command = [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no small tmpfs can be mounted here: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["/usr/bin/env", "umount", str(folder)], check=True)


def remount(disk: Path, option: str) -> None:
    """Mount a disk again with another option, such as 'ro'."""
    subprocess.run(["/usr/bin/env", "mount", "-o", f"remount,{option}", str(disk)], check=True)
