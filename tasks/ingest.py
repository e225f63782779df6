"""Fetch the raw file, and ingest it into reviews and quarantine: in partitions, each check a task of its own."""

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loguru import logger
from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.runtime import task_run
from pydantic import TypeAdapter

from reports.reading import (
    FIRST_ROWS,
    PUT_ASIDE,
    REASONS,
    UNDERSTOOD,
    FileSummary,
    say_loss,
    tabulate_first_rows,
    tabulate_understood,
)
from reports.tables import TextTable
from reviews.checks import Limits
from reviews.download import Download, download, is_url, use_local
from reviews.events import EventCounts, select_events
from reviews.formats import detect_format
from reviews.ingest import count_reasons, first_rows, merge_partitions
from reviews.options import DownloadOptions, IngestOptions
from reviews.partitions import Checked, PartitionFile, check_partitions
from reviews.reading import ReadReviews, read_reviews, read_texts_beside
from reviews.transfer import without_credentials
from schema.understood import Reading, Understood
from storage import artifacts, layout
from storage.canonical import artifact_id
from storage.code_version import Root, code_version
from storage.events import list_batches, read_lines
from storage.files import try_place
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.execution import COMPUTE_RETRIES, NETWORK_RETRIES, progress
from tasks.options import PlaceOptions, ReviewsInput
from tasks.store import find_published, link_or_copy, local_file, publish_once, scratch_folder, write_record

EVENTS_FILE = "events.jsonl"
FIRST_QUARANTINED = 20
KEYS = {UNDERSTOOD: "understood", FIRST_ROWS: "first-rows", REASONS: "quarantine", PUT_ASIDE: "quarantine-rows"}
_WIDTH = 150


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
    roles, counts = detect_format(raw_file(places, raw), options).roles, EventCounts()
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
        name = key_name(path.name)
        link_or_copy(path, folder / name)
        about: dict[str, Any] = {"inputs": {}, "parameters": {}, "code_version": ""}
        about["counts"] = {"size_bytes": got.size_bytes}
        kept = artifacts.publish(store, layout.RAW, digest, folder, {name: digest}, **about)
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
) -> ReadReviews:
    """Find out how the raw file is to be read, and write its rows into a folder, in partitions that are checked apart.

    Those of the events follow, as if they stood in the file after its last line. Memory stays flat.
    """
    path, name = raw_file(places, raw), raw.files[0].path
    found = detect_format(path, options)
    logger.bind(in_short=True).info("{} is {}", name, found.describe())
    _say_understood(found.understood)
    with progress(f"Reading {name}", key="read", unit=" lines") as advance:
        beside = raw_file(places, events) if events else None
        read = read_reviews(path, found, options, folder, write_parquet, lambda n: advance(n, None), beside)
    scale = next((part for part in read.understood.parts if part not in found.understood.parts), None)
    if scale:
        logger.info("{}: {} ({})", scale.name.capitalize(), scale.value, scale.evidence)
    for warning in read.understood.warnings[len(found.understood.warnings) :]:
        logger.warning("{}", warning)
    return read


def _say_understood(understood: Understood) -> None:
    table = tabulate_understood(understood).to_text(_WIDTH)
    logger.bind(in_short=True).info("{}:\n{}", UNDERSTOOD, table)
    for warning in understood.warnings:
        logger.warning("{}", warning)
    if understood.warnings and understood.first_rows:
        logger.warning("{}:\n{}", FIRST_ROWS, tabulate_first_rows(understood).to_text(_WIDTH))


def name_check() -> str:
    """Return the name of the task run: 'check user_id of partitions 0 to 31'."""
    check, partitions = task_run.parameters["check"], task_run.parameters["partitions"]
    first, last = partitions[0].number, partitions[-1].number
    return f"check {check} of partition{f's {first} to {last}' if first < last else f' {first}'}"


@task(name="check", task_run_name=name_check, **COMPUTE_RETRIES)
def check_reviews(partitions: Sequence[PartitionFile], check: str, limits: Limits) -> Checked:
    """Run one pandera check over a group of partitions."""
    return check_partitions(partitions, check, limits, write_parquet)


