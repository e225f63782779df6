"""Files that appear whole, and temporary files: their names, and the removal of those that dead writers left."""

import errno
import os
import shutil
import socket
import stat
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from schema.errors import InvalidInput, InvalidSettings, OutOfSpace

TEMPORARY = ".tmp"
COPY_BYTES = 1024 * 1024
ABANDONED_AGE = timedelta(days=7)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_RUN = uuid.uuid4().hex[:8]


def temporary_name(purpose: str = "") -> str:
    """Return a fresh name that says who is writing: host, process and run, then the purpose.

    The host is the host name, the boot of its kernel and the process-number namespace. Containers may share a volume
    and even a host name, but never the namespace in which a process number means something.
    """
    return f"{_host()}~{os.getpid()}~{_RUN}~{purpose}{'-' if purpose else ''}{uuid.uuid4().hex}"


def _host() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8]
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # no Linux: no such namespaces either
        return socket.gethostname()
    return f"{socket.gethostname()}.{boot}.{namespace}"


def remove_stale(folder: Path) -> None:
    """Remove the temporary files and folders that dead writers left in a folder; see `temporary_name`.

    A writer of this host and namespace is dead if its process is. Files of other writers count as abandoned when
    nothing in them was written for a week. Other names stay, and so do files that may not be removed.
    """
    if not folder.is_dir():
        return
    abandoned = time.time() - ABANDONED_AGE.total_seconds()
    for path in folder.iterdir():
        is_alive = has_living_writer(path.name)
        if is_alive is None and _writer_of(path.name):
            is_alive = _last_written(path) >= abandoned
        if is_alive is False:
            _remove(path)


def left_behind(folder: Path, before: datetime) -> Iterator[Path]:
    """Yield the files of a folder that were last written before a moment, by writers of any host.

    Those of this host's living processes are left out, however old they are.
    """
    try:
        paths = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        found = _lstat(path)
        is_old_file = found and stat.S_ISREG(found.st_mode) and found.st_mtime < before.timestamp()
        if is_old_file and has_living_writer(path.name) is not True:
            yield path


def has_living_writer(name: str) -> bool | None:
    """Tell whether the process that writes a file or folder is alive; None if that cannot be known here."""
    writer = _writer_of(name)
    if writer is None or writer[0] != _host():
        return None
    _, pid, run = writer
    if pid == os.getpid():  # in a container each run may have the same number
        return run == _RUN
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _writer_of(name: str) -> tuple[str, int, str] | None:
    """Return host, process and run that a temporary name spells; None for any other name."""
    parts = name.removeprefix(".").split("~")
    if len(parts) != 4 or not parts[1].isdecimal():
        return None
    return parts[0], int(parts[1]), parts[2]


def _last_written(path: Path) -> float:
    found = (_lstat(each) for each in (path, *path.rglob("*")))
    return max((each.st_mtime for each in found if each), default=time.time())


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:  # its writer is done
        return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in _DENIED:
            raise


def file_stat(path: Path) -> os.stat_result | None:
    """Return what the system knows of a regular file; None if there is none of that name."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents where they are missing, durably."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


@contextmanager
def explained(folder: Path, needed_bytes: int = 0) -> Iterator[None]:
    """Turn a full disk and missing rights into errors that say what to do.

    Raises:
        OutOfSpace: If the disk is full; names the folder, the bytes needed and the bytes free.
        InvalidInput: If something in the folder may not be read or written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            existing = next(path for path in (folder, *folder.parents) if path.exists())
            raise OutOfSpace(
                f"no space left under {folder}: {needed_bytes} bytes needed, {shutil.disk_usage(existing).free} bytes "
                "free. Free some, or choose a folder on another disk."
            ) from error
        if error.errno in _DENIED and str(error.filename).startswith(str(folder)):
            raise InvalidInput(
                f"{folder} cannot be used ({error.strerror}: {error.filename}). "
                "Change its rights, or choose another folder."
            ) from error
        raise


