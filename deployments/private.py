"""Folders that other users of the machine cannot look into."""

import os
import stat
from pathlib import Path


def make_private(folder: Path) -> None:
    """Make a folder, with its parents, that only its owner can enter; close one that is there and is ours to others.

    A folder that everybody may write to, such as /tmp, stays open.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid == os.getuid() and not found.st_mode & stat.S_ISVTX:
        folder.chmod(stat.S_IMODE(found.st_mode) & 0o700)
