"""Fetch the raw file, and ingest it into reviews and quarantine: in partitions, each check a task of its own."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loguru import logger
from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.runtime import task_run

from reviews.download import Download, download, is_url, use_local
from reviews.events import EventCounts, read_event_partitions, select_events
from reviews.formats import detect_format
from reviews.ingest import CheckFile, PartitionFile, check_partition, count_reasons, merge_partitions, write_partition
from reviews.options import DownloadOptions, IngestOptions
from reviews.parse import read_partitions
from reviews.transfer import without_credentials
from schema.dataset import QuarantineReason
from storage import artifacts, layout
from storage.canonical import artifact_id
from storage.code_version import Root, code_version
from storage.events import list_batches, read_lines
from storage.files import try_place
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.execution import COMPUTE_RETRIES, NETWORK_RETRIES, progress
from tasks.options import PlaceOptions, ReviewsInput
from tasks.store import find_published, link_or_copy, local_file, publish_once, scratch_folder

EVENTS_FILE = "events.jsonl"


def name_fetch() -> str:
    """Return the name of the task run: 'fetch raw file ' and the file's name, without credentials and query."""
    source, options = task_run.parameters["source"], task_run.parameters["options"]
    named = source.input_reviews or str(options.raw_reviews_path)
    return f"fetch raw file {key_name((urlsplit(named).path if is_url(named) else named).rsplit('/', 1)[-1])}"


@task(name="fetch raw file", task_run_name=name_fetch, **NETWORK_RETRIES)
def fetch_raw(places: PlaceOptions, source: ReviewsInput, options: DownloadOptions) -> Manifest:
    """Download the reviews, or take the file that is named, and keep its bytes under their SHA-256."""
    named, pinned = source.input_reviews, options.raw_reviews_sha256
    if named and not is_url(named):
        return _keep(places, use_local(Path(named.removeprefix("file://")), sha256=pinned))
    url, target = options.raw_reviews_url, options.raw_reviews_path
    if named:
        url, target = named, target.parent / key_name(urlsplit(named).path.rsplit("/", 1)[-1])
    if not target.exists():
        try_place(target, "--raw-reviews-path (or RAW_REVIEWS_PATH)", is_file=True)
    with progress(f"Downloading {without_credentials(url)}", key="download", unit="B") as advance:
        got = download(url, target, sha256=pinned, progress=advance)
    state = "is already there" if got.was_present else "downloaded"
    logger.info("{} {} ({:,} bytes)", got.path, state, got.size_bytes)
    return _keep(places, got)


@task(name="keep file", task_run_name="keep {path}")
def keep_file(places: PlaceOptions, path: Path) -> Manifest:
    """Keep a local file, such as product metadata, under its SHA-256, as the reviews are kept."""
    return _keep(places, use_local(path))


@task(name="collect events", task_run_name="collect events beside {raw.files[0].path}", **NETWORK_RETRIES)
def collect_events(places: PlaceOptions, raw: Manifest, options: IngestOptions) -> Manifest | None:
    """Keep those of the shipped events that can be read beside a raw file as a raw file too; None if there are none."""
    roles, counts = detect_format(raw_file(places, raw), options.input_columns).roles, EventCounts()
    store = places.open_store()
    with scratch_folder(places, layout.EVENTS) as folder:
        path = folder / EVENTS_FILE
        with path.open("wb") as file:
            for line in select_events(read_lines(store, list_batches(store, layout.EVENTS)), roles, counts):
                file.write(line + b"\n")
        logger.info("Events: {}", counts.describe())
        return _keep(places, use_local(path)) if counts.taken else None


def raw_file(places: PlaceOptions, raw: Manifest) -> Path:
    """Return a local file that holds the raw bytes."""
    return local_file(places, raw, raw.files[0].path)


def _keep(places: PlaceOptions, got: Download) -> Manifest:
    store, path, digest = places.open_store(), got.path, got.sha256
    found = artifacts.find(store, layout.RAW, digest)
    if found:
        logger.info("{} is already kept as raw/{}", path.name, digest[:16])
        return found
    with scratch_folder(places, layout.RAW) as folder:
        link_or_copy(path, folder / key_name(path.name))
        counts = {"size_bytes": got.size_bytes}
        kept = artifacts.publish(
            store, layout.RAW, digest, folder, inputs={}, parameters={}, code_version="", counts=counts
        )
    logger.info("{} kept as raw/{}", path.name, digest[:16])
    return kept


