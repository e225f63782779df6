"""A store in a folder: temporary file, fsync, then a link (create-only) or a rename (compare-and-swap)."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from schema.errors import InvalidInput, InvalidKey, InvalidSettings, ObjectExists
from storage.files import (
    TEMPORARY,
    explained,
    file_stat,
    left_behind,
    make_folder,
    remove_stale,
    sync,
    temporary_copy,
    try_place,
)
from storage.layout import check_key, check_prefix
from storage.protocol import ObjectInfo, Store

_NO_LINKS = frozenset({errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})


class LocalStore(Store):
    """Objects as files of one folder on one machine.

    The folder is made by the first write. Files get the rights that the umask gives. Beside the objects stand
    `.tmp`, where files are written before they get their names, and `.lock`, which compare-and-swap holds.
    """

    def __init__(self, root: Path) -> None:
        with explained(root):
            if root.exists() and not root.is_dir():
                raise InvalidSettings(f"the store {root} is a file; expected a folder, there or not yet there.")
        self._root = Path(os.path.realpath(root))
        self.uri = self._root.as_uri()
        with explained(self._root):
            remove_stale(self._root / TEMPORARY)

    def try_writing(self) -> None:
        """See `Store.try_writing`."""
        try_place(self._root / TEMPORARY, "the store")

    def open(self, key: str) -> BinaryIO:
        """See `Store.open`."""
        try:
            with explained(self._root):
                return self._path(key).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise self._absent(key) from None

    def local_path(self, key: str) -> Path | None:
        """See `Store.local_path`."""
        return self._path(key) if self.head(key) else None

    def head(self, key: str) -> ObjectInfo | None:
        """See `Store.head`."""
        with explained(self._root):
            found = file_stat(self._path(key))
        return _info(key, found) if found else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `Store.list`."""
        check_prefix(prefix)
        folder, _, beginning = prefix.rpartition("/")
        start = self._path(folder) if folder else self._root
        with explained(self._root):
            keys = sorted(key for key in self._keys_below(start, beginning) if key.startswith(prefix))
        return (info for info in map(self.head, keys) if info)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        path = self._path(key)
        if self.head(key):
            with self._locked():
                path.unlink(missing_ok=True)
                sync(path.parent)

    def written_at(self, key: str) -> datetime | None:
        """See `Store.written_at`; it is the file's time of modification."""
        found = file_stat(self._path(key))
        return datetime.fromtimestamp(found.st_mtime, UTC) if found else None

    def renew(self, key: str) -> None:
        """See `Store.renew`; the version changes, for the time of modification is a part of it."""
        if self.head(key) is None:
            raise self._absent(key)
        with self._locked():
            now = time.time_ns()
            try:
                os.utime(self._path(key), ns=(now, now))
            except FileNotFoundError:
                raise self._absent(key) from None

    def sweep(self, before: datetime, *, remove: bool) -> Iterator[str]:
        """See `Store.sweep`; what is left behind here are files in `.tmp`, of any host."""
        with explained(self._root):
            for path in left_behind(self._root / TEMPORARY, before):
                if remove:
                    path.unlink(missing_ok=True)
                yield path.relative_to(self._root).as_posix()

    def _path(self, key: str) -> Path:
        path = self._root / check_key(key)
        if not self._is_inside(path):
            raise InvalidKey(f"{self.locate(key)} leads out of the store through a symbolic link; remove the link.")
        return path

    def _is_inside(self, path: Path) -> bool:
        try:
            path.stat()
        except OSError as error:
            if error.errno == errno.ELOOP:  # a loop of symbolic links, which resolving does not tell on every Python
                return False
        return Path(os.path.realpath(path)).is_relative_to(self._root)

    def _keys_below(self, start: Path, beginning: str) -> Iterator[str]:
        """Yield the keys in a folder, less those in folders of it whose names begin otherwise."""
        for folder, folders, files in os.walk(start, onerror=_unless_gone):
            if Path(folder) == start:
                folders[:] = [one for one in folders if one.startswith(beginning)]
            for name in files:
                key = (Path(folder) / name).relative_to(self._root).as_posix()
                with suppress(InvalidKey):  # another program's file
                    self._path(key)
                    yield key

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with explained(self._root), (self._root / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, key: str, source: Path | bytes, expected: str | None) -> ObjectInfo | None:
        path = self._path(key)
        with temporary_copy(self._root, source) as staged:
            info = _info(key, staged.stat())
            if expected is None:
                return info if self._is_linked(staged, path, key) else None
            with self._locked():
                if not self._has_version(key, expected):
                    return None
                staged.replace(path)
                sync(path.parent)
                return info

    def _is_linked(self, staged: Path, path: Path, key: str) -> bool:
        """Give a file its name, durably, and return whether that was free."""
        try:
            make_folder(path.parent)
        except (FileExistsError, NotADirectoryError):
            raise self._two_roles(key) from None
        try:
            os.link(staged, path)
        except FileExistsError:
            if path.is_dir():
                raise self._two_roles(key) from None
            return False
        except OSError as error:
            if error.errno in _NO_LINKS:
                raise InvalidInput(
                    f"the file system under {self._root} cannot link {staged} to {path} ({error.strerror}). "
                    "Put the store on a local file system with hard links."
                ) from error
            raise
        sync(path.parent)
        return True

    def _exists(self, key: str) -> ObjectExists:
        sync(self._path(key).parent)  # the other writer may not have come to it yet
        return super()._exists(key)


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _info(key: str, found: os.stat_result) -> ObjectInfo:
    version = f"{found.st_mtime_ns:x}-{found.st_ino:x}-{found.st_size:x}"
    return ObjectInfo(key, found.st_size, version)
