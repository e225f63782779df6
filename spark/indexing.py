"""Numbers for ids, which shuffles move and compare faster, and joins by them."""

from itertools import accumulate
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

BROADCAST_ROWS: Final = 1_000_000
PARTITION_BITS: Final = 33  # monotonically_increasing_id puts the partition above the lower 33 bits


def number_ids(rows: DataFrame, column: str, key: str) -> DataFrame:
    """Return the distinct ids of a column (one row each, materialised), with a unique long that differs by run."""
    return rows.select(column).distinct().withColumn(key, sf.monotonically_increasing_id()).localCheckpoint()


def index_ids(ids: DataFrame, column: str, index: str) -> DataFrame:
    """Add the dense index (int) of each id, one a row: 0, 1, 2, … by the bytes of its UTF-8 text.

    The rows are returned in the order of the index, materialised.
    """
    ordered = ids.orderBy(column).withColumn("position", sf.monotonically_increasing_id()).localCheckpoint()
    partition = sf.shiftrightunsigned("position", PARTITION_BITS).cast("int")
    sizes = {row[0]: row[1] for row in ordered.groupBy(partition).count().collect()}
    counts = [sizes.get(number, 0) for number in range(max(sizes, default=0) + 1)]
    starts = sf.array(*(sf.lit(start) for start in accumulate(counts, initial=0)))
    in_partition = sf.col("position").bitwiseAND((1 << PARTITION_BITS) - 1)
    dense = (sf.element_at(starts, partition + 1) + in_partition).cast("int")
    return ordered.withColumn(index, dense).drop("position")


def hinted(frame: DataFrame, n_rows: int) -> DataFrame:
    """Return the frame, marked for a broadcast join where it has at most a million rows.

    A checkpointed frame has no statistics, so without the mark Spark would shuffle both sides of every join.
    """
    return sf.broadcast(frame) if n_rows <= BROADCAST_ROWS else frame
