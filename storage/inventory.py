"""Listing and finding artifacts: all of a kind, one by its id, its lineage and its newest report."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from schema.errors import CorruptObject, InvalidInput, InvalidKey, ObjectNotFound, RecommenderError
from storage import artifacts, layout
from storage.manifest import Manifest
from storage.protocol import Store

_MOST_NAMES = 10


@dataclass(frozen=True)
class Artifact:
    """The kind and id of an artifact, and its manifest, or why that cannot be read."""

    kind: str
    id: str
    manifest: Manifest | CorruptObject

    @property
    def name(self) -> str:
        """The kind and the id, as people write them."""
        return f"{self.kind}/{self.id}"

    def require_manifest(self) -> Manifest:
        """Return the manifest.

        Raises:
            CorruptObject: If it cannot be read.
        """
        if isinstance(self.manifest, CorruptObject):
            raise self.manifest
        return self.manifest


@dataclass(frozen=True)
class Ancestor:
    """An artifact among those that another was made from.

    Attributes:
        depth: Steps from the artifact whose lineage this is, which has depth 0.
        role: Its role among the inputs of the one that was made from it; '' at depth 0.
        kind: Its kind, or None if the role is none that `storage.layout` knows.
        id: Its id within its kind.
        manifest: Its manifest, why that cannot be read, or None if the artifact does not exist.
        is_repeated: True if it is listed further up already, with its own inputs.
    """

    depth: int
    role: str
    kind: str | None
    id: str
    manifest: Manifest | CorruptObject | None
    is_repeated: bool

    @property
    def name(self) -> str:
        """The kind and the id, as people write them."""
        return f"{self.kind or '?'}/{self.id}"

    @property
    def state(self) -> str:
        """'there', 'missing', 'broken', or 'unknown' for an unknown kind."""
        if self.kind is None:
            return "unknown"
        if self.manifest is None:
            return "missing"
        return "there" if isinstance(self.manifest, Manifest) else "broken"


def list_artifacts(store: Store, kind: str | None = None) -> Iterator[Artifact]:
    """Yield every artifact, or every one of a kind, by kind and id; a broken manifest hides no other.

    Raises:
        InvalidKey: If the kind is unknown.
    """
    if kind is not None:
        layout.artifact_prefix(kind, "any")  # refuses a kind that there is not
    for each in layout.KINDS if kind is None else (kind,):
        for artifact_id in _ids(store, each):
            if manifest := look_up(store, each, artifact_id):
                yield Artifact(each, artifact_id, manifest)


def look_up(store: Store, kind: str, artifact_id: str) -> Manifest | CorruptObject | None:
    """Return the manifest of an artifact, why it cannot be read, or None if the artifact does not exist."""
    try:
        with unreadable_is_corrupt(f"the manifest of {kind}/{artifact_id[:80]}"):
            return artifacts.find(store, kind, artifact_id)
    except CorruptObject as error:
        return error


@contextmanager
def unreadable_is_corrupt(what: str) -> Iterator[None]:
    """Turn an error of one object, of its name or its medium, into a CorruptObject.

    Errors that concern the whole store, such as a server that does not answer, stay what they are.
    """
    try:
        yield
    except InvalidKey as error:
        raise CorruptObject(f"{what} cannot be read: {error}") from error
    except OSError as error:
        if isinstance(error, RecommenderError):
            raise
        raise CorruptObject(f"{what} cannot be read: {error.strerror or error}.") from error


def find_artifact(store: Store, name: str) -> Artifact:
    """Return the artifact of an id, or of the only one that begins like that, with or without 'kind/' before it.

    Raises:
        ObjectNotFound: If there is none; lists what there is.
        InvalidInput: If there are several; lists them.
        InvalidKey: If the kind is unknown or the id is none.
    """
    named = name.strip("/")
    kind, _, prefix = named.rpartition("/")
    if not prefix:
        raise InvalidInput(f"artifact {name!r} has no id; expected an id or its first digits, such as 'models/1f3a'.")
    if kind:
        layout.artifact_prefix(kind, prefix)
    found = [(each, one) for each in layout.KINDS if kind in ("", each) for one in _ids(store, each, prefix)]
    chosen = [place for place in found if place[1] == prefix] or found
    if len(chosen) > 1:
        raise InvalidInput(
            f"{name!r} is the beginning of {_some(chosen)}. Give more digits, or the kind before them as in "
            f"'{chosen[0][0]}/{prefix}'."
        )
    manifest = look_up(store, *chosen[0]) if chosen else None
    if manifest is None:
        raise _unknown(store, name)
    return Artifact(*chosen[0], manifest)


def find_report(store: Store, manifest: Manifest) -> Manifest | None:
    """Return the newest report on a model or an evaluation, or None; a broken manifest hides no other."""
    place = (manifest.kind, manifest.id)
    reports = [
        one.manifest
        for one in list_artifacts(store, layout.REPORTS)
        if isinstance(one.manifest, Manifest)
        and any((layout.INPUT_KINDS.get(role), each) == place for role, each in one.manifest.inputs.items())
    ]
    return max(reports, key=lambda report: str(store.written_at(report.key)), default=None)


def newest_bundle(store: Store, model_id: str) -> str | None:
    """Return the id of the bundle of a model that was published or renewed last, or None if it has none.

    Raises:
        InvalidKey: If the model's id is none.
    """
    places = (layout.place_of(info.key) for info in store.list(layout.bundle_prefix(model_id)))
    ids = [place.id for place in places if place and place.path == layout.MANIFEST]
    if len(ids) < 2:
        return ids[0] if ids else None
    return max(ids, key=lambda one: str(store.written_at(layout.manifest_key(layout.BUNDLES, one)) or ""))


def lineage(store: Store, manifest: Manifest) -> list[Ancestor]:
    """Return an artifact and all that it was made from, back to the raw file.

    The order is that of a tree's lines: each artifact before its inputs, those by their roles. An artifact that
    occurs several times is followed at its first occurrence.
    """
    known: dict[tuple[str | None, str], Manifest | CorruptObject | None] = {}
    to_do: list[tuple[int, str, str | None, str]] = [(0, "", manifest.kind, manifest.id)]
    lines = []
    while to_do:
        depth, role, kind, artifact_id = to_do.pop()
        is_repeated = (kind, artifact_id) in known
        if not is_repeated:
            known[kind, artifact_id] = look_up(store, kind, artifact_id) if kind else None
        found = known[kind, artifact_id]
        lines.append(Ancestor(depth, role, kind, artifact_id, found, is_repeated))
        if isinstance(found, Manifest) and not is_repeated:
            inputs = sorted(found.inputs.items(), reverse=True)
            to_do += [(depth + 1, role, layout.INPUT_KINDS.get(role), one) for role, one in inputs]
    return lines


def _ids(store: Store, kind: str, prefix: str = "") -> Iterator[str]:
    for info in store.list(f"{kind}/{prefix}"):
        place = layout.place_of(info.key)
        if place and place.path == layout.MANIFEST:
            yield place.id


def _unknown(store: Store, name: str) -> ObjectNotFound:
    there = [(kind, one) for kind in layout.KINDS for one in _ids(store, kind)]
    return ObjectNotFound(f"{store.uri} has no artifact {name!r}; it has {_some(there)}.")


def _some(places: list[tuple[str, str]]) -> str:
    shown = ", ".join(f"{kind}/{one}" for kind, one in places[:_MOST_NAMES])
    more = len(places) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown or "none"