def try_place(place: Path, setting: str, *, is_file: bool = False) -> None:
    """Try that a place can be written to, so that it is known before work begins and not after; nothing is left of it.

    What is missing of it stays missing: the nearest folder that is there gets a file for a moment.

    Args:
        place: A folder, or a file, there or not yet there.
        setting: Name of the setting that the place comes from.
        is_file: Whether it is a file.

    Raises:
        InvalidSettings: If it cannot be written to.
        OutOfSpace: If the disk is full.
    """
    place = place.absolute()
    folder = place.parent if is_file else place
    existing = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    try:
        for name in place.relative_to(existing).parts:
            with suppress(FileNotFoundError):
                (existing / name).lstat()  # a name may be too long
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"\0")
        if is_file and place.exists():
            _open_regular(place)
    except OSError as error:
        if error.errno in _FULL:
            raise OutOfSpace(f"{setting}: no space left for {place}. Free some, or name a place elsewhere.") from error
        link = f", a link to {existing.readlink()}" if existing.is_symlink() else ""
        raise InvalidSettings(
            f"{setting}: {place} cannot be written to ({existing}{link}: {error.strerror}); expected a "
            f"{'file' if is_file else 'folder'}, there or not yet there, that this user may write to. "
            "Change its rights, or name another place."
        ) from error


def _open_regular(path: Path) -> None:
    path.open("r+b").close()
    if not path.is_file():
        raise OSError(errno.EINVAL, "Not a regular file")


@contextmanager
def temporary_path(folder: Path, prefix: str = "") -> Iterator[Path]:
    """Yield a fresh path in a folder, and remove the file that has it at the end."""
    path = folder / f"{prefix}{temporary_name()}"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def whole_file(
    target: Path, *, needed_bytes: int = 0, mode: int | None = None, staging: Path | None = None, replace: bool = True
) -> Iterator[Path]:
    """Yield a path to write to, which becomes the target when the block ends, or is removed when it fails.

    So the target appears whole or not at all, for every reader and whenever this process is killed. Its folder is made
    where it is missing.

    Args:
        target: The file to write.
        needed_bytes: Its size where that is known, for the message about a full disk.
        mode: Rights that the file has from its first byte on; by default what the umask gives.
        staging: Folder on the same disk in which the file is written; by default, under a hidden name, the target's.
        replace: Replace a target that exists; otherwise keep it, and drop what was written.

    Raises:
        OutOfSpace: If the disk is full; nothing is left of the file.
        InvalidInput: If the folder may not be written to.
    """
    with explained(target.parent, needed_bytes):
        for folder in (target.parent, staging or target.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with temporary_path(staging or target.parent, "" if staging else ".") as partial:
            if mode is not None:
                partial.touch(mode=mode, exist_ok=False)
            yield partial
            if replace:
                partial.replace(target)
            else:
                with suppress(FileExistsError):
                    os.link(partial, target)


def write_whole(target: Path, text: str, *, mode: int | None = None) -> None:
    """Write text as UTF-8 to a file that appears whole or not at all; see `whole_file`."""
    with whole_file(target, needed_bytes=len(text), mode=mode) as partial:
        partial.write_text(text, encoding="utf-8")


def save_stream(source: BinaryIO, target: Path, size_bytes: int) -> None:
    """Copy a stream to a file that appears whole or not at all; see `whole_file`."""
    with whole_file(target, needed_bytes=size_bytes) as partial, partial.open("xb") as stream:
        shutil.copyfileobj(source, stream, COPY_BYTES)


@contextmanager
def temporary_copy(root: Path, source: Path | bytes) -> Iterator[Path]:
    """Write a durable temporary file below a store's root, and remove its temporary name at the end.

    Raises:
        OutOfSpace: If the disk is full.
        InvalidInput: If the root may not be written to.
    """
    needed_bytes = len(source) if isinstance(source, bytes) else source.stat().st_size
    with explained(root, needed_bytes):
        make_folder(root / TEMPORARY)
        with temporary_path(root / TEMPORARY) as path:
            if isinstance(source, bytes):
                path.write_bytes(source)
            else:
                shutil.copyfile(source, path)  # within the kernel
            with path.open("r+b") as stream:
                now = time.time_ns()  # the clock of file systems ticks too seldom to tell two versions apart
                os.utime(stream.fileno(), ns=(now, now))
                os.fsync(stream.fileno())
            yield path
