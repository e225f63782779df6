"""Links between items by the users that they share, for interactions that one machine cannot hold."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as sf

from schema.columns import Columns
from schema.options import FrozenModel
from spark.factorise import read_interactions
from spark.hadoop import stored_batches
from spark.indexing import hinted

ItemLinks = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]


class Linking(FrozenModel):
    """Parameters of the links; what they mean is said in `models.item_graph`."""

    is_timed: bool = Field(description="count links in the order of time, which every interaction must have")
    neighbours: int = Field(ge=1, description="strongest links kept of each item")
    user_items: int = Field(ge=1, description="newest items of a user that count, of one moment those of lowest index")
    user_damping: float = Field(description="power of 1 / n of a user with n items")
    power: float = Field(description="power of the sum over shared users")
    source_damping: float = Field(description="power of 1 / n of the item that a link starts at")
    target_damping: float = Field(description="power of 1 / n of the item that it leads to")
    backward: float = Field(description="how much a link back in time counts, beside one forward")
    gap_decay: float = Field(description="how much a pair counts for each moment between its events")


def has_times(session: SparkSession, train: Sequence[str], until: int | None = None) -> bool:
    """Return whether every interaction has a timestamp."""
    return read_interactions(session, train, until).where(sf.col(Columns.TIMESTAMP).isNull()).isEmpty()


def link_items(
    session: SparkSession,
    train: Sequence[str],
    parameters: Linking,
    n_items: int,
    cache: Path,
    until: int | None = None,
) -> ItemLinks:
    """Return the strongest links of each item to others: what `models.item_graph` makes of the same interactions.

    Strengths are those of one machine to 1e-6, for Spark adds up the same numbers in another order. Neither the
    driver's JVM nor this process holds more than the links that are kept.

    Args:
        session: An open session.
        train: URIs of Parquet tables with user_idx, item_idx and timestamp, whose rows are put together.
        parameters: What the links are made by.
        n_items: Items of the dataset.
        cache: A local folder for one file at a time.
        until: Leave out interactions at this moment and later (Unix seconds).

    Returns:
        indptr (int64, n_items + 1); items (int32), those of i from indptr[i] to indptr[i + 1], strongest first and
        equal ones by index; strengths (float32, above 0); and the number of users of each item (int64, n_items).
    """
    events = _events(read_interactions(session, train, until), parameters).persist(StorageLevel.MEMORY_AND_DISK)
    n_users_of = events.groupBy(Columns.ITEM_IDX).count()
    n_users = np.zeros(n_items, dtype=np.int64)
    kept = [(*np.empty((3, 0), dtype=np.int32), np.empty(0, dtype=np.float32))]
    try:
        for batch in stored_batches(n_users_of, cache):
            item, count = (column.to_numpy() for column in batch.columns)
            n_users[item] = count
        strongest = _strongest(_sums(events, parameters), hinted(n_users_of, n_items), parameters)
        kept += [tuple(column.to_numpy() for column in batch.columns) for batch in stored_batches(strongest, cache)]
    finally:
        events.unpersist()
    item, place, other, strength = map(np.concatenate, zip(*kept, strict=True))
    order = np.lexsort((place, item))
    counts = np.bincount(item, minlength=n_items)
    return np.concatenate([[0], np.cumsum(counts)]), other[order], strength[order], n_users


def _events(rows: DataFrame, parameters: Linking) -> DataFrame:
    """Return each user and item once, with the number of the moment among the user's and the weight of the user."""
    of_user = Window.partitionBy(Columns.USER_IDX)
    time = sf.col(Columns.TIMESTAMP) if parameters.is_timed else sf.lit(0)
    place = sf.row_number().over(of_user.orderBy(sf.desc("time"), Columns.ITEM_IDX))
    return (
        rows.repartition(sf.col(Columns.USER_IDX))
        .groupBy(Columns.USER_IDX, Columns.ITEM_IDX)
        .agg(sf.max(time).alias("time"))
        .withColumn("place", place)
        .where(sf.col("place") <= parameters.user_items)
        .select(
            Columns.USER_IDX,
            Columns.ITEM_IDX,
            sf.dense_rank().over(of_user.orderBy("time")).alias("moment"),
            sf.pow(sf.count("*").over(of_user), sf.lit(-parameters.user_damping)).alias("weight"),
        )
    )


def _sums(events: DataFrame, parameters: Linking) -> DataFrame:
    """Return the sum over the users of two items, for both directions: item, other, shared.

    Each pair of a user is met once, by ascending item. Half of a pair of one moment goes each way.
    """
    first = events.withColumnRenamed(Columns.ITEM_IDX, "item")
    second = events.select(
        Columns.USER_IDX, sf.col(Columns.ITEM_IDX).alias("other"), sf.col("moment").alias("moment_of_other")
    )
    gap = sf.col("moment_of_other") - sf.col("moment")
    decayed = sf.pow(sf.lit(parameters.gap_decay), sf.abs(gap) - 1)
    counted = sf.col("weight") * sf.when(gap == 0, 0.5).otherwise(decayed)
    onward = sf.sum(sf.when(gap >= 0, counted).otherwise(0.0)).alias("onward")
    back = sf.sum(sf.when(gap <= 0, counted).otherwise(0.0)).alias("back")
    pairs = first.join(second, on=Columns.USER_IDX, how="inner").where(sf.col("item") < sf.col("other"))
    backward = parameters.backward if parameters.is_timed else 1.0

    def link(start: str, end: str, with_time: str, against: str) -> Column:
        shared = sf.col(with_time) + backward * sf.col(against)
        return sf.struct(sf.col(start).alias("item"), sf.col(end).alias("other"), shared.alias("shared"))

    both = sf.array(link("item", "other", "onward", "back"), link("other", "item", "back", "onward"))
    return pairs.groupBy("item", "other").agg(onward, back).select(sf.inline(both))


def _strongest(sums: DataFrame, n_users_of: DataFrame, parameters: Linking) -> DataFrame:
    """Return the strongest links of each item: item, place (from 1), other, strength."""
    source, target = (
        n_users_of.select(
            sf.col(Columns.ITEM_IDX).alias(end), sf.pow("count", sf.lit(-damping)).alias(f"damping_of_{end}")
        )
        for end, damping in (("item", parameters.source_damping), ("other", parameters.target_damping))
    )
    strength = sf.pow("shared", sf.lit(parameters.power)) * sf.col("damping_of_item") * sf.col("damping_of_other")
    of_item = Window.partitionBy("item").orderBy(sf.desc("strength"), "other")
    return (
        sums.join(source, on="item", how="inner")
        .join(target, on="other", how="inner")
        .select("item", "other", strength.cast("float").alias("strength"))
        .where(sf.col("strength") > 0)
        .withColumn("place", sf.row_number().over(of_item))
        .where(sf.col("place") <= parameters.neighbours)
        .select("item", "place", "other", "strength")
    )
