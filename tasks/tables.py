"""Tables as artifacts hold them: canonical when written, read wherever the store keeps them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage import artifacts, layout
from storage.manifest import Manifest
from tasks.options import PlaceOptions

PART_FILES = {"train": layout.TRAIN, "validation": layout.VALIDATION, "test": layout.TEST}
LEARNT = ("train", "validation")


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
    return pa.concat_tables(read_table(places, split, PART_FILES[part], columns) for part in parts)


def learnt_parts(fitted: Manifest) -> tuple[str, ...]:
    """Return the parts of its split that a fit learnt from."""
    parts: Any = fitted.parameters["parts"]
    return tuple(parts)
