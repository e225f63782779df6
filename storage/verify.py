"""Verification that a store holds what its manifests say, down to the last byte."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from schema.digests import stream_sha256
from schema.errors import CorruptObject, ObjectNotFound
from storage import layout
from storage.champion import read_history
from storage.inventory import Artifact, look_up, unreadable_is_corrupt
from storage.manifest import FileEntry, Manifest
from storage.protocol import Store

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Problem:
    """What is not as it should be, and where: in an artifact, as kind/id, or in the pointer."""

    where: str
    what: str


def ignore(_: int) -> None:
    """Ignore progress."""


def verify_artifact(store: Store, artifact: Artifact, advance: Advance = ignore) -> Iterator[Problem]:
    """Yield the problems of an artifact: its manifest, each file's size and SHA-256, each input's existence.

    Files are read as streams; none of them hides what is wrong with another. `advance` is called with a number of
    bytes as they are done, in sum about those that the manifest names.

    Raises:
        Unavailable: If the store does not answer.
    """
    if isinstance(artifact.manifest, CorruptObject):
        yield Problem(artifact.name, str(artifact.manifest))
        return
    yield from verify_files(store, artifact.manifest, advance)
    for role, artifact_id in sorted(artifact.manifest.inputs.items()):
        yield from (Problem(artifact.name, what) for what in _input_problems(store, role, artifact_id))


def verify_files(store: Store, manifest: Manifest, advance: Advance = ignore) -> Iterator[Problem]:
    """Yield the problems of the files that a manifest names: their existence, size and SHA-256.

    Raises:
        Unavailable: If the store does not answer.
    """
    for file in manifest.files:
        yield from _guarded(manifest.name, file.path, _file_problems(store, manifest, file, advance))


def verify_champion(store: Store) -> Iterator[Problem]:
    """Yield the problems of the pointer, its model and the promotions that it names; that there is none is fine.

    Raises:
        Unavailable: If the store does not answer.
    """
    yield from _guarded(layout.CHAMPION, "it", _champion_problems(store))


def _guarded(where: str, what: str, problems: Iterator[str]) -> Iterator[Problem]:
    try:
        with unreadable_is_corrupt(what):
            for problem in problems:
                yield Problem(where, problem)
    except CorruptObject as error:
        yield Problem(where, str(error))


def _file_problems(store: Store, manifest: Manifest, file: FileEntry, advance: Advance) -> Iterator[str]:
    key = manifest.key_of(file)
    info = store.head(key)
    if info is None:
        yield f"{file.path} is missing; its manifest says {file.size_bytes} bytes."
    elif info.size_bytes != file.size_bytes:
        yield f"{file.path} has {info.size_bytes} bytes; its manifest says {file.size_bytes}."
    else:
        try:
            with store.open(key) as stream:
                digest = stream_sha256(stream, advance)
        except ObjectNotFound:
            yield f"{file.path} was removed while it was read."
            return
        if digest != file.sha256:
            yield f"{file.path} has the SHA-256 {digest}; its manifest says {file.sha256}."
        return
    advance(file.size_bytes)


def _input_problems(store: Store, role: str, artifact_id: str) -> Iterator[str]:
    kind = layout.INPUT_KINDS.get(role)
    if kind is None:
        known = ", ".join(sorted(layout.INPUT_KINDS))
        yield f"its input {role[:80]!r} is of no kind that is known; expected one of {known}."
        return
    yield from _absent_or_broken(store, kind, artifact_id, f"its input {kind}/{artifact_id[:80]} ({role})")


def _champion_problems(store: Store) -> Iterator[str]:
    history, _ = read_history(store)
    named = [(layout.MODELS, "model", history[0].model_id)] if history else []
    promotions = dict.fromkeys(one for entry in history for one in (entry.promotion, entry.best) if one)
    named += [(layout.PROMOTIONS, "promotion", promotion) for promotion in promotions]
    for kind, noun, one in named:
        yield from _absent_or_broken(store, kind, one, f"it names the {noun} {one[:80]!r}, which")


def _absent_or_broken(store: Store, kind: str, artifact_id: str, reference: str) -> Iterator[str]:
    found = look_up(store, kind, artifact_id)
    if found is None:
        yield f"{reference} does not exist."
    elif isinstance(found, CorruptObject):
        yield f"{reference} is broken: {found}"
