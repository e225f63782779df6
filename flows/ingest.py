"""From a reviews file to a dataset: reviews, quarantine, interactions, maps of ids and popular items."""

import sys
from collections.abc import Sequence
from typing import Any

from prefect import flow

from flows.command_line import run
from flows.notices import NOTICES
from flows.options import DaskOptions, NoticeOptions, RunOptions
from flows.results import dataset_record
from flows.running import run_flow
from flows.settings import Settings
from flows.stages import compare_reviews, ingest_reviews, make_dataset
from reviews.options import DownloadOptions, IngestOptions
from spark.options import DatasetOptions, SparkOptions
from tasks.options import DriftOptions, PlaceOptions, ReviewsInput

PARTS = (
    ReviewsInput,
    DownloadOptions,
    IngestOptions,
    DriftOptions,
    DatasetOptions,
    PlaceOptions,
    SparkOptions,
    DaskOptions,
    NoticeOptions,
    RunOptions,
)


@flow(name="ingest", flow_run_name="ingest {settings.input_name}", **NOTICES)
def ingest(settings: Settings) -> dict[str, Any]:
    """Fetch, read, check and index the reviews."""
    raw, reviews = ingest_reviews(settings)
    drift = compare_reviews(settings, raw, reviews)
    return dataset_record(raw, reviews, make_dataset(settings, reviews)) | {"drift": drift and drift.to_record()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the flow from the command line."""
    return run(
        lambda settings: run_flow(ingest, settings),
        PARTS,
        description=__doc__ or "",
        settings_type=Settings,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
