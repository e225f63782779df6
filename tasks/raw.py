"""Download or find the raw file, and keep its bytes in the store."""

import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from loguru import logger
from prefect import task
from prefect.runtime import task_run

from reviews.download import Download, download, is_url, use_local
from reviews.options import DownloadOptions
from reviews.transfer import without_credentials
from storage import artifacts, layout
from storage.manifest import Manifest
from tasks.execution import NETWORK_RETRIES, progress
from tasks.options import PlaceOptions, ReviewsInput
from tasks.store import scratch_folder


def name_fetch() -> str:
    """Return the name of the task run: 'fetch raw file ' and the file's name, without credentials and query."""
    source, options = task_run.parameters["source"], task_run.parameters["options"]
    named = source.input_reviews or str(options.raw_reviews_path)
    return f"fetch raw file {key_name((urlsplit(named).path if is_url(named) else named).rsplit('/', 1)[-1])}"


@task(name="fetch raw file", task_run_name=name_fetch, **NETWORK_RETRIES)
def fetch_raw(places: PlaceOptions, source: ReviewsInput, options: DownloadOptions) -> Manifest:
    """Download the reviews, or take the file that is named, and keep its bytes under their SHA-256."""
    return _keep(places, _fetch(source.input_reviews, options))


@task(name="keep file", task_run_name="keep {path}")
def keep_file(places: PlaceOptions, path: Path) -> Manifest:
    """Keep a local file, such as product metadata, under its SHA-256, as the reviews are kept."""
    return _keep(places, use_local(path))


def raw_file(places: PlaceOptions, raw: Manifest) -> Path:
    """Return a local file that holds the raw bytes."""
    return artifacts.checkout(places.open_store(), raw, raw.files[0].path, places.cache_dir)


def _fetch(named: str | None, options: DownloadOptions) -> Download:
    pinned = options.raw_reviews_sha256
    if named and not is_url(named):
        return use_local(Path(named.removeprefix("file://")), sha256=pinned)
    url, target = options.raw_reviews_url, options.raw_reviews_path
    if named:
        url, target = named, target.parent / key_name(urlsplit(named).path.rsplit("/", 1)[-1])
    with progress(f"Downloading {without_credentials(url)}", key="download", unit="B") as advance:
        got = download(url, target, sha256=pinned, progress=advance)
    state = "is already there" if got.was_present else "downloaded"
    logger.info("{} {} ({:,} bytes)", got.path, state, got.size_bytes)
    return got


def _keep(places: PlaceOptions, got: Download) -> Manifest:
    store, path, digest = places.open_store(), got.path, got.sha256
    found = artifacts.find(store, layout.RAW, digest)
    if found:
        logger.info("{} is already kept as raw/{}", path.name, digest[:16])
        return found
    with scratch_folder(places, layout.RAW) as folder:
        _link_or_copy(path, folder / key_name(path.name))
        kept = artifacts.publish(
            store,
            layout.RAW,
            digest,
            folder,
            inputs={},
            parameters={},
            code_version="",
            counts={"size_bytes": got.size_bytes},
        )
    logger.info("{} kept as raw/{}", path.name, digest[:16])
    return kept


def key_name(name: str) -> str:
    """Return a file name that any store can hold as a key."""
    return re.sub(r"[^A-Za-z0-9._=+-]", "_", name).lstrip(".")[-200:] or "reviews"


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
