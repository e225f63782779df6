"""Copy an artifact, with all that it was made from, to another store: verified, and with the same manifest."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from schema.errors import CorruptObject, ObjectExists, ObjectNotFound
from storage import artifacts, layout
from storage.artifacts import adopt_file, check_digest, put_file
from storage.files import temporary_path
from storage.inventory import Artifact, lineage
from storage.manifest import MANIFEST_LIMIT_BYTES, FileEntry, Manifest, parse_manifest
from storage.protocol import Store
from storage.verify import Advance, ignore


@dataclass(frozen=True)
class Copied:
    """An artifact that the target now has; `is_new` if it was copied, and was not there already."""

    manifest: Manifest
    is_new: bool


def artifacts_to_copy(source: Store, artifact: Artifact, *, alone: bool = False) -> list[Manifest]:
    """Return an artifact and, unless alone, all that it was made from, each after what it was made from.

    Raises:
        CorruptObject: If one of them has a manifest that cannot be read, an input of no known kind, or itself
            among those that it was made from.
        ObjectNotFound: If one of them does not exist.
    """
    manifest = artifact.require_manifest()
    if alone:
        return [manifest]
    found: dict[str, Manifest] = {}
    for ancestor in lineage(source, manifest):
        if isinstance(ancestor.manifest, CorruptObject):
            raise ancestor.manifest
        if ancestor.manifest is None:
            role = ancestor.role[:80]
            if role not in layout.INPUT_KINDS:
                raise CorruptObject(
                    f"{artifact.name} goes back to {ancestor.name} as {role!r}, which is no kind that is known."
                )
            raise ObjectNotFound(
                f"{artifact.name} goes back to {ancestor.name} ({role}), which {source.uri} lacks; copy it alone."
            )
        found[ancestor.name] = ancestor.manifest
    return [found[name] for name in _oldest_first(found)]


def copy_artifacts(
    source: Store, target: Store, manifests: list[Manifest], scratch: Path, advance: Advance = ignore
) -> Iterator[Copied]:
    """Copy artifacts in the order given, and yield each as soon as the target has it.

    Of each artifact the files come first, each checked against the manifest's SHA-256 before it is stored, and
    the manifest last, byte for byte that of the source. An object that the target has already is kept if it is
    equal, so that an interrupted copy resumes. Nothing is copied if the target has one of the artifacts with
    another manifest.

    Args:
        source: Where they are.
        target: Where they go.
        manifests: The artifacts, each after its inputs.
        scratch: Folder for one file at a time, where the source's files are not local.
        advance: Called with a number of bytes as they are done; in sum, those that the manifests name.

    Raises:
        ObjectExists: If the target has another artifact, or other bytes, in the place of a copy.
        ObjectNotFound: If the source lacks a file.
        CorruptObject: If a file is not what its manifest says.
        OutOfSpace: If the target or the scratch folder is full.
    """
    plan = [(manifest, _manifest_bytes(source, manifest)) for manifest in manifests]
    is_there = [_has(target, *each) for each in plan]
    for (manifest, data), is_old in zip(plan, is_there, strict=True):
        if is_old:
            advance(manifest.size_bytes)
        else:
            for file in manifest.files:
                _copy_file(source, target, manifest, file, scratch)
                advance(file.size_bytes)
            _seal(target, manifest, data)
        yield Copied(manifest, not is_old)


def _oldest_first(found: dict[str, Manifest]) -> Iterator[str]:
    inputs = {
        name: [f"{layout.INPUT_KINDS[role]}/{one}" for role, one in sorted(manifest.inputs.items())]
        for name, manifest in found.items()
    }
    try:
        yield from TopologicalSorter(inputs).static_order()
    except CycleError as error:
        around = " from ".join(error.args[1])[:300]
        raise CorruptObject(f"the manifests say that an artifact was made from itself: {around}.") from error


def _manifest_bytes(source: Store, manifest: Manifest) -> bytes:
    data = source.read(manifest.key, MANIFEST_LIMIT_BYTES)
    if parse_manifest(data, source.locate(manifest.key)) != manifest:
        raise CorruptObject(f"{source.locate(manifest.key)} was replaced while it was read; a manifest never changes.")
    return data


def _has(target: Store, manifest: Manifest, data: bytes) -> bool:
    try:
        there = target.read(manifest.key, MANIFEST_LIMIT_BYTES)
    except ObjectNotFound:
        return False
    if there != data:
        raise ObjectExists(
            f"{target.locate(manifest.key)} is there already and differs: the same question, answered with other "
            "bytes. Keep that artifact, or delete its folder and copy again."
        )
    return True


def _copy_file(source: Store, target: Store, manifest: Manifest, file: FileEntry, scratch: Path) -> None:
    key = manifest.key_of(file)
    try:
        is_there = adopt_file(target, key, file)
    except ObjectNotFound:
        with _verified(source, key, file, scratch) as path:
            is_there = put_file(target, key, path, file)
    if not is_there:
        raise ObjectExists(
            f"{target.locate(key)} has other bytes than the {manifest.name} that is to be copied, left by a writer "
            "that never finished. Collect the target's garbage, or delete that file, and copy again."
        )


@contextmanager
def _verified(source: Store, key: str, file: FileEntry, scratch: Path) -> Iterator[Path]:
    """Yield a local file that holds what the manifest says."""
    info = source.head(key)
    if info is not None and info.size_bytes != file.size_bytes:
        raise CorruptObject(f"{source.locate(key)} has {info.size_bytes} bytes; its manifest says {file.size_bytes}.")
    own = source.local_path(key)
    with temporary_path(scratch) as partial:
        if own is None:
            source.fetch(key, partial)
        check_digest(source.locate(key), own or partial, file)
        yield own or partial


def _seal(target: Store, manifest: Manifest, data: bytes) -> None:
    artifacts.require_files(target, manifest)
    try:
        target.create(manifest.key, data)
    except ObjectExists:
        _has(target, manifest, data)