@task(name="publish reviews", task_run_name="publish reviews of {raw.files[0].path}", **COMPUTE_RETRIES)
def publish_reviews(
    places: PlaceOptions,
    raw: Manifest,
    options: IngestOptions,
    read: ReadReviews,
    checked: Sequence[Checked],
    events: Manifest | None = None,
) -> Manifest:
    """Publish the rows that passed, those that did not with their reasons, and how the file was read.

    Raises:
        InvalidInput: If too large a share is bad, or nothing is left.
    """
    inputs, parameters = _identity(raw, options, events)
    earlier: list[Root] = [read_raw, check_reviews]
    beside = raw_file(places, events) if events else None
    texts = partial(read_texts_beside, raw_file(places, raw), beside, read)

    def build(folder: Path) -> dict[str, Any]:
        merged = merge_partitions(read, checked, texts, folder, options, write_parquet)
        understood = replace(read.understood, warnings=(*read.understood.warnings, *merged.warnings))
        write_record(folder / layout.READING, asdict(Reading(understood, tuple(merged.losses))))
        for warning in merged.warnings:
            logger.warning("{}", warning)
        return asdict(merged.counts)

    _show_checks(read.partitions, checked)
    return publish_once(places, layout.REVIEWS_KIND, inputs=inputs, parameters=parameters, build=build, uses=earlier)


def _show_checks(partitions: Sequence[PartitionFile], checked: Sequence[Checked]) -> None:
    """Make a table artifact of how often each check failed; what could not be read comes first."""
    n_rows, n_rejected = sum(one.n_rows for one in partitions), sum(one.n_rejected for one in partitions)
    failed = {"can be read": n_rejected} | dict.fromkeys((one.check for one in checked), 0)
    for one in checked:
        failed[one.check] += sum(file.n_failures for file in one.files)
    rows = [[name, f"{n_rows + (name == 'can be read') * n_rejected:,}", f"{n:,}"] for name, n in failed.items()]
    table = TextTable(["check", "rows", "failures"], rows)
    create_table_artifact(table.to_records(), key="checks", description="How often each check failed")


def summarise_file(places: PlaceOptions, reviews: Manifest) -> FileSummary:
    """Return how the file of some reviews was read, and what of it was put aside."""
    quarantine = local_file(places, reviews, layout.QUARANTINE)
    return FileSummary(
        n_rows=reviews.count("n_reviews") + reviews.count("n_quarantined"),
        reading=_reading(places, reviews),
        reasons=count_reasons(quarantine),
        put_aside=first_rows(quarantine, FIRST_QUARANTINED),
    )


def _reading(places: PlaceOptions, reviews: Manifest) -> Reading:
    """Return how the file of some reviews was read; nothing of those that were published before it was kept."""
    if not any(file.path == layout.READING for file in reviews.files):
        return Reading()
    return TypeAdapter(Reading).validate_json(local_file(places, reviews, layout.READING).read_bytes())


@task(name="show what was read", task_run_name="show what was read of {raw.files[0].path}")
def show_reading(places: PlaceOptions, raw: Manifest, reviews: Manifest, *, was_published: bool) -> None:
    """Show how a file was understood and what of it was put aside, in the log and as tables on Prefect's pages.

    Where the reviews were published before this run, nobody has logged yet how the file was understood.
    """
    summary = summarise_file(places, reviews)
    if was_published:
        _say_understood(summary.reading.understood)
    counts = (reviews.count(name) for name in ("n_reviews", "n_lines", "n_quarantined"))
    logger.bind(in_short=True).info("{:,} reviews of {:,} lines; {:,} in quarantine", *counts)
    tables = summary.tables()
    if summary.reasons:
        logger.bind(in_short=True).info("{}:\n{}", REASONS, tables[REASONS].to_text(_WIDTH))
    for loss in summary.reading.losses:
        logger.warning("{}", say_loss(loss))
    for about, table in tables.items():
        create_table_artifact(table.to_records(), key=KEYS[about], description=f"{raw.files[0].path}: {about}")
