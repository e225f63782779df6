"""Artifacts as tasks use them: built once in a scratch folder and published, read wherever the store keeps them."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from loguru import logger

from schema.errors import InvalidInput
from storage import artifacts, canonical, layout
from storage.canonical import artifact_id
from storage.code_version import Root, code_version
from storage.files import remove_stale, temporary_name
from storage.manifest import Manifest
from storage.protocol import Store
from tasks.options import PlaceOptions

Counts = Mapping[str, Any]

PART_FILES = {"train": layout.TRAIN, "validation": layout.VALIDATION, "test": layout.TEST}
LEARNT = ("train", "validation")
OUTSIDE = "outside"  # rows before test that are not in the core; of a split that has such
_FILES = PART_FILES | {OUTSIDE: layout.OUTSIDE_CORE}


@contextmanager
def scratch_folder(places: PlaceOptions, purpose: str) -> Iterator[Path]:
    """Yield an empty folder below ``work_dir``, for its owner only, that is removed at the end, whatever happens.

    Its name says which process uses it, so that the next one removes what a killed process left.
    """
    places.work_dir.mkdir(parents=True, exist_ok=True)
    remove_stale(places.work_dir)
    folder = places.work_dir / temporary_name(purpose)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish_once(
    places: PlaceOptions,
    kind: str,
    *,
    inputs: Mapping[str, str],
    parameters: Mapping[str, Any],
    build: Callable[[Path], Counts],
    uses: Sequence[Root] = (),
    files: tuple[Path, ...] = (),
    belongs_to: str | None = None,
) -> Manifest:
    """Return the artifact that inputs, parameters and the code of its step give, building it if it is not there.

    Args:
        places: The store, and where scratch files go.
        kind: Kind of artifact, as the layout spells it.
        inputs: Role to id of every artifact it is made from.
        parameters: Everything else that decides its content; JSON values.
        build: Writes the files into an empty folder and returns the counts for the manifest. Its code, with that of the
            function that it is defined in and all that this reaches, is part of the id.
        uses: Code that `build` reaches by a value and not by a name, such as the class of a model, or that renders
            what is in the files.
        files: Files that decide the content, such as templates.
        belongs_to: Id of the artifact with whose id this one's begins, so that it is found by that.
    """
    store, code = places.open_store(), code_version(build, *uses, files=files)
    identity = artifact_id(kind, inputs, parameters, code)
    if belongs_to:
        identity = layout.belonging_id(belongs_to, identity)
    found = find_published(store, kind, identity)
    if found:
        return found
    with scratch_folder(places, kind) as folder:
        counts = build(folder)
        about: dict[str, Any] = {"inputs": inputs, "parameters": parameters, "code_version": code, "counts": counts}
        published = artifacts.publish(store, kind, identity, folder, **about)
    logger.info("{} published", published.name)
    return published


def find_published(store: Store, kind: str, identity: str) -> Manifest | None:
    """Return an artifact if it is published already, and say so."""
    found = artifacts.find(store, kind, identity)
    if found:
        logger.info("{} is already there: nothing to do", found.name)
    return found


def find_again(store: Store, kind: str, artifact_id: str, advice: str) -> Manifest:
    """Return an artifact that another one names.

    Raises:
        InvalidInput: If the store no longer has it; the advice says what to do then.
    """
    found = artifacts.find(store, kind, artifact_id)
    if found is None:
        raise InvalidInput(f"{store.uri} no longer has {kind}/{artifact_id}. {advice}")
    return found


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write JSON values, such as metrics, as a file of an artifact."""
    path.write_bytes(canonical.encode({**record}, indent=2))


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file, which is not written to again, under another name too; folders are made as needed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def local_file(places: PlaceOptions, artifact: Manifest, name: str) -> Path:
    """Return a local path of one file, or folder, of an artifact."""
    return artifacts.checkout(places.open_store(), artifact, name, places.cache_dir)


def read_table(places: PlaceOptions, artifact: Manifest, name: str, columns: list[str] | None = None) -> pa.Table:
    """Return a Parquet table of an artifact."""
    return pq.read_table(local_file(places, artifact, name), columns=columns, memory_map=True)


def read_parts(
    places: PlaceOptions, split: Manifest, parts: tuple[str, ...], columns: list[str] | None = None
) -> pa.Table:
    """Return the rows of some parts of a split, one after the other."""
    return pa.concat_tables(read_table(places, split, part_file(part), columns) for part in parts)


def part_file(part: str) -> str:
    """Return the name of the file of a part of a split, or of the rows outside its core."""
    return _FILES[part]


def all_parts(split: Manifest) -> tuple[str, ...]:
    """Return all that there is to learn from in a split: its parts, and the rows outside its core if there are any."""
    return (*PART_FILES, *([OUTSIDE] if split.counts.get("n_outside_core") else []))


def learnt_parts(fitted: Manifest) -> tuple[str, ...]:
    """Return the parts of its split that a fit learnt from."""
    parts: Any = fitted.parameters["parts"]
    return tuple(parts)
