"""Temporary files: their names, which say who writes, and what is left of them when the writer dies."""

import errno
import os
import socket
import stat
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

TEMPORARY = ".tmp"
DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

_RUN = uuid.uuid4().hex[:8]


def temporary_name() -> str:
    """Return a fresh file name that says who is writing: host, process and run."""
    return f"{socket.gethostname()}~{os.getpid()}~{_RUN}~{uuid.uuid4().hex}"


def remove_stale(folder: Path) -> None:
    """Remove the temporary files that processes of this host left behind when they died.

    Files of other hosts, of living processes and of other names stay; so does what may not be removed.
    """
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if _has_living_writer(path.name) is False:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                if error.errno not in DENIED:
                    raise


def left_behind(folder: Path, before: datetime) -> Iterator[Path]:
    """Yield the files of a folder that were last written before a moment, by writers of any host.

    Those of this host's living processes are left out, however old they are.
    """
    try:
        paths = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        if _has_living_writer(path.name) is not True and _was_written_before(path, before):
            yield path


def _was_written_before(path: Path, before: datetime) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:  # its writer is done
        return False
    return stat.S_ISREG(found.st_mode) and found.st_mtime < before.timestamp()


def _has_living_writer(name: str) -> bool | None:
    """Tell whether the process that writes a file is alive; None if that cannot be known here."""
    parts = name.removeprefix(".").split("~")
    if len(parts) != 4 or parts[0] != socket.gethostname() or not parts[1].isdecimal():
        return None
    pid, run = int(parts[1]), parts[2]
    if pid == os.getpid():  # in a container each run may have the same number
        return run == _RUN
    return _is_alive(pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
