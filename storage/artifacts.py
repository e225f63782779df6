"""Publish artifacts, files first and the manifest last, and check them out with every byte verified."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

from schema.digests import file_sha256, stream_sha256
from schema.errors import CorruptObject, InvalidInput, ObjectExists, ObjectNotFound
from storage import canonical, layout
from storage.canonical import short_digest
from storage.files import TEMPORARY, explained, remove_stale, whole_file
from storage.manifest import MANIFEST_LIMIT_BYTES, FileEntry, JsonScalar, Manifest, parse_manifest
from storage.protocol import Store


class Origin(TypedDict):
    """The part of a manifest that its maker says of it; see `Manifest`."""

    inputs: Mapping[str, str]
    parameters: Mapping[str, object]
    code_version: str
    counts: Mapping[str, JsonScalar]


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
        raise CorruptObject(f"{store.locate(key)} is the manifest of {manifest.name}; expected {kind}/{artifact_id}.")
    return manifest


def publish(
    store: Store,
    kind: str,
    artifact_id: str,
    folder: Path,
    digests: Mapping[str, str] | None = None,
    **origin: Unpack[Origin],
) -> Manifest:
    """Store a folder as an artifact; one that exists already is returned as it is.

    Args:
        store: Where it goes.
        kind: Kind of artifact.
        artifact_id: Its id.
        folder: The folder.
        digests: File name -> SHA-256 of those files whose digests are known, so that they are not read for them.
        **origin: What the manifest says besides.

    Raises:
        InvalidInput: If the folder has no files.
        InvalidKey: If a file's name cannot be a key.
    """
    found = find(store, kind, artifact_id)
    return found or seal(store, kind, artifact_id, add_files(store, kind, artifact_id, folder, digests), **origin)


def add_files(
    store: Store, kind: str, artifact_id: str, folder: Path, digests: Mapping[str, str] | None = None
) -> tuple[FileEntry, ...]:
    """Put every file below a folder into the store, under the artifact's prefix.

    Files that exist already with the same bytes are kept, so that a second try resumes the first. If a concurrent or
    dead writer put other bytes under one of the names, the whole set goes into a folder named by its digest, and the
    entries' paths say so: a manifest names only its own writer's bytes. On a backend where two writers may both win a
    race, the set goes there at once.

    Returns:
        One entry per file, ordered by path.

    Raises:
        InvalidInput: If the folder has no files.
        InvalidKey: If a file's name cannot be a key.
        CorruptObject: If even the folder of the set's digest holds other bytes.
    """
    entries = _describe(folder, digests or {})
    prefix = layout.artifact_prefix(kind, artifact_id)
    has_one_winner = store.race_flaw() is None
    if has_one_winner and all(put_file(store, f"{prefix}/{file.path}", folder / file.path, file) for file in entries):
        return entries
    digest = short_digest(canonical.encode([[file.path, file.size_bytes, file.sha256] for file in entries]))
    moved = tuple(replace(file, path=layout.file_set_path(digest, file.path)) for file in entries)
    for file, target in zip(entries, moved, strict=True):
        key = f"{prefix}/{target.path}"
        if not put_file(store, key, folder / file.path, file):
            raise CorruptObject(f"{store.locate(key)} does not hold the bytes of its digest; delete its folder.")
    return moved


def put_file(store: Store, key: str, path: Path, file: FileEntry) -> bool:
    """Store a file unless the key is taken, and return whether the key now holds the entry's bytes.

    Another writer's bytes are left as they are.
    """
    while True:
        with suppress(ObjectExists):
            store.create(key, path)
            return True
        with suppress(ObjectNotFound):  # removed by garbage collection in the meantime
            return adopt_file(store, key, file)


def adopt_file(store: Store, key: str, file: FileEntry) -> bool:
    """Return whether the key holds the entry's bytes; if so they count from now on as just written.

    Raises:
        ObjectNotFound: If the key is free.
    """
    info = store.head(key)
    if info is not None and info.size_bytes != file.size_bytes:
        return False
    with store.open(key) as stream:
        is_equal = stream_sha256(stream) == file.sha256
    if is_equal:
        store.renew(key)
    return is_equal


def seal(store: Store, kind: str, artifact_id: str, files: Iterable[FileEntry], **origin: Unpack[Origin]) -> Manifest:
    """Create the manifest, which makes the artifact exist; if another writer did so first, return that one.

    Raises:
        ObjectNotFound: If a file is missing.
        CorruptObject: If a file has another size, or the manifest would be one that no reader accepts.
    """
    ordered = tuple(sorted(files, key=lambda file: file.path))
    data = Manifest(kind, artifact_id, files=ordered, **origin).to_bytes()
    manifest = parse_manifest(data, f"the manifest of {kind}/{artifact_id}")
    require_files(store, manifest)
    try:
        store.create(manifest.key, data)
    except ObjectExists:
        first = find(store, kind, artifact_id)
        if first is None:
            raise
        return first
    return manifest


def require_files(store: Store, manifest: Manifest) -> None:
    """Check that the store has every file of a manifest that is about to be created.

    Raises:
        ObjectNotFound: If a file is missing.
        CorruptObject: If a file has another size.
    """
    for file in manifest.files:
        key = manifest.key_of(file)
        info = store.head(key)
        if info is None:
            raise ObjectNotFound(f"{store.locate(key)} does not exist; add it before its artifact is sealed.")
        if info.size_bytes != file.size_bytes:
            raise CorruptObject(f"{store.locate(key)} has {info.size_bytes} bytes; expected {file.size_bytes}.")


def entry(manifest: Manifest, name: str) -> FileEntry:
    """Return the entry of a file by its name in `storage.layout`, whatever folder its set went to.

    Raises:
        ObjectNotFound: If the manifest has no such file; lists those it has.
    """
    named = _by_name(manifest)
    if name not in named:
        raise _unknown(manifest, name)
    return named[name]


def checkout(store: Store, manifest: Manifest, name: str, cache: Path) -> Path:
    """Return a local file, or for a name like 'als_model' a local folder, that holds what the manifest says.

    A local store hands out its own path after a look at the size; never write to it. Anything else is copied
    into the cache, which processes may share, and checked against its SHA-256; a copy that is there already and right
    is used again. A folder holds the manifest's files and no others.

    Raises:
        ObjectNotFound: If the manifest has no such name, or the store lacks the object.
        CorruptObject: If the object is not what the manifest says.
        OutOfSpace: If the cache's disk is full.
    """
    named = _by_name(manifest)
    chosen = {other: file for other, file in named.items() if other == name or other.startswith(f"{name}/")}
    if not chosen:
        raise _unknown(manifest, name)
    if own := _own_path(store, manifest, name, chosen):
        return own
    with explained(cache):
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)  # for copies of what may be behind a password
    folder = cache / manifest.kind / manifest.id / short_digest(manifest.to_bytes())
    for other, file in chosen.items():
        _fetch(store, manifest.key_of(file), file, folder / other, cache / TEMPORARY)
    return folder / name


def check_digest(location: str, path: Path, file: FileEntry) -> None:
    """Check that a local file holds what a manifest says of the object at a location.

    Raises:
        CorruptObject: If its SHA-256 is another.
    """
    digest = file_sha256(path)
    if digest != file.sha256:
        raise CorruptObject(
            f"{location} has the SHA-256 {digest}; its manifest says {file.sha256}. "
            "Delete the artifact's folder and make it again."
        )


def _describe(folder: Path, digests: Mapping[str, str]) -> tuple[FileEntry, ...]:
    paths = _files_below(folder)
    if not paths:
        raise InvalidInput(f"{folder} has no files; an artifact needs at least one.")
    return tuple(
        FileEntry(name, path.stat().st_size, digests.get(name) or file_sha256(path))
        for name, path in sorted(paths.items())
    )


def _files_below(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def _by_name(manifest: Manifest) -> dict[str, FileEntry]:
    return {layout.logical_name(file.path): file for file in manifest.files}


def _unknown(manifest: Manifest, name: str) -> ObjectNotFound:
    names = ", ".join(sorted(_by_name(manifest))) or "no files"
    return ObjectNotFound(f"{manifest.name} has no {name!r}; it has {names}.")


def _own_path(store: Store, manifest: Manifest, name: str, chosen: Mapping[str, FileEntry]) -> Path | None:
    """Return the store's own file, or its own folder if that holds the chosen files and no others."""
    owns = set()
    for other, file in chosen.items():
        key = manifest.key_of(file)
        path = store.local_path(key)
        if path is None:
            return None
        if path.stat().st_size != file.size_bytes:
            raise CorruptObject(
                f"{store.locate(key)} has {path.stat().st_size} bytes; its manifest says {file.size_bytes}. "
                "Delete the artifact's folder and make it again."
            )
        owns.add((path, *path.parents)[other.removeprefix(name).count("/")])
    own = owns.pop()
    return own if not owns and (own.is_file() or len(_files_below(own)) == len(chosen)) else None


def _fetch(store: Store, key: str, file: FileEntry, target: Path, staging: Path) -> None:
    """Copy an object to a file, unless that holds it already."""
    if not target.is_file() or file_sha256(target) != file.sha256:
        remove_stale(staging)
        with whole_file(target, needed_bytes=file.size_bytes, staging=staging) as partial:
            store.fetch(key, partial)
            check_digest(store.locate(key), partial, file)
