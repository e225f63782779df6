"""Build a dataset from reviews: one review of each user and item, the k-core, dense indices."""

from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from schema.columns import Columns
from schema.dataset import DatasetCounts, KCorePass
from schema.errors import InvalidInput
from schema.parquet import WriteParquet
from spark.indexing import hinted, number_ids
from spark.kcore import k_core
from spark.options import DatasetOptions
from spark.tables import ITEM_KEY, USER_KEY, write_tables

REVIEW_COLUMNS = (Columns.USER_ID, Columns.ITEM_ID, Columns.RATING, Columns.TIMESTAMP, Columns.LINE)
HASH_BITS = 53


def build_dataset(
    session: SparkSession,
    reviews: str,
    folder: Path,
    options: DatasetOptions,
    write_parquet: WriteParquet,
    on_pass: Callable[[KCorePass], None] = lambda _: None,
) -> DatasetCounts:
    """Write interactions, user_map, item_map and popular_items (.parquet) into a folder.

    The rows and their order depend on the reviews and the options alone, not on how the reviews lie in files or on
    machines.

    Reviews are the URI of a Parquet table: user_id, item_id, rating (nullable), timestamp (nullable), line. The folder
    is local, and made where it is missing; files of the same names are replaced. `on_pass` is called after each pass of
    the k-core.

    Returns:
        The counts of what was written. Nothing is written where the k-core leaves nothing.

    Raises:
        InvalidInput: If the table lacks a column.
    """
    rows = _read(session, reviews)
    n_reviews = rows.count()
    sampled = sample_users(rows, options.sample_fraction, options.sample_seed)
    n_sampled = n_reviews if options.sample_fraction == 1 else sampled.count()
    numbered, users, items = _number_rows(sampled)
    pairs = _latest_of_pairs(numbered).localCheckpoint()
    n_duplicates = n_sampled - pairs.count()

    core, passes = k_core(pairs, USER_KEY, ITEM_KEY, options.min_interactions, on_pass)
    if not passes[-1].n_interactions:
        left_by_k = _left_by_k(pairs, options.min_interactions)
        return DatasetCounts(n_reviews, n_sampled, n_duplicates, 0, 0, 0, passes, left_by_k)
    folder.mkdir(parents=True, exist_ok=True)
    written = write_tables(core, users, items, passes[-1], folder, write_parquet)
    return DatasetCounts(
        n_reviews,
        n_sampled,
        n_duplicates,
        n_interactions=written["interactions"],
        n_users=written["user_map"],
        n_items=written["item_map"],
        passes=passes,
    )


def _read(session: SparkSession, reviews: str) -> DataFrame:
    rows = session.read.parquet(reviews)
    missing = sorted(set(REVIEW_COLUMNS) - set(rows.columns))
    if missing:
        raise InvalidInput(
            f"{reviews} lacks column(s) {missing}; found {sorted(rows.columns)}. Ingest the raw reviews again."
        )
    return rows.select(*REVIEW_COLUMNS)


def sample_users(reviews: DataFrame, fraction: float, seed: int) -> DataFrame:
    """Keep all reviews of a share of the users; whether one is kept depends on the id and the seed alone."""
    if fraction == 1:
        return reviews
    hashed = sf.xxhash64(sf.lit(seed), sf.col(Columns.USER_ID)).bitwiseAND((1 << HASH_BITS) - 1)
    return reviews.where(hashed < int(fraction * (1 << HASH_BITS)))


def _number_rows(reviews: DataFrame) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Return reviews with `user_key` and `item_key` instead of ids; users (`user_id`, `user_key`); items likewise."""
    users = number_ids(reviews, Columns.USER_ID, USER_KEY)
    items = number_ids(reviews, Columns.ITEM_ID, ITEM_KEY)
    numbered = (
        reviews.join(hinted(users, users.count()), on=Columns.USER_ID, how="inner")
        .join(hinted(items, items.count()), on=Columns.ITEM_ID, how="inner")
        .select(USER_KEY, ITEM_KEY, Columns.RATING, Columns.TIMESTAMP, Columns.LINE)
    )
    return numbered, users, items


def _latest_of_pairs(reviews: DataFrame) -> DataFrame:
    """Keep one review of each user and item: the latest, and of those at the same time the last line.

    A review without timestamp is older than any with one.
    """
    newest = sf.max(sf.struct(Columns.TIMESTAMP, Columns.LINE, Columns.RATING)).alias("newest")
    return (
        reviews.repartition(sf.col(USER_KEY))
        .groupBy(USER_KEY, ITEM_KEY)
        .agg(newest)
        .select(USER_KEY, ITEM_KEY, f"newest.{Columns.RATING}", f"newest.{Columns.TIMESTAMP}")
    )


def _left_by_k(pairs: DataFrame, emptied_by: int) -> dict[int, tuple[int, int, int]]:
    """Return what each k below the one that left nothing would leave; each core lies within the one before."""
    left: dict[int, tuple[int, int, int]] = {}
    core = pairs
    for k in range(1, emptied_by):
        core, passes = k_core(core, USER_KEY, ITEM_KEY, k)
        left[k] = (passes[-1].n_users, passes[-1].n_items, passes[-1].n_interactions)
    return left
