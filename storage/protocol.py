"""The verbs of every store, each with its guarantee, and what all backends have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from schema.errors import CorruptObject, InvalidInput, InvalidKey, ObjectExists, ObjectNotFound, VersionConflict
from storage.files import save_stream
from storage.layout import check_key

READ_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class ObjectInfo:
    """One stored object.

    Attributes:
        key: Its key, relative to the store's root.
        size_bytes: Length of its content.
        version: Opaque token for compare-and-swap. Objects of different bytes have different versions; two
            writes of equal bytes may share one, and `renew` may change it.
    """

    key: str
    size_bytes: int
    version: str


class Store(ABC):
    """Objects under keys, seen whole or not at all.

    No reader, in this process or another, ever observes a partially written object, and a writer that is
    killed at any byte leaves nothing that `head`, `read` or `list` would show. Every verb that takes a key
    raises InvalidKey for one that `storage.layout.check_key` refuses. A key is an object or a folder of others,
    never both: 'a' and 'a/b' do not go together.

    Attributes:
        uri: The root, as `open_store` takes it.
    """

    uri: str

    def create(self, key: str, source: Path | bytes) -> ObjectInfo:
        """Store a file's content, or bytes, under a key that is free; durable when it returns.

        Of several writers that race for a key exactly one succeeds.

        Raises:
            ObjectExists: If the key is taken; that object is then durable, and left as it is.
            OutOfSpace: If the backend is full.
        """
        check_key(key)
        info = None if self.head(key) else self._write(key, source, None)
        if info is None:
            raise self._exists(key)
        return info

    def replace(self, key: str, data: bytes, expected: str | None) -> ObjectInfo:
        """Store bytes if the object still has the expected version (None: if the key is free); durable on return.

        Raises:
            VersionConflict: If it has another version, is absent, or (expected None) is there.
            InvalidInput: If the backend has a `race_flaw`.
            OutOfSpace: If the backend is full.
        """
        check_key(key)
        if flaw := self.race_flaw():
            raise InvalidInput(
                f"{self.locate(key)} is not written: {flaw} Two promotions at once could both seem to win. "
                "Keep the champion on a server that honours conditional writes, as AWS and MinIO do."
            )
        info = self._write(key, data, expected) if self._has_version(key, expected) else None
        if info is None:
            raise self._conflict(key, expected)
        return info

    @abstractmethod
    def _write(self, key: str, source: Path | bytes, expected: str | None) -> ObjectInfo | None:
        """Store an object if it has the expected version (None: if the key is free), in one step; else return None."""

    def race_flaw(self) -> str | None:
        """Return what lets more than one of several writers win on this backend, or None if one always does.

        Where there is a flaw, `create` may overwrite what another writer creates at the same moment, and
        `replace` raises InvalidInput.
        """
        return None

    @abstractmethod
    def try_writing(self) -> None:
        """Try that the store can be written to, and leave nothing of it: known before work begins, not after it.

        Raises:
            InvalidInput: If it cannot, as for want of rights.
            OutOfSpace: If the backend is full.
        """

    def read(self, key: str, limit_bytes: int = READ_LIMIT_BYTES) -> bytes:
        """Return the content of a small object.

        Raises:
            ObjectNotFound: If the key is free.
            CorruptObject: If it is larger than limit_bytes.
        """
        with self.open(key) as stream:
            data = stream.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise CorruptObject(f"{self.locate(key)} has more than the {limit_bytes} bytes expected of it.")
        return data

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """Return a stream over one version of the object, which the caller closes.

        Raises:
            ObjectNotFound: If the key is free.
        """

    def fetch(self, key: str, target: Path) -> None:
        """Copy the object to a local file, streaming; the file appears whole, replacing what was there.

        Raises:
            ObjectNotFound: If the key is free.
            OutOfSpace: If the target's disk is full; nothing is left of the copy.
        """
        info = self.head(key)
        with self.open(key) as stream:
            save_stream(stream, target, info.size_bytes if info else 0)

    def local_path(self, key: str) -> Path | None:
        """Return a local file that already holds the object, not to be written to; None if there is none."""
        check_key(key)
        return None

    @abstractmethod
    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of the object, or None if the key is free."""

    @abstractmethod
    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with the prefix, in code point order of their keys."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object; a free key is fine."""

    @abstractmethod
    def written_at(self, key: str) -> datetime | None:
        """Return when the object was last written or renewed, by the backend's clock; None if the key is free.

        The moment is in UTC and knows it. Of two writes or renewals the later one never has the earlier moment,
        but both may have the same one: clocks of stores tick up to a second apart.
        """

    @abstractmethod
    def renew(self, key: str) -> None:
        """Make now the moment in which the object was written, so that it counts as new; durable when it returns.

        So garbage collection keeps an object that a dead writer left and another one takes over. The content stays
        what it is, and no reader ever finds the key free, or half of the object. The version may change, which
        matters only to a compare-and-swap that is under way: it then fails, and is tried again.

        Raises:
            ObjectNotFound: If the key is free; nothing is stored.
        """

    def sweep(self, before: datetime, *, remove: bool) -> Iterator[str]:  # noqa: ARG002 - what backends obey
        """Yield a name for each thing that a writer which died left behind, and that no verb shows.

        Nothing that `head`, `read` or `list` shows is ever among them, nor what a writer that is known to be
        alive is at work on; of a writer that may be alive, only what was untouched since the moment given. Things
        are found, and removed, as the iterator is read.

        Args:
            before: Moment, with its time zone; what was touched then or later is left out.
            remove: Remove each thing before its name is yielded.
        """
        return iter(())

    def locate(self, key: str) -> str:
        """Return the full URI of the key, for people and logs."""
        return f"{self.uri}/{check_key(key)}"

    def _absent(self, key: str) -> ObjectNotFound:
        return ObjectNotFound(f"{self.locate(key)} does not exist.")

    def _exists(self, key: str) -> ObjectExists:
        return ObjectExists(f"{self.locate(key)} exists already; a created object is never replaced.")

    def _two_roles(self, key: str) -> InvalidKey:
        return InvalidKey(f"{self.locate(key)} would be both an object and a folder of objects.")

    def _has_version(self, key: str, expected: str | None) -> bool:
        found = self.head(key)
        return (found.version if found else None) == expected

    def _conflict(self, key: str, expected: str | None) -> VersionConflict:
        found = self.head(key)
        return VersionConflict(
            f"{self.locate(key)} has version {found.version if found else None}; expected {expected}. "
            "Read it again, then decide again."
        )
