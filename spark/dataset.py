"""Build a dataset from reviews: one review of each user and item, the k-core, dense indices."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from schema.columns import Columns
from schema.dataset import DatasetCounts, KCorePass
from schema.errors import InvalidInput
from schema.parquet import WriteParquet
from spark.hadoop import stored_batches
from spark.indexing import hinted, index_ids, number_ids
from spark.kcore import k_core
from spark.options import DatasetOptions, Repeats

REVIEW_COLUMNS = (Columns.USER_ID, Columns.ITEM_ID, Columns.RATING, Columns.TIMESTAMP, Columns.LINE)
HASH_BITS = 53
USER_KEY: Final = "user_key"
ITEM_KEY: Final = "item_key"
_USER_IDX = pa.field(Columns.USER_IDX, pa.int32())
_ITEM_IDX = pa.field(Columns.ITEM_IDX, pa.int32())
_RATING = pa.field(Columns.RATING, pa.float32())
_TIMESTAMP = pa.field(Columns.TIMESTAMP, pa.int64())
INTERACTIONS = pa.schema([_USER_IDX, _ITEM_IDX, _RATING, _TIMESTAMP])
USER_MAP = pa.schema([_USER_IDX, pa.field(Columns.USER_ID, pa.string())])
ITEM_MAP = pa.schema([_ITEM_IDX, pa.field(Columns.ITEM_ID, pa.string())])
POPULAR_ITEMS = pa.schema(
    [*ITEM_MAP, pa.field(Columns.N_INTERACTIONS, pa.int64()), pa.field(Columns.MEAN_RATING, pa.float64())]
)


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
    pairs = _one_of_each_pair(numbered, options.repeats).localCheckpoint()
    n_duplicates = n_sampled - pairs.count()

    core, passes = k_core(pairs, USER_KEY, ITEM_KEY, options.min_interactions, on_pass)
    if not passes[-1].n_interactions:
        left_by_k = _left_by_k(pairs, options.min_interactions)
        return DatasetCounts(n_reviews, n_sampled, n_duplicates, 0, 0, 0, passes, left_by_k)
    folder.mkdir(parents=True, exist_ok=True)
    written = _write_tables(core, users, items, passes[-1], folder, write_parquet)
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


def _one_of_each_pair(reviews: DataFrame, repeats: Repeats) -> DataFrame:
    """Keep one whole review of each user and item: the first or the latest, and of those at one time by the line.

    A review without timestamp counts only where no other of its pair has one.
    """
    is_dated, place = sf.col(Columns.TIMESTAMP).isNotNull(), (Columns.TIMESTAMP, Columns.LINE, Columns.RATING)
    kept = sf.max(sf.struct(*place)) if repeats == "latest" else sf.min(sf.struct(~is_dated, *place))
    return (
        reviews.repartition(sf.col(USER_KEY))
        .groupBy(USER_KEY, ITEM_KEY)
        .agg(kept.alias("kept"))
        .select(USER_KEY, ITEM_KEY, f"kept.{Columns.RATING}", f"kept.{Columns.TIMESTAMP}")
    )


def _left_by_k(pairs: DataFrame, emptied_by: int) -> dict[int, tuple[int, int, int]]:
    """Return what each k below the one that left nothing would leave; each core lies within the one before."""
    left: dict[int, tuple[int, int, int]] = {}
    core = pairs
    for k in range(1, emptied_by):
        core, passes = k_core(core, USER_KEY, ITEM_KEY, k)
        left[k] = (passes[-1].n_users, passes[-1].n_items, passes[-1].n_interactions)
    return left


def _write_tables(
    core: DataFrame, users: DataFrame, items: DataFrame, left: KCorePass, folder: Path, write_parquet: WriteParquet
) -> dict[str, int]:
    """Write the four tables of a dataset, one file each, and return the rows written by name of the table.

    The core has user_key, item_key, rating and timestamp, and is materialised; users (user_id, user_key) and items
    hold those in the core at least; the local folder exists.
    """
    user_map = index_ids(_left(users, core, USER_KEY, left.n_users), Columns.USER_ID, Columns.USER_IDX)
    item_map = index_ids(_left(items, core, ITEM_KEY, left.n_items), Columns.ITEM_ID, Columns.ITEM_IDX)
    tables = {
        "interactions": (_indexed(core, user_map, item_map, left), INTERACTIONS),
        "user_map": (user_map, USER_MAP),
        "item_map": (item_map, ITEM_MAP),
        "popular_items": (_popular_items(core, hinted(item_map, left.n_items)), POPULAR_ITEMS),
    }
    return {
        name: write_parquet(stored_batches(table.select(*schema.names), folder), folder / f"{name}.parquet", schema)
        for name, (table, schema) in tables.items()
    }


def _popular_items(core: DataFrame, item_map: DataFrame) -> DataFrame:
    """Count the interactions of each item and average its ratings, most popular first, then by index.

    The sum of float32 ratings in double precision is exact for any sane range, so that order cannot show.
    """
    counts = core.groupBy(ITEM_KEY).agg(
        sf.count("*").alias(Columns.N_INTERACTIONS), sf.avg(Columns.RATING).alias(Columns.MEAN_RATING)
    )
    return counts.join(item_map, on=ITEM_KEY, how="inner").orderBy(sf.desc(Columns.N_INTERACTIONS), Columns.ITEM_IDX)


def _left(ids: DataFrame, core: DataFrame, key: str, n_left: int) -> DataFrame:
    return ids.join(hinted(core.select(key).distinct(), n_left), on=key, how="left_semi")


def _indexed(core: DataFrame, user_map: DataFrame, item_map: DataFrame, left: KCorePass) -> DataFrame:
    """Order the interactions by user_idx, timestamp, item_idx: partitions are ranges of the dense user_idx."""
    n_partitions = int(core.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    users_per_partition = -(-left.n_users // n_partitions)
    return (
        core.join(hinted(user_map, left.n_users), on=USER_KEY, how="inner")
        .join(hinted(item_map, left.n_items), on=ITEM_KEY, how="inner")
        .select(*INTERACTIONS.names)
        .repartitionById(n_partitions, (sf.col(Columns.USER_IDX) / users_per_partition).cast("int"))
        .sortWithinPartitions(Columns.USER_IDX, Columns.TIMESTAMP, Columns.ITEM_IDX)
    )
