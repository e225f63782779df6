"""Ingest: from a reviews file to a dataset of interactions, with a quarantine of the rows that are refused."""

import sys
from functools import partial
from typing import Any

from flows.cli import run_stage, stage
from flows.settings import DEFAULT, Environment, input_name, read
from reviews.options import DownloadOptions, IngestOptions
from spark.options import DatasetOptions, SparkOptions
from tasks.options import DriftOptions, ProductsInput, ReviewsInput


@stage(lambda reviews, **_: f"ingest {input_name(reviews)}")
def ingest(
    *,
    reviews: ReviewsInput = DEFAULT.reviews,
    products: ProductsInput = DEFAULT.products,
    dataset: DatasetOptions = DEFAULT.dataset,
    ingest: IngestOptions = DEFAULT.ingest,
    drift: DriftOptions = DEFAULT.drift,
) -> dict[str, Any]:
    """Fetch, read, check and index the reviews."""
    from flows.pipeline import compare_reviews, ingest_reviews, place_of, record_of
    from tasks.dataset import build_dataset
    from tasks.ingest import keep_file

    environment = read(Environment)
    raw, checked = ingest_reviews(environment, reviews, ingest)
    found = compare_reviews(environment, raw, checked, drift)
    sold = keep_file(environment.places, products.input_products) if products.input_products else None
    built = build_dataset(environment.places, checked, dataset, environment.spark, sold)
    record = record_of({"raw": raw, "reviews": checked, "dataset": built})
    record["ids"] |= checked.inputs
    uris = {"reviews": place_of(environment.places, checked), "dataset": place_of(environment.places, built)}
    return record | {"drift": found and found.to_record(), "uris": uris}


main = partial(run_stage, ingest, uses=(DownloadOptions, SparkOptions))


if __name__ == "__main__":
    sys.exit(main())
