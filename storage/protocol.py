"""What every store promises: a handful of verbs, each with its guarantee."""

from collections.abc import Iterator
from dataclasses import dataclass
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
            writes of equal bytes may share one.
    """

    key: str
    size_bytes: int
    version: str


class Store(Protocol):
    """Objects under keys, seen whole or not at all.

    No reader, in this process or another, ever observes a partially written object, and a writer that is
    killed at any byte leaves nothing that `head`, `read` or `list` would show. Every verb that takes a key
    raises InvalidKey for one that `storage.keys.check_key` refuses. A key is an object or a folder of others,
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

    def locate(self, key: str) -> str:
        """Return the full URI of the key, for people and logs."""
