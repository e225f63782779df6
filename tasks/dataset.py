"""From reviews to interactions: duplicates, k-core and dense indices, by Spark."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from loguru import logger
from prefect import task
from prefect.artifacts import create_table_artifact

import schema.columns
import spark.canonical
import spark.cleaning
import spark.dataset
import spark.indexing
import spark.kcore
import spark.tables
from schema.dataset import DatasetCounts, KCorePass
from schema.errors import InvalidInput
from spark.options import DatasetOptions, SparkOptions
from storage import canonical, layout
from storage.identity import code_version
from storage.manifest import Manifest
from tasks.execution import COMPUTE_RETRIES
from tasks.options import PlaceOptions
from tasks.sessions import open_spark, spark_uri
from tasks.store import publish_once

CODE = code_version(
    spark.canonical, spark.cleaning, schema.columns, spark.dataset, spark.indexing, spark.kcore, spark.tables
)


@task(name="build dataset", task_run_name="build dataset of reviews {reviews.id}", **COMPUTE_RETRIES)
def build_dataset(
    places: PlaceOptions, reviews: Manifest, options: DatasetOptions, spark_options: SparkOptions
) -> Manifest:
    """Publish the interactions of the reviews: the latest of each pair, k-core, dense indices.

    Raises:
        InvalidInput: If the k-core leaves nothing, saying what smaller k would leave.
    """

    def build(folder: Path) -> dict[str, Any]:
        with open_spark(spark_options, places, "build dataset") as session:
            path = spark_uri(places, reviews, layout.REVIEWS)
            counts = spark.dataset.build_dataset(session, path, folder, options, log_pass)
        require_interactions(counts, options.min_interactions)
        passes = [asdict(core) for core in counts.passes]
        (folder / layout.K_CORE).write_bytes(canonical.encode({"passes": passes}, indent=2))
        create_table_artifact(passes, key="k-core", description="What each pass of the k-core left")
        return manifest_counts(counts, reviews)

    return publish_once(
        places,
        layout.DATASETS,
        inputs={"reviews": reviews.id},
        parameters=options.model_dump(mode="json"),
        code=CODE,
        build=build,
    )


def log_pass(core: KCorePass) -> None:
    """Log what one pass of the k-core left."""
    logger.info(
        "k-core pass {}: {:,} users, {:,} items, {:,} interactions",
        core.number,
        core.n_users,
        core.n_items,
        core.n_interactions,
    )


def require_interactions(counts: DatasetCounts, k: int) -> None:
    """Raise InvalidInput if nothing is left, naming what each smaller k would leave."""
    if counts.n_interactions:
        return
    left = "; ".join(
        f"k={smaller} would leave {rows:,} interactions of {users:,} users and {items:,} items"
        for smaller, (users, items, rows) in sorted(counts.left_by_k.items(), reverse=True)
    )
    raise InvalidInput(
        f"The {k}-core of {counts.n_reviews:,} reviews is empty: no set of users and items has at least {k} "
        f"interactions each. {left or 'No smaller k leaves more'}. "
        "Choose a smaller --min-interactions, or bring more reviews."
    )


def manifest_counts(counts: DatasetCounts, reviews: Manifest) -> dict[str, Any]:
    """Return the counts for the manifest."""
    return {
        "n_reviews": counts.n_reviews,
        "n_sampled": counts.n_sampled,
        "n_duplicates": counts.n_duplicates,
        "n_interactions": counts.n_interactions,
        "n_users": counts.n_users,
        "n_items": counts.n_items,
        "has_ratings": reviews.counts["has_ratings"],
        "has_timestamps": reviews.counts["has_timestamps"],
    }
