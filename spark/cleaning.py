"""From reviews to pairs: a sample of the users, ids as numbers, and one review of each user and item."""

from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from schema.columns import Columns
from spark.indexing import number_ids
from spark.small import hinted

USER_KEY: Final = "user_key"
ITEM_KEY: Final = "item_key"
HASH_BITS = 53


def sample_users(reviews: DataFrame, fraction: float, seed: int) -> DataFrame:
    """Keep all reviews of a share of the users; whether one is kept depends on the id and the seed alone."""
    if fraction == 1:
        return reviews
    hashed = sf.xxhash64(sf.lit(seed), sf.col(Columns.USER_ID)).bitwiseAND((1 << HASH_BITS) - 1)
    return reviews.where(hashed < int(fraction * (1 << HASH_BITS)))


def number_rows(reviews: DataFrame) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Replace the ids of reviews by numbers, which every later shuffle moves and compares faster.

    Returns:
        The reviews with `user_key` and `item_key`; the users (`user_id`, `user_key`); the items likewise.
    """
    users = number_ids(reviews, Columns.USER_ID, USER_KEY)
    items = number_ids(reviews, Columns.ITEM_ID, ITEM_KEY)
    numbered = (
        reviews.join(hinted(users, users.count()), on=Columns.USER_ID, how="inner")
        .join(hinted(items, items.count()), on=Columns.ITEM_ID, how="inner")
        .select(USER_KEY, ITEM_KEY, Columns.RATING, Columns.TIMESTAMP, Columns.LINE)
    )
    return numbered, users, items


def latest_of_pairs(reviews: DataFrame) -> DataFrame:
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
