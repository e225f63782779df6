"""What every store promises: a handful of verbs, each with its guarantee."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

READ_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class ObjectInfo:
    """One stored object.

    Attributes:
        key: Where it stands, relative to the store's root.
        size_bytes: Length of its content.
        version: Opaque token for compare-and-swap. Objects of different bytes have different versions; two
            writes of equal bytes may share one, and `renew` may change it.
    """

    key: str
    size_bytes: int
    version: str


class Store(Protocol):
    """Objects under keys, seen whole or not at all.

    No reader, in this process or another, ever observes a partially written object, and a writer that is
    killed at any byte leaves nothing that `head`, `read` or `list` would show. Every verb that takes a key
    raises InvalidKey for one that `storage.layout.check_key` refuses. A key is an object or a folder of others,
    never both: 'a' and 'a/b' do not go together.
    """

    @property
    def uri(self) -> str:
        """The root, as `open_store` takes it."""

    def create(self, key: str, source: Path | bytes) -> ObjectInfo:
        """Store a file's content, or bytes, under a key that is free; durable when it returns.

        Of several writers that race for a key exactly one succeeds.

        Raises:
            ObjectExists: If the key is taken; that object is then durable, and left as it is.
            OutOfSpace: If the backend is full.
        """

    def replace(self, key: str, data: bytes, expected: str | None) -> ObjectInfo:
        """Store bytes if the object still has the expected version; durable when it returns.

        Args:
            key: Where to store.
            data: The new content.
            expected: The version to be replaced; None means that the key must be free.

        Raises:
            VersionConflict: If it has another version, is absent, or (expected None) is there.
            OutOfSpace: If the backend is full.
        """

    def race_flaw(self) -> str | None:
        """Return what lets more than one of several writers win on this backend, or None if one always does.

        Where there is a flaw, `create` may overwrite what another writer creates at the same moment, and
        `replace` raises InvalidInput.
        """

    def read(self, key: str, limit_bytes: int = READ_LIMIT_BYTES) -> bytes:
        """Return the content of a small object.

        Raises:
            ObjectNotFound: If the key is free.
            CorruptObject: If it is larger than limit_bytes.
        """

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

    def local_path(self, key: str) -> Path | None:
        """Return a local file that already holds the object, not to be written to; None if there is none."""

    def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of the object, or None if the key is free."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with the prefix, in code point order of their keys."""

    def delete(self, key: str) -> None:
        """Remove the object; a free key is fine."""

    def written_at(self, key: str) -> datetime | None:
        """Return when the object was last written or renewed, by the backend's clock; None if the key is free.

        The moment is in UTC and knows it. Of two writes or renewals the later one never has the earlier moment,
        but both may have the same one: clocks of stores tick up to a second apart.
        """

    def renew(self, key: str) -> None:
        """Make now the moment in which the object was written, so that it counts as new; durable when it returns.

        A writer that takes over an object which a dead writer left calls this, lest a clean-up takes it away as
        old. The content stays what it is, and no reader ever finds the key free, or half of the object. The
        version may change, which matters only to a compare-and-swap that is under way: it then fails, and is
        tried again.

        Raises:
            ObjectNotFound: If the key is free; nothing is stored.
        """

    def sweep(self, before: datetime, *, remove: bool) -> Iterator[str]:
        """Yield a name for each thing that a writer which died left behind, and that no verb shows.

        Nothing that `head`, `read` or `list` shows is ever among them, nor what a writer that is known to be
        alive is at work on; of a writer that may be alive, only what was untouched since the moment given. Things
        are found, and removed, as the iterator is read.

        Args:
            before: Moment, with its time zone; what was touched then or later is left out.
            remove: Whether each thing is removed before its name is yielded.
        """

    def locate(self, key: str) -> str:
        """Return the full URI of the key, for people and logs."""
