"""The files of an artifact, put where no other writer's bytes can stand in for them."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from schema.errors import CorruptObject, InvalidInput, ObjectExists, ObjectNotFound
from storage import canonical, layout
from storage.identity import ID_LENGTH, file_sha256, stream_sha256
from storage.manifest import FileEntry
from storage.protocol import Store


def add_files(store: Store, kind: str, artifact_id: str, folder: Path) -> tuple[FileEntry, ...]:
    """Put every file below a folder into the store, under the artifact's prefix.

    What is there already with the same bytes is kept, so that a second try resumes the first. Where other
    bytes stand under one of the names, which a concurrent or dead writer put there, the whole set goes into a
    folder named by its digest, and the entries' paths say so: a manifest names only its own writer's bytes.
    On a backend where two writers may both win a race, it goes there at once.

    Returns:
        One entry per file, ordered by path.

    Raises:
        InvalidInput: If the folder has no files.
        InvalidKey: If a file's name cannot be a key.
        CorruptObject: If even the folder of the set's digest holds other bytes.
    """
    entries = _describe(folder)
    prefix = layout.artifact_prefix(kind, artifact_id)
    has_one_winner = store.race_flaw() is None
    if has_one_winner and all(
        put_file(store, f"{prefix}/{entry.path}", folder / entry.path, entry) for entry in entries
    ):
        return entries
    digest = _set_digest(entries)
    moved = tuple(replace(entry, path=layout.file_set_path(digest, entry.path)) for entry in entries)
    for entry, target in zip(entries, moved, strict=True):
        key = f"{prefix}/{target.path}"
        if not put_file(store, key, folder / entry.path, entry):
            raise CorruptObject(f"{store.locate(key)} does not hold the bytes of its digest; delete its folder.")
    return moved


def _describe(folder: Path) -> tuple[FileEntry, ...]:
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if not paths:
        raise InvalidInput(f"{folder} has no files; an artifact needs at least one.")
    return tuple(FileEntry(name, path.stat().st_size, file_sha256(path)) for name, path in sorted(paths.items()))


def _set_digest(entries: Iterable[FileEntry]) -> str:
    listed = [[entry.path, entry.size_bytes, entry.sha256] for entry in entries]
    return hashlib.sha256(canonical.encode(listed)).hexdigest()[:ID_LENGTH]


def put_file(store: Store, key: str, path: Path, entry: FileEntry) -> bool:
    """Store a file unless the key is taken, and return whether the key now holds the entry's bytes.

    Another writer's bytes are left as they are.
    """
    while True:
        with suppress(ObjectExists):
            store.create(key, path)
            return True
        with suppress(ObjectNotFound):  # taken away as old in the meantime
            return adopt_file(store, key, entry)


def adopt_file(store: Store, key: str, entry: FileEntry) -> bool:
    """Return whether the key holds the entry's bytes; if so they count from now on as just written.

    Raises:
        ObjectNotFound: If the key is free.
    """
    info = store.head(key)
    if info is not None and info.size_bytes != entry.size_bytes:
        return False
    with store.open(key) as stream:
        is_equal = stream_sha256(stream) == entry.sha256
    if is_equal:
        store.renew(key)
    return is_equal
