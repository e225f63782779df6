"""The k-core of a graph of users and items: the largest part in which everybody has k neighbours."""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from schema.dataset import KCorePass
from spark.indexing import hinted


@dataclass(frozen=True)
class _Degrees:
    """The nodes of both sides with their number of interactions, and what that sums to."""

    table: DataFrame
    n_nodes: dict[str, int]
    n_low: dict[str, int]
    n_interactions: int


def k_core(
    edges: DataFrame, user: str, item: str, k: int, on_pass: Callable[[KCorePass], None] = lambda _: None
) -> tuple[DataFrame, tuple[KCorePass, ...]]:
    """Drop users and items with fewer than k interactions, again and again until all have k.

    A pass counts both sides at once and drops every low node; what is left in the end does not depend on the order.

    Edges have one row per user and item, named by columns of longs, and are materialised, since each pass reads them
    twice. k is 1 or more; `on_pass` is called after each pass with what it left.

    Returns:
        The edges left, materialised, with all their columns; and what each pass left.
    """
    passes: list[KCorePass] = []
    degrees = _degrees(edges, user, item, k)
    while True:
        is_done = not any(degrees.n_low.values())
        if not is_done:
            edges = _without_low(edges, degrees, k)
            degrees = _degrees(edges, user, item, k)
        n_users, n_items = degrees.n_nodes[user], degrees.n_nodes[item]
        passes.append(KCorePass(len(passes) + 1, n_users, n_items, degrees.n_interactions))
        on_pass(passes[-1])
        if is_done:
            return edges, tuple(passes)


def _degrees(edges: DataFrame, user: str, item: str, k: int) -> _Degrees:
    sides = [
        edges.groupBy(sf.col(side).alias("node")).agg(sf.count("*").alias("degree")).withColumn("side", sf.lit(side))
        for side in (user, item)
    ]
    table = sides[0].unionAll(sides[1]).localCheckpoint()
    totals = table.groupBy("side").agg(
        sf.count("*").alias("n_nodes"),
        sf.count_if(sf.col("degree") < k).alias("n_low"),
        sf.sum("degree").alias("n_interactions"),
    )
    by_side = {row.side: row for row in totals.collect()}
    return _Degrees(
        table,
        {side: by_side[side].n_nodes if by_side else 0 for side in (user, item)},
        {side: by_side[side].n_low if by_side else 0 for side in (user, item)},
        by_side[user].n_interactions if by_side else 0,
    )


def _without_low(edges: DataFrame, degrees: _Degrees, k: int) -> DataFrame:
    for side, n_low in degrees.n_low.items():
        if n_low:
            is_low = (sf.col("side") == side) & (sf.col("degree") < k)
            low = degrees.table.where(is_low).select(sf.col("node").alias(side))
            edges = edges.join(hinted(low, n_low), on=side, how="left_anti")
    return edges.localCheckpoint()
