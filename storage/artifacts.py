"""The one way in which artifacts are written and read: files first, the manifest last."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from schema.errors import CorruptObject, ObjectExists, ObjectNotFound
from storage import layout
from storage.champion import read_champion, replace_champion
from storage.checkout import checkout, entry
from storage.file_sets import add_files
from storage.manifest import MANIFEST_LIMIT_BYTES, FileEntry, JsonScalar, Manifest, parse_manifest
from storage.protocol import Store

__all__ = [
    "add_files",
    "checkout",
    "entry",
    "find",
    "publish",
    "read_champion",
    "replace_champion",
    "seal",
]


def find(store: Store, kind: str, artifact_id: str) -> Manifest | None:
    """Return the manifest of an artifact, or None if it does not exist: no manifest, no artifact.

    Raises:
        CorruptObject: If its manifest cannot be read or is another artifact's.
    """
    key = layout.manifest_key(kind, artifact_id)
    try:
        data = store.read(key, MANIFEST_LIMIT_BYTES)
    except ObjectNotFound:
        return None
    manifest = parse_manifest(data, store.locate(key))
    if (manifest.kind, manifest.id) != (kind, artifact_id):
        raise CorruptObject(
            f"{store.locate(key)} is the manifest of {manifest.kind}/{manifest.id}; expected {kind}/{artifact_id}."
        )
    return manifest


def seal(
    store: Store,
    kind: str,
    artifact_id: str,
    *,
    inputs: Mapping[str, str],
    parameters: Mapping[str, object],
    code_version: str,
    files: Iterable[FileEntry],
    counts: Mapping[str, JsonScalar],
) -> Manifest:
    """Create the manifest, which makes the artifact exist; if another writer did so first, return that one.

    Raises:
        ObjectNotFound: If a file is missing.
        CorruptObject: If a file has another size, or the manifest would be one that no reader accepts.
    """
    ordered = tuple(sorted(files, key=lambda file: file.path))
    made = Manifest(kind, artifact_id, inputs, parameters, code_version, ordered, counts)
    data = made.to_bytes()
    manifest = parse_manifest(data, f"the manifest of {kind}/{artifact_id}")
    require_files(store, manifest)
    try:
        store.create(layout.manifest_key(kind, artifact_id), data)
    except ObjectExists:
        first = find(store, kind, artifact_id)
        if first is None:
            raise
        return first
    return manifest


def publish(
    store: Store,
    kind: str,
    artifact_id: str,
    folder: Path,
    *,
    inputs: Mapping[str, str],
    parameters: Mapping[str, object],
    code_version: str,
    counts: Mapping[str, JsonScalar],
) -> Manifest:
    """Store a folder as an artifact; one that exists already is returned as it is.

    Raises:
        InvalidInput: If the folder has no files.
        InvalidKey: If a file's name cannot be a key.
    """
    existing = find(store, kind, artifact_id)
    if existing is not None:
        return existing
    return seal(
        store,
        kind,
        artifact_id,
        inputs=inputs,
        parameters=parameters,
        code_version=code_version,
        files=add_files(store, kind, artifact_id, folder),
        counts=counts,
    )


def require_files(store: Store, manifest: Manifest) -> None:
    """Check that the store has every file of a manifest that is about to be created.

    Raises:
        ObjectNotFound: If a file is missing.
        CorruptObject: If a file has another size.
    """
    for file in manifest.files:
        _check_size(store, f"{layout.artifact_prefix(manifest.kind, manifest.id)}/{file.path}", file)


def _check_size(store: Store, key: str, file: FileEntry) -> None:
    info = store.head(key)
    if info is None:
        raise ObjectNotFound(f"{store.locate(key)} does not exist; add it before its artifact is sealed.")
    if info.size_bytes != file.size_bytes:
        raise CorruptObject(f"{store.locate(key)} has {info.size_bytes} bytes; expected {file.size_bytes}.")
