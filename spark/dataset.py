"""From reviews to the tables that everything later reads: interactions, the maps of ids, and popular items."""

from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from schema.columns import Columns
from schema.dataset import DatasetCounts, KCorePass
from spark.cleaning import ITEM_KEY, USER_KEY, latest_of_pairs, number_rows, sample_users
from spark.kcore import k_core
from spark.options import DatasetOptions
from spark.tables import write_tables

REVIEW_COLUMNS = (Columns.USER_ID, Columns.ITEM_ID, Columns.RATING, Columns.TIMESTAMP, Columns.LINE)


def build_dataset(
    session: SparkSession,
    reviews: str,
    folder: Path,
    options: DatasetOptions,
    on_pass: Callable[[KCorePass], None] = lambda _: None,
) -> DatasetCounts:
    """Write interactions, user_map, item_map and popular_items (.parquet) into a folder.

    The bytes depend on the reviews and the options alone, not on how the rows lie in files or on machines.

    Args:
        session: An open session.
        reviews: URI of a Parquet table: user_id, item_id, rating (nullable), timestamp (nullable), line.
        folder: A local folder, made where it is missing; files of the same names are replaced.
        options: Which reviews are kept.
        on_pass: Called after each pass of the k-core.

    Returns:
        The counts of what was written. Nothing is written where the k-core leaves nothing.

    Raises:
        ValueError: If the table lacks a column.
    """
    rows = _read(session, reviews)
    n_reviews = rows.count()
    sampled = sample_users(rows, options.sample_fraction, options.sample_seed)
    n_sampled = n_reviews if options.sample_fraction == 1 else sampled.count()
    numbered, users, items = number_rows(sampled)
    pairs = latest_of_pairs(numbered).localCheckpoint()
    n_duplicates = n_sampled - pairs.count()

    passes: list[KCorePass] = []
    core = k_core(pairs, USER_KEY, ITEM_KEY, options.min_interactions, passes.append, on_pass)
    if not passes[-1].n_interactions:
        left_by_k = _left_by_k(pairs, options.min_interactions)
        return DatasetCounts(n_reviews, n_sampled, n_duplicates, 0, 0, 0, tuple(passes), left_by_k)
    folder.mkdir(parents=True, exist_ok=True)
    written = write_tables(core, users, items, passes[-1], folder)
    return DatasetCounts(
        n_reviews,
        n_sampled,
        n_duplicates,
        written["interactions"],
        written["user_map"],
        written["item_map"],
        tuple(passes),
    )


def _read(session: SparkSession, reviews: str) -> DataFrame:
    rows = session.read.parquet(reviews)
    missing = sorted(set(REVIEW_COLUMNS) - set(rows.columns))
    if missing:
        raise ValueError(
            f"{reviews} lacks column(s) {missing}; found {sorted(rows.columns)}. Ingest the raw reviews again."
        )
    return rows.select(*REVIEW_COLUMNS)


def _left_by_k(pairs: DataFrame, emptied_by: int) -> dict[int, tuple[int, int, int]]:
    """Say what each k below the one that left nothing would leave; each core lies within the one before."""
    left: dict[int, tuple[int, int, int]] = {}
    core = pairs
    for k in range(1, emptied_by):
        passes: list[KCorePass] = []
        core = k_core(core, USER_KEY, ITEM_KEY, k, passes.append)
        left[k] = (passes[-1].n_users, passes[-1].n_items, passes[-1].n_interactions)
    return left
