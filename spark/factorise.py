"""Spark's alternating least squares, set up so that the same interactions give the same factors."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from pydantic import Field
from pyspark import StorageLevel
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from schema.columns import Columns
from schema.errors import InvalidInput
from schema.options import FrozenModel
from schema.parquet import WriteParquet
from spark.hadoop import delete, local_files, parquet_batches, scratch_uri

CHECKPOINT_INTERVAL = 10
SLICE_BYTES = 256 * 1024**2
METADATA = "metadata"
FACTORS = ("userFactors", "itemFactors")
FIXED_METADATA = {"timestamp": 0, "uid": "als"}

Factors = npt.NDArray[np.float32]


class Factorisation(FrozenModel):
    """Parameters of one factorisation."""

    implicit: bool = Field(description="learn from which items a user has (True) or from the ratings (False)")
    rank: int = Field(ge=1, description="length of a factor vector")
    reg: float = Field(ge=0, description="regularisation; Spark scales it by the number of a row's interactions")
    alpha: float = Field(ge=0, description="confidence per interaction, implicit only: weight 1 + alpha")
    maxiter: int = Field(ge=1, description="iterations, each of both sides")
    n_blocks: int = Field(4, ge=1, description="blocks of users and of items; part of the result's bytes")
    seed: int = Field(42, description="seed of the factors' start")


def factorise(session: SparkSession, train: Sequence[str], parameters: Factorisation) -> ALSModel:
    """Fit ALS on interactions: implicit counts each with weight 1, explicit takes its rating.

    `train` are URIs of Parquet tables with user_idx, item_idx and rating, whose rows are put together.

    Raises:
        InvalidInput: If there are no interactions, or an explicit fit finds some without rating.
    """
    ratings = _ratings(session.read.parquet(*train), parameters).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        _require_ratings(ratings, train)
        return _estimator(parameters).fit(ratings)
    finally:
        ratings.unpersist()


def factors_of(model: ALSModel, n_users: int, n_items: int) -> tuple[Factors, Factors]:
    """Return the user and item factors as C-contiguous float32 matrices, a row per dense index.

    An index without interactions in the training rows has a row of zeros.
    """
    return (
        _matrix(model.userFactors, n_users, model.rank),
        _matrix(model.itemFactors, n_items, model.rank),
    )


def save_model(model: ALSModel, folder: Path, write_parquet: WriteParquet) -> None:
    """Write a model so that `ALSModel.load(folder)` reads it and equal models give equal bytes.

    Part files are numbered instead of named at random, and rewritten, because Spark's Parquet writer lists the
    encodings of a column in an order that differs from one JVM to the next. The time and the random uid in the
    metadata are fixed, and Hadoop's checksum and marker files are left out. The model's session is open; the local
    folder is made where it is missing, and a model that is in it is replaced.
    """
    session = model.userFactors.sparkSession
    uri = scratch_uri(session, "als-model")
    model.write().save(uri)
    for name in FACTORS:
        _emptied(folder / name)
        for number, part in enumerate(local_files(session, f"{uri}/{name}", folder)):
            target = folder / name / f"part-{number:05d}.parquet"
            write_parquet(parquet_batches(part), target, pq.read_schema(part))
    _emptied(folder / METADATA)
    [metadata] = [json.loads(path.read_text()) for path in local_files(session, f"{uri}/{METADATA}", folder)]
    (folder / METADATA / "part-00000").write_text(json.dumps(metadata | FIXED_METADATA) + "\n")
    delete(session, uri)


def _ratings(train: DataFrame, parameters: Factorisation) -> DataFrame:
    """Select the columns that ALS reads, with the same rows in the same order in the same partition.

    ALS adds floats in the order of the rows, so the result must not depend on the files or their partitions.
    """
    rating = sf.lit(1.0) if parameters.implicit else sf.col(Columns.RATING)
    columns = (Columns.USER_IDX, Columns.ITEM_IDX, Columns.RATING)
    return (
        train.select(Columns.USER_IDX, Columns.ITEM_IDX, rating.cast("float").alias(Columns.RATING))
        .repartition(parameters.n_blocks, Columns.USER_IDX)
        .sortWithinPartitions(*columns)
    )


def _require_ratings(ratings: DataFrame, train: Sequence[str]) -> None:
    [row] = ratings.agg(sf.count("*").alias("n_rows"), sf.count(Columns.RATING).alias("n_rated")).collect()
    if row.n_rows == 0:
        raise InvalidInput(f"{list(train)} hold 0 interactions; ALS needs at least 1. Give a larger share to train.")
    if row.n_rated < row.n_rows:
        raise InvalidInput(
            f"{row.n_rows - row.n_rated} of {row.n_rows} interactions in {list(train)} have no rating; explicit ALS "
            "needs one for each. Fit with implicit=True, or ingest again with ratings."
        )


def _estimator(parameters: Factorisation) -> ALS:
    return ALS(
        userCol=Columns.USER_IDX,
        itemCol=Columns.ITEM_IDX,
        ratingCol=Columns.RATING,
        implicitPrefs=parameters.implicit,
        rank=parameters.rank,
        regParam=parameters.reg,
        alpha=parameters.alpha,
        maxIter=parameters.maxiter,
        numUserBlocks=parameters.n_blocks,
        numItemBlocks=parameters.n_blocks,
        seed=parameters.seed,
        checkpointInterval=CHECKPOINT_INTERVAL,
        coldStartStrategy="drop",
    )


def _matrix(factors: DataFrame, n_rows: int, rank: int) -> Factors:
    matrix = np.zeros((n_rows, rank), dtype=np.float32)
    for part in _slices(factors, n_rows, max(1, SLICE_BYTES // (4 * rank))):
        table = part.toArrow()
        rows = table["id"].to_numpy()
        matrix[rows] = table["features"].combine_chunks().flatten().to_numpy().reshape(len(rows), rank)
    return matrix


def _slices(factors: DataFrame, n_rows: int, slice_rows: int) -> Iterator[DataFrame]:
    """Yield the factors in ranges of ids, so that the driver's JVM never holds more than one range."""
    for start in range(0, n_rows, slice_rows):
        yield factors.where(sf.col("id").between(start, min(start + slice_rows, n_rows) - 1))


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
