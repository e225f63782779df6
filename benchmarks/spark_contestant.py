"""Spark's own evaluation: `recommendForAllUsers`, and ranking metrics of its lists as column expressions.

Spark leaves the items that a user has seen in the lists, so that its metrics are not those of the pipeline.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow.dataset import write_dataset
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as sf

from benchmarks.contestants import STORE, find_input, read_factors
from benchmarks.measuring import Run
from evaluation.ranking import DEFAULT_KS
from models.factors import FactorModel
from schema.columns import Columns
from spark.factorise import FACTORS
from spark.options import GIB, SparkOptions, machine_bytes
from spark.session import open_session
from storage import artifacts, layout
from storage.local import LocalStore

JAVA_MODEL = "org.apache.spark.ml.recommendation.ALSModel"
MOST_GIB = 16
N_PARTS = 4  # as many as ALS has blocks, so that Spark reads and joins them side by side


@contextmanager
def open_spark(folder: str) -> Iterator[Run]:
    """Yield what recommends to all users, measures the lists and returns their NDCG@10; the JVM is up by then."""
    place = Path(folder)
    test = artifacts.checkout(LocalStore(place / STORE), find_input(place)[0], layout.TEST, place)
    gib = min(max(machine_bytes() // 2 // GIB, 1), MOST_GIB)
    options = SparkOptions(spark_driver_memory=f"{gib}g")
    with open_session(options, "evaluation") as session:
        own = load_model(session, read_factors(place), place / "als_model")

        def run() -> float:
            recommended = own.recommendForAllUsers(max(DEFAULT_KS))
            return measure_lists(recommended, session.read.parquet(test.as_uri()), DEFAULT_KS)["ndcg_10"]

        yield run


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


def load_model(session: SparkSession, model: FactorModel, folder: Path) -> ALSModel:
    """Return a model as Spark's own, its factors in Parquet files in a folder as Spark's `ALSModel.load` reads them."""
    frames = []
    for name, factors in zip(FACTORS, (model.user_factors, model.item_factors), strict=True):
        n_rows = len(factors)
        features = pa.FixedSizeListArray.from_arrays(factors.reshape(-1), factors.shape[1]).cast(pa.list_(pa.float32()))
        table = pa.table({"id": np.arange(n_rows, dtype=np.int32), "features": features})
        of_part = -(-n_rows // N_PARTS)
        write_dataset(table, folder / name, format="parquet", max_rows_per_file=of_part, max_rows_per_group=of_part)
        frames.append(session.read.parquet((folder / name).as_uri()))
    rank, of_spark = model.item_factors.shape[1], [frame._jdf for frame in frames]
    java = ALSModel._new_java_obj(JAVA_MODEL, "als", rank, *of_spark)
    return ALSModel(java.setUserCol(Columns.USER_IDX).setItemCol(Columns.ITEM_IDX))