def key_name(name: str) -> str:
    """Return a file name that any store can hold as a key."""
    return re.sub(r"[^A-Za-z0-9._=+-]", "_", name).lstrip(".")[-200:] or "reviews"


def _identity(raw: Manifest, options: IngestOptions, events: Manifest | None) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the inputs and parameters of the reviews of a raw file, and of events where there are some."""
    inputs = {"raw": raw.id} | ({"events": events.id} if events else {})
    return inputs, options.model_dump(mode="json", exclude={"partition_bytes"})  # which changes no row


@task(name="find reviews", task_run_name="find reviews of {raw.files[0].path}")
def find_reviews(
    places: PlaceOptions, raw: Manifest, options: IngestOptions, events: Manifest | None = None
) -> Manifest | None:
    """Return the reviews of a raw file, and of events, if they are published already."""
    code = code_version(read_raw, check_reviews, publish_reviews)
    identity = artifact_id(layout.REVIEWS_KIND, *_identity(raw, options, events), code)
    return find_published(places.open_store(), layout.REVIEWS_KIND, identity)


@task(name="read raw file", task_run_name="read raw file {raw.files[0].path}", **COMPUTE_RETRIES)
def read_raw(
    places: PlaceOptions, raw: Manifest, options: IngestOptions, folder: Path, events: Manifest | None = None
) -> list[PartitionFile]:
    """Write the lines of the raw file into a folder, in partitions that are checked apart; memory stays flat.

    Those of the events follow, as if they stood in the file after its last line.
    """
    path = raw_file(places, raw)
    found = detect_format(path, options.input_columns)
    logger.info("{} is {}", raw.files[0].path, found.describe())
    with progress(f"Reading {raw.files[0].path}", key="read", unit=" lines") as advance:
        written: list[PartitionFile] = []
        for partition in read_partitions(path, found, options.partition_bytes):
            written.append(write_partition(partition, folder, write_parquet))
            advance(sum(one.n_lines for one in written), None)
        if events:
            n_lines = sum(one.n_lines for one in written) + bool(found.header_line)
            parts = read_event_partitions(raw_file(places, events), found, options, len(written), n_lines)
            written += [write_partition(one, folder, write_parquet) for one in parts]
        return written


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
    events: Manifest | None = None,
) -> Manifest:
    """Publish the rows that passed, and those that did not with their reasons.

    Raises:
        InvalidInput: If too large a share is bad, or nothing is left.
    """
    inputs, parameters = _identity(raw, options, events)
    earlier: list[Root] = [read_raw, check_reviews]

    def build(folder: Path) -> dict[str, Any]:
        counts = merge_partitions(partitions, checked, folder, options, write_parquet)
        sizes = (counts.n_reviews, counts.n_lines, counts.n_quarantined)
        logger.info("{:,} reviews of {:,} lines; {:,} in quarantine", *sizes)
        show_reasons(count_reasons(folder / layout.QUARANTINE), counts.n_reviews + counts.n_quarantined)
        return asdict(counts)

    return publish_once(places, layout.REVIEWS_KIND, inputs=inputs, parameters=parameters, build=build, uses=earlier)


def show_reasons(reasons: Sequence[QuarantineReason], n_rows: int) -> None:
    """Make a table artifact of the current run: reason, rows, share of all rows read, and the line of an example.

    Args:
        reasons: Nothing is made where there is none.
        n_rows: Rows read, those that passed and those that did not.
    """
    columns = ("reason", "rows", "share", "example line")
    cells = ((row.reason, row.count, f"{row.count / max(n_rows, 1):.2%}", row.example_line) for row in reasons)
    rows = [dict(zip(columns, row, strict=True)) for row in cells]
    if rows:
        create_table_artifact(rows, key="quarantine", description=f"Why lines were put aside, of {n_rows:,} rows read")
