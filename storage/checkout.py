"""From a manifest to verified local files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from schema.errors import CorruptObject, ObjectNotFound
from storage import layout
from storage.identity import ID_LENGTH, file_sha256
from storage.leftovers import TEMPORARY, remove_stale, temporary_name
from storage.manifest import FileEntry, Manifest
from storage.protocol import Store


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
    into the cache and checked against its SHA-256; a copy that is there already and right is used again. A
    folder holds the manifest's files and no others.

    Args:
        store: Where the artifact is.
        manifest: The artifact's manifest.
        name: A file's name, or that of a folder of files, in `storage.layout`.
        cache: Folder for copies; may be shared by processes.

    Raises:
        ObjectNotFound: If the manifest has no such name, or the store lacks the object.
        CorruptObject: If the object is not what the manifest says.
        OutOfSpace: If the cache's disk is full.
    """
    named = _by_name(manifest)
    if name in named:
        return _own_file(store, manifest, named[name]) or _cached(store, manifest, named[name], cache)
    inside = {other: file for other, file in named.items() if other.startswith(f"{name}/")}
    if not inside:
        raise _unknown(manifest, name)
    own_folder = _own_folder(store, manifest, name, inside)
    if own_folder is not None:
        return own_folder
    for file in inside.values():
        _cached(store, manifest, file, cache)
    return _cache_folder(manifest, cache) / name


def _by_name(manifest: Manifest) -> dict[str, FileEntry]:
    return {layout.logical_name(file.path): file for file in manifest.files}


def _unknown(manifest: Manifest, name: str) -> ObjectNotFound:
    names = ", ".join(sorted(_by_name(manifest))) or "no files"
    return ObjectNotFound(f"{manifest.kind}/{manifest.id} has no {name!r}; it has {names}.")


def _key(manifest: Manifest, file: FileEntry) -> str:
    return f"{layout.artifact_prefix(manifest.kind, manifest.id)}/{file.path}"


def _own_file(store: Store, manifest: Manifest, file: FileEntry) -> Path | None:
    key = _key(manifest, file)
    path = store.local_path(key)
    if path is not None and path.stat().st_size != file.size_bytes:
        raise CorruptObject(
            f"{store.locate(key)} has {path.stat().st_size} bytes; its manifest says {file.size_bytes}. "
            "Delete the artifact's folder and make it again."
        )
    return path


def _own_folder(store: Store, manifest: Manifest, name: str, inside: Mapping[str, FileEntry]) -> Path | None:
    """Return the store's own folder if it holds exactly the files named, in the sizes named."""
    sizes = {PurePosixPath(other).relative_to(name): file.size_bytes for other, file in inside.items()}
    first, file = next(iter(inside.items()))
    path = store.local_path(_key(manifest, file))
    if path is None:
        return None
    folder = path.parents[len(PurePosixPath(first).relative_to(name).parts) - 1]
    found = {
        PurePosixPath(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()
    }
    return folder if found == sizes else None


def _cache_folder(manifest: Manifest, cache: Path) -> Path:
    digest = hashlib.sha256(manifest.to_bytes()).hexdigest()[:ID_LENGTH]
    return cache / manifest.kind / manifest.id / digest


def _cached(store: Store, manifest: Manifest, file: FileEntry, cache: Path) -> Path:
    target = _cache_folder(manifest, cache) / layout.logical_name(file.path)
    if target.is_file() and file_sha256(target) == file.sha256:
        return target
    remove_stale(cache / TEMPORARY)
    partial = cache / TEMPORARY / temporary_name()
    try:
        store.fetch(_key(manifest, file), partial)
        check_digest(store.locate(_key(manifest, file)), partial, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


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
