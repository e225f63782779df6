"""Real reviews: what is written equals what pandas leaves."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark.dataset import build_dataset
from spark.options import DatasetOptions

FIELDS = {"reviewerID": "user_id", "asin": "item_id", "overall": "rating", "unixReviewTime": "timestamp"}


def read_reviews(path: Path) -> pd.DataFrame:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        reviews = [json.loads(line) for line in lines]
    table = pd.DataFrame([{name: review[field] for field, name in FIELDS.items()} for review in reviews])
    table["rating"] = table["rating"].astype("float32")
    table["line"] = range(1, len(table) + 1)
    return table


def pandas_core(reviews: pd.DataFrame, k: int) -> pd.DataFrame:
    """Return what the latest of each pair and then the k-core leave of reviews."""
    left = reviews.sort_values(["timestamp", "line"]).drop_duplicates(["user_id", "item_id"], keep="last")
    while True:
        n_of_user = left.groupby("user_id")["item_id"].transform("size")
        n_of_item = left.groupby("item_id")["user_id"].transform("size")
        kept: pd.DataFrame = left[(n_of_user >= k) & (n_of_item >= k)]
        if len(kept) == len(left):
            return left.drop(columns="line")
        left = kept


def written(folder: Path) -> pd.DataFrame:
    """Read the interactions back with their outside ids."""
    tables = {name: pq.read_table(folder / f"{name}.parquet").to_pandas() for name in ("user_map", "item_map")}
    interactions = pq.read_table(folder / "interactions.parquet").to_pandas()
    named: pd.DataFrame = interactions.merge(tables["user_map"]).merge(tables["item_map"])
    return named


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "k"),
    [
        ("amazon-2018-5core-small/Appliances_5.json.gz", 2),
        ("amazon-2018-5core-small/AMAZON_FASHION_5.json.gz", 5),
        ("amazon-reviews-196k/reviews.json.gz", 20),
    ],
)
def test_build_dataset_equals_pandas(
    session: SparkSession, shared_data: Path, tmp_path: Path, name: str, k: int
) -> None:
    reviews = read_reviews(shared_data / name)
    pq.write_table(pa.Table.from_pandas(reviews, preserve_index=False), tmp_path / "reviews.parquet")
    counts = build_dataset(
        session, (tmp_path / "reviews.parquet").as_uri(), tmp_path / "out", DatasetOptions(min_interactions=k)
    )
    expected = pandas_core(reviews, k)
    order = ["user_id", "item_id"]
    pd.testing.assert_frame_equal(
        written(tmp_path / "out")[expected.columns].sort_values(order, ignore_index=True),
        expected.sort_values(order, ignore_index=True),
    )
    assert counts.n_reviews == len(reviews)
    assert counts.n_duplicates == reviews.duplicated(order).sum()
    assert (counts.n_interactions, counts.n_users, counts.n_items) == (
        len(expected),
        expected["user_id"].nunique(),
        expected["item_id"].nunique(),
    )


@pytest.mark.shared_data
def test_appliances_has_the_duplicates_that_are_known(session: SparkSession, shared_data: Path, tmp_path: Path) -> None:
    reviews = read_reviews(shared_data / "amazon-2018-5core-small" / "Appliances_5.json.gz")
    pq.write_table(pa.Table.from_pandas(reviews, preserve_index=False), tmp_path / "reviews.parquet")
    counts = build_dataset(session, str(tmp_path / "reviews.parquet"), tmp_path / "out", DatasetOptions())
    assert (counts.n_reviews, counts.n_reviews - counts.n_duplicates) == (2277, 183)
