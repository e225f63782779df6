"""Artifacts of every kind, a few bytes each, as the flows would publish them."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from storage import artifacts, layout
from storage.inventory import list_artifacts
from storage.manifest import Manifest
from storage.parquet import write_parquet
from storage.protocol import Store
from storage.verify import verify_artifact

RAW, REVIEWS, DATASET, SPLIT = "ab" * 32, "1111aaaa", "2222aaaa", "3333aaaa"
FIT, SCORES, MODEL, LISTS = "4444aaaa", "5555aaaa", "6666aaaa", "7777aaaa"
PROMOTION = "8888aaaa"

LINEAGE: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("raw", RAW, {}),
    ("reviews", REVIEWS, {"raw": RAW}),
    ("datasets", DATASET, {"reviews": REVIEWS}),
    ("splits", SPLIT, {"dataset": DATASET}),
    ("fits", FIT, {"split": SPLIT}),
    ("scores", SCORES, {"split": SPLIT, "fit": FIT}),
    ("models", MODEL, {"dataset": DATASET, "split": SPLIT, "fit": FIT, "test": SCORES, "products": RAW}),
    ("recommendations", LISTS, {"model": MODEL}),
)
N_USERS, N_ITEMS = 120, 60
COLUMNS = {"user_idx": pa.int32(), "item_idx": pa.int32(), "rating": pa.float32(), "timestamp": pa.int64()}
NAMES = [f"{kind}/{artifact_id}" for kind, artifact_id, _ in LINEAGE]


def publish(
    store: Store,
    kind: str,
    artifact_id: str,
    inputs: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Manifest:
    """Publish an artifact; without files it has two whose bytes are its own."""
    own = f"{kind}/{artifact_id}".encode()
    with tempfile.TemporaryDirectory() as name:
        for path, data in (files or {"first.parquet": own + b" first", "folder/second": own + b" second"}).items():
            target = Path(name) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        origin = {"inputs": inputs, "parameters": parameters, "code_version": "0.1.0+abc"}
        return publish_folder(store, Path(name), kind, artifact_id, **origin, counts={"n_users": 3})


def publish_folder(
    store: Store, folder: Path, kind: str = "models", artifact_id: str = "1f3a", **origin: Any
) -> Manifest:
    """Publish the files of a folder; what is not said of their origin is left empty."""
    nothing: dict[str, Any] = {"inputs": {}, "parameters": {}, "code_version": "", "counts": {}}
    said = {name: value for name, value in origin.items() if value is not None}
    return artifacts.publish(store, kind, artifact_id, folder, **nothing | said)


def publish_lineage(store: Store) -> None:
    """Publish recommendations, the model they are from, and so on back to the raw file."""
    for kind, artifact_id, inputs in LINEAGE:
        publish(store, kind, artifact_id, inputs)


def forge_manifest(store: Store, kind: str, artifact_id: str, inputs: Mapping[str, str], **others: Any) -> None:
    """Store a manifest without files that says what no honest writer would."""
    manifest = Manifest(kind, artifact_id, inputs, {}, "", (), {})
    store.create(f"{kind}/{artifact_id}/manifest.json", Manifest(**{**vars(manifest), **others}).to_bytes())


def replace_object(store: Store, key: str, data: bytes) -> None:
    """Put other bytes under a key, as no writer of ours ever does."""
    store.delete(key)
    store.create(key, data)


def contents(store: Store) -> dict[str, bytes]:
    """Return the bytes of every object."""
    return {info.key: store.read(info.key) for info in store.list("")}


def problems(store: Store) -> list[str]:
    """Return what is wrong with the artifacts of a store."""
    found = [problem for artifact in list_artifacts(store) for problem in verify_artifact(store, artifact)]
    return [f"{problem.where}: {problem.what}" for problem in found]


def publish_dataset(store: Store, folder: Path, *, days_apart: int = 0) -> Manifest:
    """Publish interactions of users who take, of the items of their own half, the first ones more often.

    A user's are seconds apart, one user's after another's, or so many days apart, everybody's at once.
    """
    draws = np.random.default_rng(0)
    rows = []
    for user in range(N_USERS):
        weights = np.where(np.arange(N_ITEMS) % 2 == user % 2, 1 / (1 + np.arange(N_ITEMS)), 0)
        items = draws.choice(N_ITEMS, size=8, replace=False, p=weights / weights.sum())
        times = [86_400 * days_apart * place if days_apart else 1000 * user + place for place in range(len(items))]
        rows += [(user, item, 1.0 + place % 5, times[place]) for place, item in enumerate(items)]
    arrays = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), COLUMNS.values(), strict=True)]
    table = pa.table(dict(zip(COLUMNS, arrays, strict=True)))
    folder.mkdir()
    write_parquet([table], folder / layout.INTERACTIONS, table.schema)
    counts = {"n_users": N_USERS, "n_items": N_ITEMS, "has_ratings": True, "has_timestamps": True}
    return publish_folder(store, folder, layout.DATASETS, "d", counts=counts)
