"""The dataset of small graphs that a reader can check, and of real reviews as pandas leaves them."""

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from schema.dataset import DatasetCounts, KCorePass
from spark.dataset import build_dataset, sample_users
from spark.options import DatasetOptions
from storage.parquet import write_parquet

Review = tuple[str, str, float | None, int | None]

REVIEWS = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("rating", pa.float32()),
        ("timestamp", pa.int64()),
        ("line", pa.int64()),
    ]
)
TABLES = ("interactions", "user_map", "item_map", "popular_items")
SQUARE: list[Review] = [
    ("u2", "i9", 4.0, 30),
    ("u2", "i1", 5.0, 20),
    ("U1", "i9", 1.0, 40),
    ("U1", "i1", 2.0, 40),
    ("u2", "i1", 3.0, 60),  # a later review of a pair that is there already
    ("u3", "i1", 5.0, 50),  # a user with one interaction
]


@dataclass(frozen=True)
class Built:
    """The folder and the counts of a dataset that was built."""

    folder: Path
    counts: DatasetCounts

    def rows(self, table: str) -> list[tuple[object, ...]]:
        return [tuple(row.values()) for row in pq.read_table(self.folder / f"{table}.parquet").to_pylist()]

    def digests(self) -> dict[str, str]:
        return {table: sha256((self.folder / f"{table}.parquet").read_bytes()).hexdigest() for table in TABLES}

    def named(self) -> pd.DataFrame:
        """Return the interactions with their outside ids."""
        tables = {name: pq.read_table(self.folder / f"{name}.parquet").to_pandas() for name in TABLES[:3]}
        named: pd.DataFrame = tables["interactions"].merge(tables["user_map"]).merge(tables["item_map"])
        return named


Build = Callable[..., Built]


@pytest.fixture
def build(session: SparkSession, tmp_path: Path) -> Build:
    """Build the dataset of reviews, given as rows numbered from line 1 or as tables that are a file each."""

    def of_reviews(reviews: Sequence[Review] | list[pa.Table], k: int = 2, **options: float | str) -> Built:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        (folder / "reviews").mkdir(parents=True)
        tables = [table for table in reviews if isinstance(table, pa.Table)]
        if not tables:
            columns = zip(*reviews, strict=True) if reviews else ((), (), (), ())
            tables = [pa.table([*columns, range(1, len(reviews) + 1)], schema=REVIEWS)]
        for number, table in enumerate(tables):
            pq.write_table(table, folder / "reviews" / f"{number}.parquet")
        uri, out = (folder / "reviews").as_uri(), folder / "out"
        seen: list[KCorePass] = []
        wanted = DatasetOptions.model_validate({"min_interactions": k, **options})
        counts = build_dataset(session, uri, out, wanted, write_parquet, seen.append)
        assert tuple(seen[: len(counts.passes)]) == counts.passes
        return Built(out, counts)

    return of_reviews


def test_build_dataset_writes_the_tables_of_a_small_graph(build):
    built = build(SQUARE)
    assert sorted(path.name for path in built.folder.iterdir()) == sorted(f"{name}.parquet" for name in TABLES)
    assert built.rows("user_map") == [(0, "U1"), (1, "u2")]
    assert built.rows("item_map") == [(0, "i1"), (1, "i9")]
    assert built.rows("interactions") == [(0, 0, 2.0, 40), (0, 1, 1.0, 40), (1, 0, 5.0, 20), (1, 1, 4.0, 30)]
    assert built.rows("popular_items") == [(0, "i1", 2, 3.5), (1, "i9", 2, 2.5)]
    assert built.counts == DatasetCounts(
        n_reviews=6,
        n_sampled=6,
        n_duplicates=1,
        n_interactions=4,
        n_users=2,
        n_items=2,
        passes=(KCorePass(1, 2, 2, 4), KCorePass(2, 2, 2, 4)),
    )


@pytest.mark.parametrize(("repeats", "kept"), [("first", (0, 0, 4.0, 6)), ("latest", (0, 0, 3.0, 8))])
def test_build_dataset_takes_the_first_or_latest_review_of_a_pair_as_a_whole(build, repeats, kept):
    rows = [("u", "i", 5.0, 8), ("u", "i", 1.0, None), ("u", "i", 4.0, 6), ("u", "i", 2.0, 6), ("u", "i", 3.0, 8)]
    built = build(rows, k=1, repeats=repeats)
    assert (built.rows("interactions"), built.counts.n_duplicates) == ([kept], 4)


@pytest.mark.parametrize(("repeats", "rating"), [("first", 5.0), ("latest", 3.0)])
def test_build_dataset_takes_reviews_without_timestamps_in_the_order_of_lines(build, repeats, rating):
    built = build([("u", "i", 5.0, None), ("u", "i", 1.0, None), ("u", "i", 3.0, None)], k=1, repeats=repeats)
    assert built.rows("interactions") == [(0, 0, rating, None)]


def test_build_dataset_keeps_ratings_and_timestamps_that_are_all_null(build):
    built = build([("u", "b", None, None), ("u", "a", None, None), ("u", "b", None, None)], k=1)
    assert built.rows("interactions") == [(0, 0, None, None), (0, 1, None, None)]
    assert built.rows("popular_items") == [(0, "a", 1, None), (1, "b", 1, None)]
    assert built.counts.n_duplicates == 1


