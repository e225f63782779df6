"""A store in this process's memory, for tests and short experiments."""

import io
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from schema.errors import CorruptObject, InvalidKey, ObjectExists, ObjectNotFound, VersionConflict
from storage.files import save_stream
from storage.layout import check_key, check_prefix
from storage.protocol import READ_LIMIT_BYTES, ObjectInfo


@dataclass(frozen=True)
class _Object:
    data: bytes
    version: str
    written_at: datetime


class MemoryStore:
    """Objects in a dictionary; durable for as long as the process lives."""

    def __init__(self, name: str) -> None:
        self.uri = f"memory://{name}"
        self._objects: dict[str, _Object] = {}
        self._versions = itertools.count(1)
        self._lock = threading.Lock()

    def create(self, key: str, source: Path | bytes) -> ObjectInfo:
        """See `Store.create`."""
        check_key(key)
        data = source if isinstance(source, bytes) else source.read_bytes()
        with self._lock:
            if key in self._objects:
                raise ObjectExists(f"{self.locate(key)} exists already; a created object is never replaced.")
            return self._put(key, data)

    def replace(self, key: str, data: bytes, expected: str | None) -> ObjectInfo:
        """See `Store.replace`."""
        with self._lock:
            info = self._head(check_key(key))
            found = info.version if info else None
            if found != expected:
                raise VersionConflict(
                    f"{self.locate(key)} has version {found}; expected {expected}. Read it again and decide anew."
                )
            return self._put(key, data)

    def race_flaw(self) -> str | None:
        """See `Store.race_flaw`."""
        return None

    def read(self, key: str, limit_bytes: int = READ_LIMIT_BYTES) -> bytes:
        """See `Store.read`."""
        data = self._get(key).data
        if len(data) > limit_bytes:
            raise CorruptObject(f"{self.locate(key)} has {len(data)} bytes; expected at most {limit_bytes}.")
        return data

    def open(self, key: str) -> BinaryIO:
        """See `Store.open`."""
        return io.BytesIO(self._get(key).data)

    def fetch(self, key: str, target: Path) -> None:
        """See `Store.fetch`."""
        data = self._get(key).data
        save_stream(io.BytesIO(data), target, len(data))

    def local_path(self, key: str) -> Path | None:
        """See `Store.local_path`; memory has no files."""
        check_key(key)
        return None

    def head(self, key: str) -> ObjectInfo | None:
        """See `Store.head`."""
        check_key(key)
        with self._lock:
            return self._head(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `Store.list`."""
        check_prefix(prefix)
        with self._lock:
            keys = sorted(key for key in self._objects if key.startswith(prefix))
            found = [self._head(key) for key in keys]
        return (info for info in found if info)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        with self._lock:
            self._objects.pop(check_key(key), None)

    def written_at(self, key: str) -> datetime | None:
        """See `Store.written_at`."""
        with self._lock:
            found = self._objects.get(check_key(key))
        return found.written_at if found else None

    def renew(self, key: str) -> None:
        """See `Store.renew`."""
        with self._lock:
            found = self._objects.get(check_key(key))
            if found is None:
                raise self._absent(key)
            self._objects[key] = replace(found, written_at=datetime.now(UTC))

    def sweep(self, before: datetime, *, remove: bool) -> Iterator[str]:  # noqa: ARG002 - the verb's names
        """See `Store.sweep`; memory keeps nothing of a writer that died."""
        return iter(())

    def locate(self, key: str) -> str:
        """See `Store.locate`."""
        return f"{self.uri}/{check_key(key)}"

    def _get(self, key: str) -> _Object:
        with self._lock:
            found = self._objects.get(check_key(key))
        if found is None:
            raise self._absent(key)
        return found

    def _absent(self, key: str) -> ObjectNotFound:
        return ObjectNotFound(f"{self.locate(key)} does not exist.")

    def _head(self, key: str) -> ObjectInfo | None:
        found = self._objects.get(key)
        return ObjectInfo(key, len(found.data), found.version) if found else None

    def _put(self, key: str, data: bytes) -> ObjectInfo:
        folders = {str(parent) for parent in PurePosixPath(key).parents}
        if any(other in folders or other.startswith(f"{key}/") for other in self._objects):
            raise InvalidKey(f"{self.locate(key)} would be both an object and a folder of objects.")
        self._objects[key] = _Object(bytes(data), str(next(self._versions)), datetime.now(UTC))
        return ObjectInfo(key, len(data), self._objects[key].version)


_shared: dict[str, MemoryStore] = {}
_shared_lock = threading.Lock()


def shared_memory_store(name: str) -> MemoryStore:
    """Return this process's store of that name; the same name gives the same store."""
    with _shared_lock:
        return _shared.setdefault(name, MemoryStore(name))
