"""The tables of a dataset: their schemas, their order, and how the pairs of the k-core fill them."""

from pathlib import Path
from typing import Final

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from schema.columns import Columns
from schema.dataset import KCorePass
from schema.parquet import WriteParquet
from spark.hadoop import stored_batches
from spark.indexing import hinted, index_ids

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


def write_tables(
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
