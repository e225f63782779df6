"""Ingest the raw file into reviews and quarantine: read in partitions, each check a task of its own over each."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loguru import logger
from prefect import task
from prefect.artifacts import create_table_artifact

from reviews.formats import Format, detect_format
from reviews.ingest import (
    CheckFile,
    PartitionFile,
    check_partition,
    count_reasons,
    merge_partitions,
    write_partition,
)
from reviews.options import IngestOptions
from reviews.parse import read_partitions
from schema.dataset import QuarantineReason
from storage import artifacts, layout
from storage.code_version import Root, code_version
from storage.identity import artifact_id
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.execution import COMPUTE_RETRIES, Advance, progress
from tasks.options import PlaceOptions
from tasks.raw import raw_file
from tasks.store import publish_once


def _identity(raw: Manifest, options: IngestOptions) -> tuple[dict[str, str], dict[str, Any]]:
    # How much is read at a time changes no row.
    return {"raw": raw.id}, options.model_dump(mode="json", exclude={"partition_bytes"})


@task(name="find reviews", task_run_name="find reviews of {raw.files[0].path}")
def find_reviews(places: PlaceOptions, raw: Manifest, options: IngestOptions) -> Manifest | None:
    """Return the reviews of a raw file if they are published already."""
    inputs, parameters = _identity(raw, options)
    identity = artifact_id(
        layout.REVIEWS_KIND, inputs, parameters, code_version(publish_reviews, read_raw, check_reviews)
    )
    found = artifacts.find(places.open_store(), layout.REVIEWS_KIND, identity)
    if found:
        logger.info("reviews/{} is already there: nothing to do", identity)
    return found


@task(name="read raw file", task_run_name="read raw file {raw.files[0].path}", **COMPUTE_RETRIES)
def read_raw(places: PlaceOptions, raw: Manifest, options: IngestOptions, folder: Path) -> list[PartitionFile]:
    """Write the lines of the raw file into a folder, in partitions that are checked apart; memory stays flat."""
    path = raw_file(places, raw)
    found = detect_format(path, options.input_columns)
    logger.info("{} is {}", raw.files[0].path, found.describe())
    with progress(f"Reading {raw.files[0].path}", key="read", unit=" lines") as advance:
        return list(_write_partitions(path, found, options, folder, advance))


@task(name="check", task_run_name="check {check} of partition {partition.number}", **COMPUTE_RETRIES)
def check_reviews(partition: PartitionFile, check: str, options: IngestOptions) -> CheckFile:
    """Run one pandera check over one partition."""
    return check_partition(partition, check, options, write_parquet)


@task(name="publish reviews", task_run_name="publish reviews of {raw.files[0].path}", **COMPUTE_RETRIES)
def publish_reviews(
    places: PlaceOptions,
    raw: Manifest,
    options: IngestOptions,
    partitions: Sequence[PartitionFile],
    checked: Sequence[CheckFile],
) -> Manifest:
    """Publish the rows that passed, and those that did not with their reasons.

    Raises:
        InvalidInput: If too large a share is bad, or nothing is left.
    """
    inputs, parameters = _identity(raw, options)

    def build(folder: Path) -> dict[str, Any]:
        counts = merge_partitions(partitions, checked, folder, options, write_parquet)
        logger.info(
            "{:,} reviews of {:,} lines; {:,} in quarantine",
            counts.n_reviews,
            counts.n_lines,
            counts.n_quarantined,
        )
        reasons = count_reasons(folder / layout.QUARANTINE)
        show_reasons(reasons, counts.n_reviews + counts.n_quarantined)
        return asdict(counts)

    uses: list[Root] = [read_raw, check_reviews]
    return publish_once(places, layout.REVIEWS_KIND, inputs=inputs, parameters=parameters, build=build, uses=uses)


def show_reasons(reasons: Sequence[QuarantineReason], n_rows: int) -> None:
    """Make a table artifact of the current run: reason, rows, share of all rows read, and the line of an example.

    Args:
        reasons: Nothing is made where there is none.
        n_rows: Rows read, those that passed and those that did not.
    """
    rows = [
        {
            "reason": row.reason,
            "rows": row.count,
            "share": f"{row.count / max(n_rows, 1):.2%}",
            "example line": row.example_line,
        }
        for row in reasons
    ]
    if rows:
        create_table_artifact(rows, key="quarantine", description=f"Why lines were put aside, of {n_rows:,} rows read")


def _write_partitions(
    path: Path, found: Format, options: IngestOptions, folder: Path, advance: Advance
) -> Iterator[PartitionFile]:
    n_lines = 0
    for partition in read_partitions(path, found, options.partition_bytes):
        yield write_partition(partition, folder, write_parquet)
        n_lines += partition.n_lines
        advance(n_lines, None)
