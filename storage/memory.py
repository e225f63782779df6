"""A store in this process's memory, for tests and short experiments."""

import io
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from storage.layout import check_key, check_prefix
from storage.protocol import ObjectInfo, Store


@dataclass(frozen=True)
class _Object:
    data: bytes
    version: str
    written_at: datetime


class MemoryStore(Store):
    """Objects in a dictionary; durable for as long as the process lives."""

    def __init__(self, name: str) -> None:
        self.uri = f"memory://{name}"
        self._objects: dict[str, _Object] = {}
        self._versions = itertools.count(1)
        self._lock = threading.Lock()

    def try_writing(self) -> None:
        """See `Store.try_writing`; memory always can."""

    def open(self, key: str) -> BinaryIO:
        """See `Store.open`."""
        return io.BytesIO(self._get(key).data)

    def head(self, key: str) -> ObjectInfo | None:
        """See `Store.head`."""
        found = self._objects.get(check_key(key))
        return ObjectInfo(key, len(found.data), found.version) if found else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `Store.list`."""
        check_prefix(prefix)
        with self._lock:
            found = [self.head(key) for key in sorted(self._objects) if key.startswith(prefix)]
        return (info for info in found if info)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        self._objects.pop(check_key(key), None)

    def written_at(self, key: str) -> datetime | None:
        """See `Store.written_at`."""
        found = self._objects.get(check_key(key))
        return found.written_at if found else None

    def renew(self, key: str) -> None:
        """See `Store.renew`."""
        with self._lock:
            self._objects[key] = replace(self._get(key), written_at=datetime.now(UTC))

    def _get(self, key: str) -> _Object:
        found = self._objects.get(check_key(key))
        if found is None:
            raise self._absent(key)
        return found

    def _write(self, key: str, source: Path | bytes, expected: str | None) -> ObjectInfo | None:
        data = source if isinstance(source, bytes) else source.read_bytes()
        folders = {str(parent) for parent in PurePosixPath(key).parents}
        with self._lock:
            if not self._has_version(key, expected):
                return None
            if any(other in folders or other.startswith(f"{key}/") for other in self._objects):
                raise self._two_roles(key)
            self._objects[key] = _Object(data, str(next(self._versions)), datetime.now(UTC))
            return self.head(key)


_shared: dict[str, MemoryStore] = {}


def shared_memory_store(name: str) -> MemoryStore:
    """Return this process's store of that name; the same name gives the same store."""
    return _shared.setdefault(name, MemoryStore(name))  # of two threads the first one's, in one step
