"""Spark's alternating least squares, set up so that the same interactions give the same factors."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from pydantic import Field
from pyspark import StorageLevel
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as sf

from schema.columns import Columns
from schema.errors import InvalidInput
from schema.options import FrozenModel
from schema.parquet import WriteParquet
from spark.hadoop import delete, local_files, parquet_batches, scratch_uri

CHECKPOINT_INTERVAL = 10
ROWS_OF_BLOCK, MOST_BLOCKS = 250_000, 4
SECONDS_PER_DAY = 86_400
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
    alpha: float = Field(ge=0, description="confidence per interaction, implicit only: weight 1 + alpha * confidence")
    confidence: Literal["interactions", "ratings", "recency"] = Field(
        "interactions",
        description="implicit only: 1, a rating by the mean of the user's, or 0.5 ** (age / half-life), the age being "
        "that at the user's newest interaction",
    )
    half_life_days: float = Field(365.0, gt=0, description="age at which recency is half")
    maxiter: int = Field(ge=1, description="iterations, each of both sides")
    n_blocks: int | None = Field(
        None, ge=1, description="blocks of users and of items; part of the result's bytes; by default `blocks_for` all"
    )
    seed: int = Field(42, description="seed of the factors' start")


def factorise(
    session: SparkSession, train: Sequence[str], parameters: Factorisation, until: int | None = None
) -> ALSModel:
    """Fit ALS on interactions: implicit counts each by its confidence, explicit takes its rating.

    `train` are URIs of Parquet tables with user_idx, item_idx, rating and timestamp, whose rows are put together; those
    before a moment (Unix seconds), if one is given.

    Raises:
        InvalidInput: If there are no interactions, or some lack the rating or timestamp that the fit needs, or have no
            confidence above 0.
    """
    rows = read_interactions(session, train, until)
    n_blocks = parameters.n_blocks or blocks_for(rows.count())
    ratings = _ratings(rows, parameters, n_blocks).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        _require_values(ratings, train, parameters)
        return _estimator(parameters, n_blocks).fit(ratings)
    finally:
        ratings.unpersist()


def blocks_for(n_interactions: int) -> int:
    """Return into how many blocks ALS parts users, and items: each costs tasks, which few rows are not worth.

    Example:
        >>> [blocks_for(n) for n in (0, 60_000, 600_000, 1_700_000)]
        [1, 1, 3, 4]
    """
    return min(max(-(-n_interactions // ROWS_OF_BLOCK), 1), MOST_BLOCKS)


def read_interactions(session: SparkSession, uris: Sequence[str], until: int | None) -> DataFrame:
    """Return the rows of Parquet tables, or only those before a moment (Unix seconds)."""
    rows = session.read.parquet(*uris)
    return rows if until is None else rows.where(sf.col(Columns.TIMESTAMP) < until)


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


def _ratings(train: DataFrame, parameters: Factorisation, n_blocks: int) -> DataFrame:
    """Select the columns that ALS reads, with the same rows in the same order in the same partition.

    ALS adds floats in the order of the rows, so the result must not depend on the files or their partitions.
    """
    columns = (Columns.USER_IDX, Columns.ITEM_IDX, Columns.RATING)
    return (
        train.select(*columns[:2], _value(parameters).cast("float").alias(Columns.RATING))
        .repartition(n_blocks, Columns.USER_IDX)
        .sortWithinPartitions(*columns)
    )


def _value(parameters: Factorisation) -> Column:
    """Return what ALS takes for a rating: null where a row lacks what it is made of."""
    of_user = Window.partitionBy(Columns.USER_IDX)
    rating, timestamp = sf.col(Columns.RATING), sf.col(Columns.TIMESTAMP)
    if not parameters.implicit:
        return rating
    if parameters.confidence == "ratings":
        return sf.try_divide(rating, sf.avg(rating).over(of_user))
    if parameters.confidence == "recency":
        age_days = (sf.max(timestamp).over(of_user) - timestamp) / SECONDS_PER_DAY
        return sf.pow(sf.lit(0.5), age_days / parameters.half_life_days)
    return sf.lit(1.0)


def _require_values(ratings: DataFrame, train: Sequence[str], parameters: Factorisation) -> None:
    value = sf.col(Columns.RATING)
    counts = sf.count("*").alias("n_rows"), sf.count(value).alias("n_known"), sf.count_if(value <= 0).alias("n_low")
    [row] = ratings.agg(*counts).collect()
    if row.n_rows == 0:
        raise InvalidInput(f"{list(train)} hold 0 interactions; ALS needs at least 1. Give a larger share to train.")
    if row.n_known < row.n_rows:
        lacking, with_it = (
            ("timestamp", "confidence 'recency'")
            if parameters.implicit and parameters.confidence == "recency"
            else ("rating", "confidence 'ratings'" if parameters.implicit else "explicit ALS")
        )
        raise InvalidInput(
            f"{row.n_rows - row.n_known} of {row.n_rows} interactions in {list(train)} have no {lacking}; {with_it} "
            f"needs one for each. Fit with implicit=True and confidence interactions, or ingest again with {lacking}s."
        )
    if parameters.implicit and row.n_low:
        raise InvalidInput(
            f"{row.n_low} of {row.n_rows} interactions in {list(train)} have a confidence of 0 or less by their "
            f"{parameters.confidence}; expected ratings above 0, or a half-life that leaves the oldest some weight. "
            "Take a longer half-life, or confidence interactions."
        )


def _estimator(parameters: Factorisation, n_blocks: int) -> ALS:
    return ALS(
        userCol=Columns.USER_IDX,
        itemCol=Columns.ITEM_IDX,
        ratingCol=Columns.RATING,
        implicitPrefs=parameters.implicit,
        rank=parameters.rank,
        regParam=parameters.reg,
        alpha=parameters.alpha,
        maxIter=parameters.maxiter,
        numUserBlocks=n_blocks,
        numItemBlocks=n_blocks,
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
