"""Files that appear whole, stay after a power cut, and clear errors when they cannot."""

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from schema.errors import InvalidInput, OutOfSpace
from storage.leftovers import DENIED, TEMPORARY, temporary_name

COPY_BYTES = 1024 * 1024

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_stat(path: Path) -> os.stat_result | None:
    """Return what the system knows of a regular file; None if there is none of that name."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def make_folder(folder: Path) -> None:
    """Create a folder and its parents where they lack, durably."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


@contextmanager
def explained(folder: Path, needed_bytes: int) -> Iterator[None]:
    """Turn a full disk and missing rights into errors that say what to do.

    Raises:
        OutOfSpace: If the disk is full; names the folder, the bytes needed and the bytes free.
        InvalidInput: If the folder may not be written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            free = shutil.disk_usage(_existing(folder)).free
            raise OutOfSpace(
                f"no space left under {folder}: {needed_bytes} bytes needed, {free} bytes free. "
                "Free some, or choose a folder on another disk."
            ) from error
        if error.errno in DENIED and str(error.filename).startswith(str(folder)):
            raise InvalidInput(
                f"{folder} cannot be written to ({error.strerror}: {error.filename}). "
                "Change its rights, or choose another folder."
            ) from error
        raise


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


@contextmanager
def whole_file(
    target: Path, *, needed_bytes: int = 0, mode: int | None = None, is_durable: bool = False
) -> Iterator[Path]:
    """Yield a path beside the target to write to; at the end it is renamed to the target, or removed on an error.

    So the target appears whole or not at all, replacing what was there, for every reader and whenever this process
    is killed. Its folder is made where it is missing.

    Args:
        target: The file to write.
        needed_bytes: Its size where that is known, for the message about a full disk.
        mode: Rights that the file has from its first byte on; by default what the umask gives.
        is_durable: Whether content and name are on the disk when the block ends.

    Raises:
        OutOfSpace: If the disk is full; nothing is left of the file.
        InvalidInput: If the folder may not be written to.
    """
    with explained(target.parent, needed_bytes):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.parent / f".{temporary_name()}"
        try:
            if mode is not None:
                partial.touch(mode=mode, exist_ok=False)
            yield partial
            if is_durable:
                _sync(partial)
            partial.replace(target)
            if is_durable:
                _sync(target.parent)
        finally:
            partial.unlink(missing_ok=True)


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
        path = root / TEMPORARY / temporary_name()
        try:
            _write_durably(path, source)
            yield path
        finally:
            path.unlink(missing_ok=True)


def _write_durably(path: Path, source: Path | bytes) -> None:
    with path.open("xb") as stream:
        if isinstance(source, bytes):
            stream.write(source)
        else:
            with source.open("rb") as content:
                shutil.copyfileobj(content, stream, COPY_BYTES)
        stream.flush()
        now = time.time_ns()  # the clock of file systems ticks too seldom to tell two versions apart
        os.utime(stream.fileno(), ns=(now, now))
        os.fsync(stream.fileno())
