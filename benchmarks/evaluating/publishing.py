"""The input of a measurement: a split and a fit in a store of its own, as the pipeline publishes them."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.evaluating.drawing import Pairs, Size, draw_factors, draw_interactions
from models.als import ImplicitAls
from schema.errors import ObjectNotFound
from storage import artifacts, layout
from storage.local import LocalStore
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.tables import LEARNT, PART_FILES

SPLIT_ID, FIT_ID = "made-split", "made-fit"
STORE, WORK, SIZE = "store", "work", "size.json"
FIRST_TIMESTAMP = 1_000_000_000
MADE = "benchmark"


def publish_input(folder: Path, size: Size, seed: int) -> None:
    """Draw an input and publish it: split "leave last", fit on train and validation.

    Args:
        folder: Where the store and the size go; made where it is missing.
        size: How large.
        seed: Of the draw; the same size and seed give the same input.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = draw_interactions(size, seed)
    counts = np.bincount(pairs[1], minlength=size.items)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        _publish_split(folder, Path(scratch, "split"), size, pairs)
        factors = draw_factors(size, counts, seed + 1)
        factors.save(Path(scratch, "fit", layout.FACTORS))
        parameters = {"parts": list(LEARNT), "model": ImplicitAls.name, "rank": size.rank, "keep_spark_model": False}
        _publish(folder, layout.FITS, FIT_ID, Path(scratch, "fit"), {"split": SPLIT_ID}, parameters, {})
    (folder / SIZE).write_text(json.dumps(vars(size)), "utf-8")


def find_input(folder: Path) -> tuple[Size, Manifest, Manifest]:
    """Return the size, the split and the fit that `publish_input` left in a folder.

    Raises:
        ObjectNotFound: If they are not there.
    """
    store = LocalStore(folder / STORE)
    split, fit = artifacts.find(store, layout.SPLITS, SPLIT_ID), artifacts.find(store, layout.FITS, FIT_ID)
    if split is None or fit is None:
        raise ObjectNotFound(f"{folder} lacks a split or a fit; publish_input makes both.")
    return Size(**json.loads((folder / SIZE).read_text("utf-8"))), split, fit


def name_parts(user_idx: NDArray[np.int32]) -> dict[str, NDArray[np.bool_]]:
    """Return which rows each part has: a user's last is the test's, the one before it the validation's.

    Args:
        user_idx: Of each row, those of a user side by side.

    Example:
        >>> {part: rows.tolist() for part, rows in name_parts(np.array([0, 0, 0], np.int32)).items()}
        {'train': [True, False, False], 'validation': [False, True, False], 'test': [False, False, True]}
    """
    is_last = np.append(user_idx[1:] != user_idx[:-1], True)
    is_before_last = np.append(is_last[1:], False)
    return {"train": ~is_last & ~is_before_last, "validation": is_before_last, "test": is_last}


def _publish_split(folder: Path, scratch: Path, size: Size, pairs: Pairs) -> None:
    scratch.mkdir()
    user_idx, item_idx = pairs
    timestamp = FIRST_TIMESTAMP + np.arange(len(user_idx), dtype=np.int64)
    for part, is_in in name_parts(user_idx).items():
        rating = pa.nulls(int(is_in.sum()), pa.float32())
        columns = {"user_idx": user_idx[is_in], "item_idx": item_idx[is_in], "rating": rating}
        rows = pa.table({**columns, "timestamp": timestamp[is_in]})
        write_parquet([rows], scratch / PART_FILES[part], rows.schema)
    counts = {"n_users": size.users, "n_items": size.items, "has_ratings": False, "has_timestamps": True}
    _publish(folder, layout.SPLITS, SPLIT_ID, scratch, {"dataset": MADE}, {"split": "leave-last"}, counts)


def _publish(
    folder: Path,
    kind: str,
    artifact_id: str,
    files: Path,
    inputs: dict[str, str],
    parameters: dict[str, object],
    counts: dict[str, int | bool],
) -> None:
    artifacts.publish(
        LocalStore(folder / STORE),
        kind,
        artifact_id,
        files,
        inputs=inputs,
        parameters=parameters,
        code_version=MADE,
        counts=counts,
    )
