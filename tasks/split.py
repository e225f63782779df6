"""What is learnt from, chosen by and tested on: persisted before anything is fitted."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from loguru import logger
from prefect import task

import evaluation.assignment
import evaluation.splits
from evaluation.splits import SplitCounts, SplitOptions, split_interactions
from storage import layout
from storage.errors import InvalidInput
from storage.identity import code_version
from storage.manifest import Manifest
from tasks.places import PlaceOptions
from tasks.publication import publish_once
from tasks.retrying import COMPUTE_RETRIES
from tasks.tables import PART_FILES, read_table, write_table

CODE = code_version(evaluation.splits, evaluation.assignment)


@task(name="split", **COMPUTE_RETRIES)
def split_dataset(places: PlaceOptions, dataset: Manifest, options: SplitOptions) -> Manifest:
    """Publish train, validation and test.

    Raises:
        InvalidInput: If the data cannot be split so, for want of timestamps or of rows.
    """

    def build(folder: Path) -> dict[str, Any]:
        interactions = read_table(places, dataset, layout.INTERACTIONS)
        try:
            parts = split_interactions(interactions, options)
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        for part, name in PART_FILES.items():
            write_table(getattr(parts, part), folder / name)
        _say_what_it_leaves(parts.counts.method, dataset)
        carried = ("n_users", "n_items", "has_ratings", "has_timestamps")
        return manifest_counts(parts.counts) | {name: dataset.counts[name] for name in carried}

    return publish_once(
        places,
        layout.SPLITS,
        inputs={"dataset": dataset.id},
        parameters=options.model_dump(mode="json"),
        code=CODE,
        build=build,
    )


def manifest_counts(counts: SplitCounts) -> dict[str, Any]:
    """Return the counts flat: ``method``, and ``train_n_rows`` and so on for each part."""
    flat: dict[str, Any] = {"method": counts.method}
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
