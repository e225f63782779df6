"""A reader who looks at a store again and again while trainings are killed, and the comparison of two stores."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from schema.errors import CorruptObject, ObjectNotFound, RecommenderError, Unavailable
from storage import layout
from storage.inventory import Artifact, look_up
from storage.protocol import ObjectInfo, Store
from storage.verify import verify_artifact

LOOK_SECONDS = 0.2
BLOCK_BYTES = 1 << 22

Digests = Mapping[str, str]


@dataclass(frozen=True)
class Sight:
    """A listed object: its version, its length in bytes, and its SHA-256."""

    version: str
    size_bytes: int
    sha256: str


@dataclass
class Reader:
    """Looks at a store and collects violations: states that no reader may ever see.

    Attributes:
        store: Opened by the reader for itself.
        violations: Each violation once, in the order in which they were found.
        n_looks: Number of complete looks at the store.
        n_unanswered: Number of looks that the store did not answer; no violation, because servers are killed here.
    """

    store: Store
    violations: list[str] = field(default_factory=list)
    n_looks: int = 0
    n_unanswered: int = 0
    _seen: dict[str, Sight] = field(default_factory=dict)

    @property
    def n_manifests(self) -> int:
        """Number of manifests that were seen."""
        return sum(key.endswith(f"/{layout.MANIFEST}") for key in self._seen)

    def look(self) -> None:
        """List the store, and read what is new or has another version.

        Raises:
            Unavailable: If the store does not answer; objects seen until then are remembered.
        """
        listed = {info.key: info for info in self.store.list("")}
        for key in self._seen.keys() - listed.keys():
            self._report(f"{key} was there and is in no listing now ({self.store.head(key)} by its key)")
        for info in listed.values():
            self._look_at(info)
        for kind, artifact_id in _places(listed) - _places(self._seen, layout.MANIFEST):
            self._look_for(kind, artifact_id)
        self.n_looks += 1

    def look_again(self) -> None:
        """List the store, and read everything again that was ever seen."""
        self.look()
        for key, before in self._seen.items():
            self._compare(key, before)
        for kind, artifact_id in _places(self._seen, layout.MANIFEST):
            self._verify(kind, artifact_id)

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set, and then read everything again."""
        while not stop.wait(LOOK_SECONDS):
            try:
                self.look()
            except Unavailable:
                self.n_unanswered += 1
            except RecommenderError as error:
                self._report(f"a reader gets an error: {error}")
        self.look_again()

    def _look_at(self, info: ObjectInfo) -> None:
        if before := self._seen.get(info.key):
            if before.version != info.version:  # perhaps refreshed: the content must be the same
                self._compare(info.key, before)
            return
        place = layout.place_of(info.key)
        if place and place.path == layout.MANIFEST:
            self._verify(place.kind, place.id)
        found = self._read(info)
        if found is None:
            self._report(f"{info.key} is listed and cannot be read")
        elif found.size_bytes != info.size_bytes:
            self._report(f"{info.key} is listed with {info.size_bytes} bytes and has {found.size_bytes}")
        else:
            self._seen[info.key] = found

    def _compare(self, key: str, before: Sight) -> None:
        info = self.store.head(key)
        found = self._read(info) if info else None
        if found is None:
            self._report(f"{key} was there and is gone")
        elif found.sha256 != before.sha256 and key != layout.CHAMPION:
            self._report(f"{key} changed from SHA-256 {before.sha256} to {found.sha256}")
        else:
            self._seen[key] = found

    def _verify(self, kind: str, artifact_id: str) -> None:
        """Check a listed manifest, every file that it names, and that its inputs exist."""
        found = look_up(self.store, kind, artifact_id)
        if found is None:
            self._report(f"{kind}/{artifact_id} has a manifest in the listing that is not found by its id")
            return
        for problem in verify_artifact(self.store, Artifact(kind, artifact_id, found)):
            self._report(f"{problem.where}: {problem.what}")

    def _look_for(self, kind: str, artifact_id: str) -> None:
        """Check that an artifact without a manifest is not found, unless it was published this moment."""
        found = look_up(self.store, kind, artifact_id)
        if found is None:
            return
        manifest = self.store.head(layout.manifest_key(kind, artifact_id))
        if manifest is None:
            what = found if isinstance(found, CorruptObject) else "found by its id"
            self._report(f"{kind}/{artifact_id} has no manifest and exists all the same: {what}")
        else:
            self._look_at(manifest)

    def _read(self, info: ObjectInfo) -> Sight | None:
        """Read an object to its end; None if it is gone."""
        try:
            with self.store.open(info.key) as stream:
                content = stream.read()
        except ObjectNotFound:
            return None
        return Sight(info.version, len(content), hashlib.sha256(content).hexdigest())

    def _report(self, violation: str) -> None:
        if violation not in self.violations:
            self.violations.append(violation)


@contextmanager
def watching(store: Store) -> Iterator[Reader]:
    """Yield a reader that looks at the store in a thread, and in the end reads all of it again."""
    reader, stop = Reader(store), threading.Event()
    with ThreadPoolExecutor(1, "reader") as pool:
        looking = pool.submit(reader.run, stop)
        try:
            yield reader
        finally:
            stop.set()
        looking.result()


def _places(keys: "dict[str, ObjectInfo] | dict[str, Sight]", path: str | None = None) -> set[tuple[str, str]]:
    """Return the kind and id of each artifact that has an object, or the object of a path, among the keys."""
    places = [layout.place_of(key) for key in keys]
    return {(place.kind, place.id) for place in places if place and path in (None, place.path)}


def digests(store: Store) -> dict[str, str]:
    """Return the SHA-256 of every object that a store lists."""
    return {info.key: _digest(store, info.key) for info in store.list("")}


def _digest(store: Store, key: str) -> str:
    digest = hashlib.sha256()
    with store.open(key) as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def compare(found: Digests, expected: Digests) -> tuple[str, ...]:
    """Return the differences of a store from one whose trainings nobody disturbed.

    Args:
        found: SHA-256 of its objects by key.
        expected: Those of the other one. Objects that no manifest names may be there in addition: a killed writer's.

    Example:
        >>> compare({"a/x": "1", "b/y": "3"}, {"a/x": "1", "b/y": "2", "c": "4"})
        ('c is missing', 'b/y differs')
    """
    missing = [f"{key} is missing" for key in sorted(expected.keys() - found.keys())]
    other = [f"{key} differs" for key in sorted(expected) if found.get(key, expected[key]) != expected[key]]
    more = [key for key in sorted(found.keys() - expected.keys()) if key.endswith(f"/{layout.MANIFEST}")]
    return (*missing, *other, *(f"{key} is an artifact of its own" for key in more))
