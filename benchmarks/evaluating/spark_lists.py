"""Spark's own way: `recommendForAllUsers`, and ranking metrics of its lists as column expressions.

Spark leaves the items that a user has seen in the lists, so that its metrics are not those of the pipeline.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyspark.ml.recommendation import ALSModel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf

from benchmarks.evaluating.publishing import STORE, find_input
from benchmarks.evaluating.spark_model import write_spark_model
from evaluation.evaluate import DEFAULT_KS
from models.factors import FactorModel
from schema.columns import Columns
from spark.options import GIB, SparkOptions
from spark.session import open_session
from storage import artifacts, layout
from storage.local import LocalStore

MODEL = "als_model"
MOST_GIB = 16


@contextmanager
def open_contestant(folder: Path) -> Iterator[Callable[[], float]]:
    """Yield what recommends to all users, measures the lists and returns their NDCG@10; the JVM is up by then."""
    _, split, fit = find_input(folder)
    store = LocalStore(folder / STORE)
    write_spark_model(FactorModel.load(artifacts.checkout(store, fit, layout.FACTORS, folder)), folder / MODEL)
    test = artifacts.checkout(store, split, layout.TEST, folder)
    options = SparkOptions(spark_driver_memory=half_of_memory(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    with open_session(options, "evaluation") as session:
        yield lambda: _evaluate(session, folder / MODEL, test)


def half_of_memory(machine_bytes: int) -> str:
    """Return a heap of half the machine's memory, 1 to 16 GiB.

    Example:
        >>> half_of_memory(24 * 1024**3)
        '12g'
    """
    return f"{min(max(machine_bytes // 2 // GIB, 1), MOST_GIB)}g"


def measure_lists(recommended: DataFrame, test: DataFrame, ks: Sequence[int]) -> dict[str, float]:
    """Return NDCG, precision, MAP and recall at each cut-off, the means over users with test rows.

    Args:
        recommended: user_idx and recommendations, an array of structs with item_idx, best first.
        test: user_idx and item_idx of each test row.
        ks: Cut-offs.

    Returns:
        Such as ``ndcg_10``; in [0, 1].
    """
    relevant = test.groupBy(Columns.USER_IDX).agg(sf.collect_set(Columns.ITEM_IDX).alias("relevant"))
    ranks = sf.transform(
        sf.col(f"recommendations.{Columns.ITEM_IDX}"),
        lambda item, place: sf.when(sf.array_contains(sf.col("relevant"), item), place + 1),
    )
    hits = recommended.join(relevant, on=Columns.USER_IDX, how="inner").select(
        sf.filter(ranks, lambda rank: rank.isNotNull()).alias("ranks"), sf.size("relevant").alias("n_relevant")
    )
    means = [sf.avg(value).alias(f"{name}_{k}") for k in ks for name, value in _metrics_at(k).items()]
    [row] = hits.agg(*means).collect()
    return {name: float(value) for name, value in row.asDict().items()}


def _metrics_at(k: int) -> dict[str, Column]:
    hits, n_relevant = sf.filter(sf.col("ranks"), lambda rank: rank <= k), sf.col("n_relevant")
    ideal = sf.sequence(sf.lit(1), sf.least(n_relevant, sf.lit(k)))
    precisions = sf.transform(hits, lambda rank, place: (place + 1) / rank)
    return {
        "ndcg": _sum(sf.transform(hits, _discount)) / _sum(sf.transform(ideal, _discount)),
        "precision": sf.size(hits) / k,
        "map": _sum(precisions) / n_relevant,
        "recall": sf.size(hits) / n_relevant,
    }


def _discount(rank: Column) -> Column:
    return 1 / sf.log2(rank + 1)


def _sum(values: Column) -> Column:
    return sf.aggregate(values, sf.lit(0.0), lambda total, value: total + value)


def _evaluate(session: SparkSession, model: Path, test: Path) -> float:
    recommended = ALSModel.load(model.as_uri()).recommendForAllUsers(max(DEFAULT_KS))
    return measure_lists(recommended, session.read.parquet(test.as_uri()), DEFAULT_KS)["ndcg_10"]
