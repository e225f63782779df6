"""Spark's own evaluation: `recommendForAllUsers`, and ranking metrics of its lists as column expressions.

Spark leaves the items that a user has seen in the lists, so that its metrics are not those of the pipeline.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
from numpy.typing import NDArray
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf

from benchmarks.measuring import Run
from evaluation.ranking import DEFAULT_KS
from models.factors import FactorModel
from schema.columns import Columns
from spark.factorise import FACTORS, FIXED_METADATA, METADATA
from spark.options import GIB, SparkOptions
from spark.session import open_session

MOST_GIB = 16
N_PARTS = 4  # as many as ALS has blocks, so that Spark reads and joins them side by side


@contextmanager
def open_spark_lists(model: FactorModel, test: Path, folder: Path) -> Iterator[Run]:
    """Yield what recommends to all users, measures the lists and returns their NDCG@10; the JVM is up by then.

    Args:
        model: What recommends.
        test: Parquet table of the test rows.
        folder: For the model in Spark's layout.
    """
    uri = (folder / "als_model").as_uri()
    write_spark_model(model, folder / "als_model")
    half_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 // GIB
    options = SparkOptions(spark_driver_memory=f"{min(max(half_gib, 1), MOST_GIB)}g")
    with open_session(options, "evaluation") as session:

        def run() -> float:
            recommended = ALSModel.load(uri).recommendForAllUsers(max(DEFAULT_KS))
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


def write_spark_model(model: FactorModel, folder: Path) -> None:
    """Write a model so that `ALSModel.load(folder)` reads it."""
    for name, factors in zip(FACTORS, (model.user_factors, model.item_factors), strict=True):
        (folder / name).mkdir(parents=True)
        for number, rows in enumerate(np.array_split(np.arange(len(factors), dtype=np.int32), N_PARTS)):
            table = factor_table(rows, factors[rows])
            pq.write_table(table, folder / name / f"part-{number:05d}.parquet", compression="zstd")
    (folder / METADATA).mkdir()
    metadata = json.dumps(describe_model(model.user_factors.shape[1]))
    (folder / METADATA / "part-00000").write_text(metadata + "\n", "utf-8")


def factor_table(rows: NDArray[np.int32], factors: NDArray[np.float32]) -> pa.Table:
    """Return a table of ``id`` and ``features``, none of which may be null."""
    starts = pa.array(np.arange(len(rows) + 1, dtype=np.int32) * factors.shape[1])
    element = pa.field("element", pa.float32(), nullable=False)
    features = pa.ListArray.from_arrays(starts, pa.array(factors.reshape(-1)), type=pa.list_(element))
    schema = pa.schema([pa.field("id", pa.int32(), nullable=False), pa.field("features", pa.list_(element))])
    return pa.table([pa.array(rows), features], schema=schema)


def describe_model(rank: int) -> dict[str, Any]:
    """Return the metadata of an ALS model with the columns of this project."""
    names = {"userCol": str(Columns.USER_IDX), "itemCol": str(Columns.ITEM_IDX)}
    defaults = {"coldStartStrategy": "nan", "itemCol": "item", "predictionCol": "prediction", "userCol": "user"}
    return {
        "class": "org.apache.spark.ml.recommendation.ALSModel",
        "sparkVersion": pyspark.__version__,
        "paramMap": {"blockSize": 4096, "coldStartStrategy": "drop", **names},
        "defaultParamMap": {"blockSize": 4096, **defaults},
        "rank": rank,
        **FIXED_METADATA,
    }
