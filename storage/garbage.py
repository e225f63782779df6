"""Garbage collection: find, and remove if asked, old objects that no manifest names."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby

from schema.errors import CorruptObject, InvalidInput
from storage import layout
from storage.champion import read_history
from storage.inventory import list_artifacts, look_up
from storage.manifest import Manifest
from storage.protocol import ObjectInfo, Store

# The reason to keep an artifact even without a manifest, by kind and id; '' means every kind, or every id.
Kept = dict[tuple[str, str], str]

LEAST_AGE = timedelta(hours=1)
DEFAULT_AGE = timedelta(days=7)


@dataclass(frozen=True)
class Orphan:
    """An object that no manifest names, and when it was last written or renewed."""

    key: str
    size_bytes: int
    written_at: datetime


@dataclass
class Garbage:
    """The findings of a collection.

    Attributes:
        before: Objects written or renewed then or later are young, and stay.
        orphans: Objects that no reader can reach, by key; removed, if that was asked for.
        leftovers: Names of things that dead writers left outside all keys; removed, if that was asked for.
        n_young: Objects that no manifest names yet, too young to be taken for orphans.
        left_alone: Names of what was not judged, with the reason.
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
    """Find objects that no reader can reach and no writer has touched for long, and remove them if asked.

    An orphan is in the folder of an artifact whose manifest does not name it, or that has no manifest. Left
    alone, and reported, are artifacts with a manifest that cannot be read, those without one that another
    artifact's manifest or the champion's pointer with its history names, and objects in no artifact's folder.

    Right before each removal the manifest and the object's age are looked at again. A writer that adopts an
    object renews it, and looks for it again before it seals; so if a removal comes between the two, the seal
    fails, and the writer starts again. Only a writer that adopts and seals in the moment between a removal's last
    look and the removal itself would lose the object: choose an age that no run reaches.

    Args:
        store: Where to look.
        older_than: Least age of what is taken for garbage; 1 hour or more, for no clock is exact.
        remove: Remove the garbage.
        now: Moment from which ages are counted; by default this one.

    Raises:
        InvalidInput: If the age is below an hour, or before all time.
    """
    before = _before(older_than, now)
    garbage = Garbage(before)
    kept = _named_by_artifacts(store) | _named_by_pointer(store)
    for place, infos in groupby(store.list(""), lambda info: _folder_of(info.key)):
        if isinstance(place, str):
            if place not in (layout.CHAMPION, *layout.KEPT):
                garbage.left_alone[place] = "it belongs to no kind of artifact"
        else:
            _judge_folder(store, place, list(infos), garbage, kept, remove=remove)
    garbage.leftovers += store.sweep(before, remove=remove)
    return garbage


def _judge_folder(
    store: Store, place: tuple[str, str], infos: Iterable[ObjectInfo], garbage: Garbage, kept: Kept, *, remove: bool
) -> None:
    """Add what is in the folder of one artifact to what was found, and remove its orphans if asked."""
    kind, artifact_id = place
    prefix, manifest_key = layout.artifact_prefix(kind, artifact_id), layout.manifest_key(kind, artifact_id)
    sealed = store.head(manifest_key)
    manifest = look_up(store, kind, artifact_id)
    if isinstance(manifest, CorruptObject):
        garbage.left_alone[prefix] = f"its manifest cannot be read: {manifest}"
        return
    reasons = [kept[place] for place in ((kind, artifact_id), (kind, ""), ("", artifact_id)) if place in kept]
    if manifest is None and reasons:
        garbage.left_alone[prefix] = f"it has no manifest, but {reasons[0]}"
        return
    named = {manifest_key, *(manifest.key_of(file) for file in manifest.files)} if manifest else {manifest_key}
    for info in infos:
        if info.key in named:
            continue
        if remove and store.head(manifest_key) != sealed:
            garbage.left_alone[prefix] = "its manifest was written at the same time; collect again"
            return
        written_at = store.written_at(info.key)
        if written_at is not None and written_at >= garbage.before:
            garbage.n_young += 1
        elif written_at is not None:
            if remove:
                store.delete(info.key)
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


def _named_by_artifacts(store: Store) -> Kept:
    return {
        (layout.INPUT_KINDS.get(role, ""), one): f"{artifact.name} was made from it"
        for artifact in list_artifacts(store)
        if isinstance(artifact.manifest, Manifest)
        for role, one in artifact.manifest.inputs.items()
    }


def _named_by_pointer(store: Store) -> Kept:
    try:
        history, _ = read_history(store)
    except CorruptObject as error:
        why = f"the pointer to the champion may name it: {error}"
        return {(layout.MODELS, ""): why, (layout.PROMOTIONS, ""): why}
    kept = {(layout.MODELS, entry.model_id): "it was the champion" for entry in history}
    kept |= {(layout.MODELS, entry.model_id): "it is the champion" for entry in history[:1]}
    promotions = [one for entry in history for one in (entry.promotion, entry.best) if one]
    return kept | {(layout.PROMOTIONS, one): "the history of the champions names it" for one in promotions}
