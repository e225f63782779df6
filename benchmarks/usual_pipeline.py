"""The recommender pipeline as it is usually written for Spark, to compare whole jobs with.

    python -m benchmarks.usual_pipeline reviews.json.gz /tmp/somewhere

Spark's JSON reader, one groupBy-join filter per pass of the 5-core, StringIndexer and Parquet; then explicit ALS of
rank 32 with six regularisations, each measured by RMSE and by precision and NDCG at 10 over every user's own held-out
rows. It prints the seconds of both halves, the counts and the figures as JSON.
"""

import json
import sys
import time
from pathlib import Path

from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.feature import StringIndexer
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as sf

USER, ITEM = "reviewerID", "asin"
K_CORE, RANK, MAX_ITER, K, GOOD_RATING = 5, 32, 10, 10, 4.0
REGS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def read_core(session: SparkSession, path: str) -> DataFrame:
    """Return the 5-core of the reviews, one of each user and item."""
    columns = USER, ITEM, sf.col("overall").alias("rating"), sf.col("unixReviewTime").alias("timestamp")
    rows = session.read.json(path).select(*columns).dropna().dropDuplicates([USER, ITEM]).cache()
    n_rows = rows.count()
    while True:
        for side in (USER, ITEM):
            kept = rows.groupBy(side).count().where(sf.col("count") >= K_CORE).select(side)
            rows = rows.join(kept, on=side)
        rows = rows.cache()
        n_before, n_rows = n_rows, rows.count()
        if n_rows == n_before:
            return rows


def write_dataset(rows: DataFrame, folder: Path) -> None:
    """Number users and items, and write the interactions."""
    indexer = StringIndexer(inputCols=[USER, ITEM], outputCols=["user_idx", "item_idx"])
    numbered = indexer.fit(rows).transform(rows)
    columns = sf.col("user_idx").cast("int"), sf.col("item_idx").cast("int"), "rating", "timestamp"
    numbered.select(USER, ITEM, *columns).write.mode("overwrite").parquet(str(folder / "interactions"))


def sweep(session: SparkSession, folder: Path) -> list[dict[str, float]]:
    """Return the figures of each point."""
    rows = session.read.parquet(str(folder / "interactions"))
    train, test = (part.cache() for part in rows.randomSplit([0.8, 0.2], seed=42))
    return [measure(train, test, reg) for reg in REGS]


def measure(train: DataFrame, test: DataFrame, reg: float) -> dict[str, float]:
    """Fit one point, and measure it on the held-out rows."""
    als = ALS(rank=RANK, maxIter=MAX_ITER, regParam=reg, coldStartStrategy="drop", seed=42)
    als = als.setUserCol("user_idx").setItemCol("item_idx").setRatingCol("rating")
    found = als.fit(train).transform(test).cache()
    rmse = RegressionEvaluator(labelCol="rating", metricName="rmse").evaluate(found)
    by_user = Window.partitionBy("user_idx")
    is_good, gain = (sf.col("rating") >= GOOD_RATING).cast("int"), 1 / sf.log2(sf.col("place") + 1)
    ranked = found.select(
        "user_idx",
        is_good.alias("is_good"),
        sf.row_number().over(by_user.orderBy(sf.desc("prediction"))).alias("place"),
        sf.row_number().over(by_user.orderBy(sf.desc(is_good))).alias("ideal"),
    )
    ideal_gain = 1 / sf.log2(sf.col("ideal") + 1)
    sums = ranked.groupBy("user_idx").agg(
        sf.sum(sf.when(sf.col("place") <= K, sf.col("is_good"))).alias("hits"),
        sf.count(sf.when(sf.col("place") <= K, 1)).alias("n"),
        sf.sum(sf.when(sf.col("place") <= K, sf.col("is_good") * gain)).alias("dcg"),
        sf.sum(sf.when(sf.col("ideal") <= K, sf.col("is_good") * ideal_gain)).alias("ideal_dcg"),
    )
    ndcg = sf.when(sf.col("ideal_dcg") > 0, sf.col("dcg") / sf.col("ideal_dcg")).otherwise(0.0)
    row = sums.agg(sf.avg(sf.col("hits") / sf.col("n")).alias("precision"), sf.avg(ndcg).alias("ndcg")).first()
    found.unpersist()
    assert row is not None  # noqa: S101 - a mean over all users
    return {"reg": reg, "rmse": rmse, "precision_10": row.precision, "ndcg_10": row.ndcg}


def main(path: str, folder: str) -> None:
    """Run the pipeline, and print what it took."""
    builder = SparkSession.builder.master("local[*]").appName("usual").config("spark.driver.memory", "8g")
    session = builder.config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    started = time.perf_counter()
    rows = read_core(session, path)
    write_dataset(rows, Path(folder))
    counts = {"n_interactions": rows.count()}
    rows.unpersist()
    middle = time.perf_counter()
    points = sweep(session, Path(folder))
    seconds = {"dataset_seconds": middle - started, "sweep_seconds": time.perf_counter() - middle}
    session.stop()
    print(json.dumps({**seconds, **counts, "points": points}))


if __name__ == "__main__":
    main(*sys.argv[1:])
