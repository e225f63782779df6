"""What is learnt from, chosen by and tested on: persisted before anything is fitted."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from numpy.typing import NDArray
from prefect import task

import evaluation.assignment
import evaluation.splits
from evaluation.options import SplitOptions
from evaluation.splits import NamedPairs, SplitCounts, split_interactions
from schema.errors import InvalidInput
from schema.items_by_user import pair_keys
from storage import layout
from storage.identity import code_version
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.execution import COMPUTE_RETRIES
from tasks.options import PlaceOptions
from tasks.outside import find_indices, read_ids
from tasks.raw import raw_file
from tasks.store import PART_FILES, publish_once, read_table

CODE = code_version(evaluation.splits, evaluation.assignment)
SPLIT_FILES = {f"{part}_file": f"split_{part}_file" for part in PART_FILES}


@task(name="split", task_run_name="split dataset {dataset.id}", **COMPUTE_RETRIES)
def split_dataset(
    places: PlaceOptions, dataset: Manifest, options: SplitOptions, files: Mapping[str, Manifest] | None = None
) -> Manifest:
    """Publish train, validation and test.

    Args:
        places: The store.
        dataset: What is split.
        options: How.
        files: For a split by files, the raw file of each part that has one: ``train_file`` and so on.

    Raises:
        InvalidInput: If the data cannot be split so, for want of timestamps or of rows.
    """

    def build(folder: Path) -> dict[str, Any]:
        interactions = read_table(places, dataset, layout.INTERACTIONS)
        try:
            parts = split_interactions(interactions, options, _named(places, dataset, files or {}))
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        for part, name in PART_FILES.items():
            rows = getattr(parts, part)
            write_parquet([rows], folder / name, rows.schema)
        _say_what_it_leaves(parts.counts.method, dataset)
        carried = ("n_users", "n_items", "has_ratings", "has_timestamps")
        return manifest_counts(parts.counts) | {name: dataset.counts[name] for name in carried}

    return publish_once(
        places,
        layout.SPLITS,
        inputs={"dataset": dataset.id, **{role: raw.id for role, raw in (files or {}).items()}},
        parameters=options.model_dump(mode="json", exclude=set(SPLIT_FILES.values())),
        code=CODE,
        build=build,
    )


def _named(places: PlaceOptions, dataset: Manifest, files: Mapping[str, Manifest]) -> NamedPairs | None:
    """Return the pairs that the files name; ids that the dataset does not know are counted and left out."""
    if not files.keys() >= {"validation_file", "test_file"}:
        return None
    keys = {role: _keys(places, dataset, raw) for role, raw in files.items()}
    return NamedPairs(keys.get("train_file"), keys["validation_file"], keys["test_file"])


def _keys(places: PlaceOptions, dataset: Manifest, raw: Manifest) -> NDArray[np.int64]:
    path = raw_file(places, raw)
    user_idx, item_idx = find_indices(places, dataset, read_ids(path))
    is_known = (user_idx >= 0) & (item_idx >= 0)
    if not is_known.all():
        logger.warning("{}: {:,} of {:,} pairs are not in the dataset", path.name, (~is_known).sum(), len(is_known))
    return pair_keys(user_idx[is_known], item_idx[is_known])


def manifest_counts(counts: SplitCounts) -> dict[str, Any]:
    """Return the counts flat: ``method``, and ``train_n_rows`` and so on for each part."""
    flat: dict[str, Any] = {
        "method": counts.method,
        "n_left_out": counts.n_left_out,
        "n_leaked": counts.n_leaked,
    }
    for part in PART_FILES:
        flat |= {f"{part}_{name}": value for name, value in asdict(getattr(counts, part)).items()}
    return flat


def _say_what_it_leaves(method: str, dataset: Manifest) -> None:
    missing = [name for name in ("ratings", "timestamps") if not dataset.counts[f"has_{name}"]]
    without = f"; the input has no {' and no '.join(missing)}" if missing else ""
    models = (
        "implicit ALS and popularity"
        if "ratings" in missing
        else "implicit and explicit ALS, popularity and rating baselines"
    )
    logger.info("Split {}{}: {} can be tried", method, without, models)
