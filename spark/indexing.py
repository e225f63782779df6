"""Numbers for ids: any unique number to work with, and the dense index that is published."""

from itertools import accumulate

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

PARTITION_BITS = 33  # monotonically_increasing_id puts the partition above the lower 33 bits


def number_ids(rows: DataFrame, column: str, key: str) -> DataFrame:
    """Return the distinct ids of a column, each with a unique long: fit for joins, not stable between runs.

    Returns:
        `column`, `key`; one row per id, materialised.
    """
    return rows.select(column).distinct().withColumn(key, sf.monotonically_increasing_id()).localCheckpoint()


def index_ids(ids: DataFrame, column: str, index: str) -> DataFrame:
    """Add the dense index of each row in the order of an id: 0, 1, 2, … by the bytes of its UTF-8 text.

    Args:
        ids: One row per id.
        column: The id.
        index: Name of the int column to add.

    Returns:
        The rows in order of the index, materialised.
    """
    ordered = ids.orderBy(column).withColumn("position", sf.monotonically_increasing_id()).localCheckpoint()
    partition = sf.shiftrightunsigned("position", PARTITION_BITS).cast("int")
    sizes = {row[0]: row[1] for row in ordered.groupBy(partition).count().collect()}
    counts = [sizes.get(number, 0) for number in range(max(sizes, default=0) + 1)]
    starts = sf.array(*(sf.lit(start) for start in accumulate(counts, initial=0)))
    in_partition = sf.col("position").bitwiseAND((1 << PARTITION_BITS) - 1)
    dense = (sf.element_at(starts, partition + 1) + in_partition).cast("int")
    return ordered.withColumn(index, dense).drop("position")
