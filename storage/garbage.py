"""What no reader can reach: found by its age and by what the manifests do not name, and taken away if asked."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby

from schema.errors import CorruptObject, InvalidInput
from storage import layout
from storage.champion import read_history
from storage.inventory import list_artifacts, look_up
from storage.manifest import Manifest
from storage.protocol import ObjectInfo, Store

# Why an artifact stays even without a manifest, by kind and id; '' stands for every kind, or every id.
Kept = Mapping[tuple[str, str], str]

LEAST_AGE = timedelta(hours=1)
DEFAULT_AGE = timedelta(days=7)


@dataclass(frozen=True)
class Orphan:
    """An object that no manifest names.

    Attributes:
        key: Where it stands.
        size_bytes: Length of its content.
        written_at: When it was last written or renewed.
    """

    key: str
    size_bytes: int
    written_at: datetime


@dataclass
class Garbage:
    """What a collection found.

    Attributes:
        before: What was written or renewed then or later is young, and stays.
        orphans: Objects that no reader can reach, by key; removed, if that was asked for.
        leftovers: Names of what dead writers left outside all keys; removed, if that was asked for.
        n_young: Objects that no manifest names yet, too young to be taken for orphans.
        left_alone: What was not judged, and why.
    """

    before: datetime
    orphans: list[Orphan] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    n_young: int = 0
    left_alone: dict[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """Bytes of the orphans together."""
        return sum(orphan.size_bytes for orphan in self.orphans)


def collect_garbage(
    store: Store, older_than: timedelta = DEFAULT_AGE, *, remove: bool = False, now: datetime | None = None
) -> Garbage:
    """Find what no reader can reach and no writer has touched for long, and remove it if asked.

    An orphan stands in the folder of an artifact whose manifest does not name it, or that has no manifest. Left
    alone, and reported, are artifacts with a manifest that cannot be read, those without one that another
    artifact's manifest or the champion's pointer with its history names, and objects in no artifact's folder.

    Right before each removal the manifest and the object's age are looked at again. A writer that adopts an
    object renews it, and looks for it again before it seals; so if a removal comes between the two, the seal
    fails, and the writer begins anew. Only a writer that adopts and seals in the moment between a removal's last
    look and the removal itself would lose the object: choose an age that no run reaches.

    Args:
        store: Where to look.
        older_than: Least age of what is taken for garbage; 1 hour or more, for no clock is exact.
        remove: Whether garbage is removed.
        now: Moment from which ages are counted; by default this one.

    Raises:
        InvalidInput: If the age is below an hour, or before all time.
    """
    before = _before(older_than, now)
    garbage = Garbage(before)
    kept = _named_elsewhere(store)
    for place, infos in groupby(store.list(""), lambda info: _folder_of(info.key)):
        if isinstance(place, str):
            if place != layout.CHAMPION:
                garbage.left_alone[place] = "it belongs to no kind of artifact"
        else:
            _Folder(store, *place).judge(list(infos), garbage, kept, remove=remove)
    garbage.leftovers += store.sweep(before, remove=remove)
    return garbage


class _Folder:
    """The folder of one artifact, complete or not."""

    def __init__(self, store: Store, kind: str, artifact_id: str) -> None:
        self._store, self._kind, self._id = store, kind, artifact_id
        self._prefix = layout.artifact_prefix(kind, artifact_id)
        self._manifest_key = layout.manifest_key(kind, artifact_id)

    def judge(self, infos: Iterable[ObjectInfo], garbage: Garbage, kept: Kept, *, remove: bool) -> None:
        """Add what is in the folder to what was found, and remove its orphans if asked."""
        sealed = self._store.head(self._manifest_key)
        manifest = look_up(self._store, self._kind, self._id)
        if isinstance(manifest, CorruptObject):
            garbage.left_alone[self._prefix] = f"its manifest cannot be read: {manifest}"
        elif manifest is None and (reason := self._why_kept(kept)):
            garbage.left_alone[self._prefix] = f"it has no manifest, but {reason}"
        else:
            self._take(self._unnamed(infos, manifest), garbage, sealed, remove=remove)

    def _why_kept(self, kept: Kept) -> str | None:
        places = ((self._kind, self._id), (self._kind, ""), ("", self._id))
        return next((kept[place] for place in places if place in kept), None)

    def _unnamed(self, infos: Iterable[ObjectInfo], manifest: Manifest | None) -> Iterator[ObjectInfo]:
        named = {f"{self._prefix}/{file.path}" for file in manifest.files} if manifest else set()
        return (info for info in infos if info.key not in named and info.key != self._manifest_key)

    def _take(
        self, unnamed: Iterator[ObjectInfo], garbage: Garbage, sealed: ObjectInfo | None, *, remove: bool
    ) -> None:
        for info in unnamed:
            if remove and self._store.head(self._manifest_key) != sealed:
                garbage.left_alone[self._prefix] = "its manifest was written at the same time; collect again"
                return
            written_at = self._store.written_at(info.key)
            if written_at is None:
                continue
            if written_at >= garbage.before:
                garbage.n_young += 1
                continue
            if remove:
                self._store.delete(info.key)
            garbage.orphans.append(Orphan(info.key, info.size_bytes, written_at))


def _before(older_than: timedelta, now: datetime | None) -> datetime:
    if older_than < LEAST_AGE:
        raise InvalidInput(f"the age is {older_than}; expected {LEAST_AGE} or more: a run may be writing right now.")
    try:
        return (now or datetime.now(UTC)) - older_than
    except OverflowError as error:
        raise InvalidInput(f"the age of {older_than.days} days is before all time; expected less.") from error


def _folder_of(key: str) -> tuple[str, str] | str:
    """Return kind and id, or what to call that which belongs to no artifact."""
    place = layout.place_of(key)
    if place:
        return place.kind, place.id
    top = key.partition("/")[0]
    return key if top in layout.KINDS else top


def _named_elsewhere(store: Store) -> Kept:
    """Return what other artifacts or the pointer name."""
    kept: dict[tuple[str, str], str] = {}
    for artifact in list_artifacts(store):
        if isinstance(artifact.manifest, Manifest):
            for role, one in artifact.manifest.inputs.items():
                kept[layout.INPUT_KINDS.get(role, ""), one] = f"{artifact.name} was made from it"
    kept.update(_named_by_pointer(store))
    return kept


def _named_by_pointer(store: Store) -> Kept:
    try:
        history, _ = read_history(store)
    except CorruptObject as error:
        why = f"the pointer to the champion may name it: {error}"
        return {(layout.MODELS, ""): why, (layout.PROMOTIONS, ""): why}
    kept = {(layout.MODELS, entry.model_id): "it was the champion" for entry in history}
    kept |= {(layout.MODELS, entry.model_id): "it is the champion" for entry in history[:1]}
    promotions = [entry.promotion for entry in history if entry.promotion]
    return kept | {(layout.PROMOTIONS, one): "the history of the champions names it" for one in promotions}
