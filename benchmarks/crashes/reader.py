"""A reader who looks at a store all the time, as someone would who uses it while trainings die."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from schema.errors import CorruptObject, ObjectNotFound, RecommenderError, Unavailable
from storage import layout
from storage.files import COPY_BYTES
from storage.inventory import Artifact, look_up
from storage.protocol import ObjectInfo, Store
from storage.verify import verify_artifact

LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Sight:
    """An object as it was seen: its version, its length in bytes, and its SHA-256."""

    version: str
    size_bytes: int
    sha256: str


@dataclass
class Reader:
    """What was seen of a store, and what no reader may ever see.

    Attributes:
        store: What is looked at; the reader opened it by itself.
        violations: What was wrong, each thing once, in the order in which it was found.
        n_looks: How often all of the store was looked at.
        n_unanswered: How often the store did not answer, which is no violation: servers are killed here.
    """

    store: Store
    violations: list[str] = field(default_factory=list)
    n_looks: int = 0
    n_unanswered: int = 0
    _seen: dict[str, Sight] = field(default_factory=dict)

    @property
    def n_manifests(self) -> int:
        """How many manifests were seen."""
        return sum(key.endswith(f"/{layout.MANIFEST}") for key in self._seen)

    def look(self) -> None:
        """Look at all that the store lists, and closer at what is new or has another version.

        Raises:
            Unavailable: If the store does not answer; what was seen until then is remembered.
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
        """Look at all of the store, and once more at the content of everything that was ever seen."""
        self.look()
        for key, before in self._seen.items():
            self._compare(key, before)
        for kind, artifact_id in _places(self._seen, layout.MANIFEST):
            self._verify(kind, artifact_id)

    def run(self, stop: threading.Event) -> None:
        """Look until told to stop, and then at everything once more."""
        while not stop.wait(LOOK_SECONDS):
            self._tolerate_silence()
        self.look_again()

    def _tolerate_silence(self) -> None:
        try:
            self.look()
        except Unavailable:
            self.n_unanswered += 1
        except RecommenderError as error:
            self._report(f"a reader is told: {error}")

    def _look_at(self, info: ObjectInfo) -> None:
        before = self._seen.get(info.key)
        if before is None:
            self._meet(info)
        elif before.version != info.version:  # renewed, perhaps: its content must be the same
            self._compare(info.key, before)

    def _meet(self, info: ObjectInfo) -> None:
        place = layout.place_of(info.key)
        if place and place.path == layout.MANIFEST:
            self._verify(place.kind, place.id)
        found = digest(self.store, info)
        if found is None:
            self._report(f"{info.key} is listed and cannot be read")
        elif found.size_bytes != info.size_bytes:
            self._report(f"{info.key} is listed with {info.size_bytes} bytes and has {found.size_bytes}")
        else:
            self._seen[info.key] = found

    def _compare(self, key: str, before: Sight) -> None:
        info = self.store.head(key)
        found = digest(self.store, info) if info else None
        if found is None:
            self._report(f"{key} was there and is gone")
        elif found.sha256 != before.sha256 and key != layout.CHAMPION:
            self._report(f"{key} changed from SHA-256 {before.sha256} to {found.sha256}")
        else:
            self._seen[key] = found

    def _verify(self, kind: str, artifact_id: str) -> None:
        """Check a manifest that is in sight, every file that it names, and that its inputs are there."""
        found = look_up(self.store, kind, artifact_id)
        if found is None:
            self._report(f"{kind}/{artifact_id} has a manifest in the listing that is not found by its id")
            return
        for problem in verify_artifact(self.store, Artifact(kind, artifact_id, found)):
            self._report(f"{problem.where}: {problem.what}")

    def _look_for(self, kind: str, artifact_id: str) -> None:
        """See that an artifact without a manifest does not exist to a reader, unless it was made this moment."""
        found = look_up(self.store, kind, artifact_id)
        if found is None:
            return
        manifest = self.store.head(layout.manifest_key(kind, artifact_id))
        if manifest is None:
            what = found if isinstance(found, CorruptObject) else "found by its id"
            self._report(f"{kind}/{artifact_id} has no manifest and exists all the same: {what}")
        else:
            self._look_at(manifest)

    def _report(self, violation: str) -> None:
        if violation not in self.violations:
            self.violations.append(violation)


def digest(store: Store, info: ObjectInfo) -> Sight | None:
    """Return what an object holds, read to its end; None if it is gone."""
    read, size_bytes = hashlib.sha256(), 0
    try:
        with store.open(info.key) as stream:
            while block := stream.read(COPY_BYTES):
                read.update(block)
                size_bytes += len(block)
    except ObjectNotFound:
        return None
    return Sight(info.version, size_bytes, read.hexdigest())


@contextmanager
def watching(store: Store) -> Iterator[Reader]:
    """Yield a reader who looks at the store in a thread of its own, and in the end at all of it once more."""
    reader, stop = Reader(store), threading.Event()
    with ThreadPoolExecutor(1, "reader") as pool:
        looking = pool.submit(reader.run, stop)
        try:
            yield reader
        finally:
            stop.set()
        looking.result()


def _places(keys: "dict[str, ObjectInfo] | dict[str, Sight]", path: str | None = None) -> set[tuple[str, str]]:
    """Return the artifacts, as kind and id, that have an object, or the object of that path, among the keys."""
    places = [layout.place_of(key) for key in keys]
    return {(place.kind, place.id) for place in places if place and path in (None, place.path)}