def test_build_dataset_orders_popular_items_by_count_then_index(build):
    built = build([("u", "c", 1.0, 1), ("u", "a", 1.0, 1), ("u", "b", 1.0, 1), ("v", "c", 2.0, 1)], k=1)
    assert built.rows("popular_items") == [(2, "c", 2, 1.5), (0, "a", 1, 1.0), (1, "b", 1, 1.0)]


def test_build_dataset_orders_ids_by_their_bytes(build):
    ids = ["0528881469", "a", 'a"b', "Z", "é", "\U0001f600", "\uffff"]
    built = build([(user, "i", 1.0, 1) for user in ids], k=1)
    assert [user for _, user in built.rows("user_map")] == sorted(ids, key=lambda user: user.encode())


def test_build_dataset_does_not_show_how_the_input_was_cut(build):
    random = np.random.default_rng(5)
    drawn = random.integers(0, [30, 20, 5, 3], size=(600, 4))  # many users with many items at one time
    columns = [[f"u{n}" for n in drawn[:, 0]], [f"i{n}" for n in drawn[:, 1]], 1.0 + drawn[:, 2], 1 + drawn[:, 3]]
    whole = pa.table([*columns, range(1, 601)], names=REVIEWS.names).cast(REVIEWS)
    shuffled = whole.take(random.permutation(600))
    parts = [shuffled.slice(start, 200) for start in (0, 200, 400)]
    assert build(parts).digests() == build([whole]).digests()


def test_build_dataset_emptied_by_k_says_what_each_smaller_k_leaves(build):
    built = build(SQUARE, k=3)
    assert (built.counts.n_interactions, built.counts.n_users, built.counts.n_items) == (0, 0, 0)
    assert built.counts.left_by_k == {1: (3, 2, 5), 2: (2, 2, 4)}
    assert not built.folder.exists()


def test_build_dataset_of_no_reviews_leaves_nothing(build):
    counts = build([]).counts
    assert (counts.n_reviews, counts.n_interactions, counts.left_by_k) == (0, 0, {1: (0, 0, 0)})


def test_build_dataset_names_the_column_that_is_missing(build):
    with pytest.raises(ValueError, match=r"lacks column\(s\) \['rating', 'timestamp'\]; found \['item_id', 'line'"):
        build([pa.table({"user_id": ["u"], "item_id": ["i"], "line": [1]})])


def test_sample_users_keeps_about_the_share_and_whole_users(session):
    reviews = session.range(4000).selectExpr("cast(id % 2000 as string) user_id", "id")
    kept = {row.user_id: row["count"] for row in sample_users(reviews, 0.25, 42).groupBy("user_id").count().collect()}
    assert set(kept.values()) == {2}
    assert 420 < len(kept) < 580  # 500 and four standard deviations
    other = {row.user_id for row in sample_users(reviews, 0.25, 43).select("user_id").collect()}
    assert other != set(kept)


def test_sample_fraction_is_counted(build):
    counts = build([(f"user {number}", "i", 1.0, 1) for number in range(60)], k=1, sample_fraction=0.5).counts
    assert counts.n_reviews == 60
    assert 10 < counts.n_sampled < 50
    assert counts.n_sampled == counts.n_users == counts.n_interactions


def read_reviews(path: Path) -> pd.DataFrame:
    names = {"reviewerID": "user_id", "asin": "item_id", "overall": "rating", "unixReviewTime": "timestamp"}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        table = pd.DataFrame([json.loads(line) for line in lines])[list(names)].rename(columns=names)
    return table.assign(rating=table["rating"].astype("float32"), line=range(1, len(table) + 1))


def pandas_core(reviews: pd.DataFrame, k: int) -> pd.DataFrame:
    """Return what the first of each pair and then the k-core leave of reviews."""
    left = reviews.sort_values(["timestamp", "line"]).drop_duplicates(["user_id", "item_id"])
    while True:
        n_of_user = left.groupby("user_id")["item_id"].transform("size")
        n_of_item = left.groupby("item_id")["user_id"].transform("size")
        kept: pd.DataFrame = left[(n_of_user >= k) & (n_of_item >= k)]
        if len(kept) == len(left):
            return left.drop(columns="line")
        left = kept


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "k", "n_pairs"),
    [
        ("amazon-2018-5core-small/Appliances_5.json.gz", 2, 183),
        ("amazon-2018-5core-small/AMAZON_FASHION_5.json.gz", 5, None),
        ("amazon-reviews-196k/reviews.json.gz", 20, None),
    ],
)
def test_build_dataset_equals_pandas(build, shared_data, name, k, n_pairs):
    reviews = read_reviews(shared_data / name)
    built = build([pa.Table.from_pandas(reviews, preserve_index=False)], k)
    expected = pandas_core(reviews, k)
    order = ["user_id", "item_id"]
    pd.testing.assert_frame_equal(
        built.named()[expected.columns].sort_values(order, ignore_index=True),
        expected.sort_values(order, ignore_index=True),
    )
    n_duplicates = reviews.duplicated(order).sum()
    sizes = (len(expected), expected["user_id"].nunique(), expected["item_id"].nunique())
    assert built.counts.passes[-1] == KCorePass(len(built.counts.passes), sizes[1], sizes[2], sizes[0])
    assert built.counts == DatasetCounts(len(reviews), len(reviews), n_duplicates, *sizes, passes=built.counts.passes)
    assert n_pairs in (None, len(reviews) - n_duplicates)
