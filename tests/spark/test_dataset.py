from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from schema.dataset import DatasetCounts, KCorePass
from spark.cleaning import sample_users
from spark.dataset import build_dataset
from spark.options import DatasetOptions

Review = tuple[str, str, float | None, int | None]
WriteReviews = Callable[[Sequence[Review]], str]

TABLES = ("interactions", "user_map", "item_map", "popular_items")
SQUARE: list[Review] = [
    ("u2", "i9", 4.0, 30),
    ("u2", "i1", 5.0, 20),
    ("U1", "i9", 1.0, 40),
    ("U1", "i1", 2.0, 40),
    ("u2", "i1", 3.0, 10),  # an older review of a pair that is there already
    ("u3", "i1", 5.0, 50),  # a user with one interaction
]


def rows(folder: Path, table: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in pq.read_table(folder / f"{table}.parquet").to_pylist()]


def digests(folder: Path) -> dict[str, str]:
    return {table: sha256((folder / f"{table}.parquet").read_bytes()).hexdigest() for table in TABLES}


def two_core(session: SparkSession, reviews: str, folder: Path) -> DatasetCounts:
    return build_dataset(session, reviews, folder, DatasetOptions(min_interactions=2))


def test_build_dataset_writes_the_tables_of_a_small_graph(
    session: SparkSession, write_reviews: WriteReviews, tmp_path: Path
) -> None:
    counts = two_core(session, write_reviews(SQUARE), tmp_path / "out")
    assert rows(tmp_path / "out", "user_map") == [(0, "U1"), (1, "u2")]
    assert rows(tmp_path / "out", "item_map") == [(0, "i1"), (1, "i9")]
    assert rows(tmp_path / "out", "interactions") == [
        (0, 0, 2.0, 40),
        (0, 1, 1.0, 40),
        (1, 0, 5.0, 20),
        (1, 1, 4.0, 30),
    ]
    assert rows(tmp_path / "out", "popular_items") == [(0, "i1", 2, 3.5), (1, "i9", 2, 2.5)]
    assert counts == DatasetCounts(
        n_reviews=6,
        n_sampled=6,
        n_duplicates=1,
        n_interactions=4,
        n_users=2,
        n_items=2,
        passes=(KCorePass(1, 2, 2, 4), KCorePass(2, 2, 2, 4)),
    )


def test_build_dataset_reports_each_pass_as_it_ends(
    session: SparkSession, write_reviews: WriteReviews, tmp_path: Path
) -> None:
    seen: list[KCorePass] = []
    options = DatasetOptions(min_interactions=2)
    counts = build_dataset(session, write_reviews(SQUARE), tmp_path / "out", options, seen.append)
    assert tuple(seen) == counts.passes


def test_build_dataset_leaves_only_its_four_files(
    session: SparkSession, write_reviews: WriteReviews, tmp_path: Path
) -> None:
    two_core(session, write_reviews(SQUARE), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"{name}.parquet" for name in TABLES)


def test_build_dataset_takes_the_last_line_of_reviews_at_the_same_time(
    session: SparkSession, write_reviews: WriteReviews, tmp_path: Path
) -> None:
    reviews: list[Review] = [("u", "i", 5.0, 7), ("u", "i", 1.0, 7), ("u", "i", 3.0, 7), ("u", "i", 4.0, 6)]
    build_dataset(session, write_reviews(reviews), tmp_path, DatasetOptions(min_interactions=1))
    assert rows(tmp_path, "interactions") == [(0, 0, 3.0, 7)]


def test_build_dataset_keeps_ratings_and_timestamps_that_are_all_null(
    session: SparkSession, write_reviews: WriteReviews, tmp_path: Path
) -> None:
    reviews: list[Review] = [("u", "b", None, None), ("u", "a", None, None), ("u", "b", None, None)]
    counts = build_dataset(session, write_reviews(reviews), tmp_path, DatasetOptions(min_interactions=1))
    assert rows(tmp_path, "interactions") == [(0, 0, None, None), (0, 1, None, None)]
    assert rows(tmp_path, "popular_items") == [(0, "a", 1, None), (1, "b", 1, None)]
    assert counts.n_duplicates == 1


def test_build_dataset_orders_popular_items_by_count_then_index(
    session: SparkSession, write_reviews: WriteReviews, tmp_path: Path
) -> None:
    reviews: list[Review] = [("u", "c", 1.0, 1), ("u", "a", 1.0, 1), ("u", "b", 1.0, 1), ("v", "c", 2.0, 1)]
    build_dataset(session, write_reviews(reviews), tmp_path, DatasetOptions(min_interactions=1))
    assert rows(tmp_path, "popular_items") == [(2, "c", 2, 1.5), (0, "a", 1, 1.0), (1, "b", 1, 1.0)]


def test_build_dataset_orders_ids_by_their_bytes(
    session: SparkSession, write_reviews: WriteReviews, tmp_path: Path
) -> None:
    ids = ["0528881469", "a", 'a"b', "Z", "é", "\U0001f600", "\uffff"]
    reviews: list[Review] = [(user, "i", 1.0, 1) for user in ids]
    build_dataset(session, write_reviews(reviews), tmp_path, DatasetOptions(min_interactions=1))
    in_order = [user for _, user in rows(tmp_path, "user_map")]
    assert in_order == sorted(ids, key=lambda user: user.encode())


def test_build_dataset_does_not_show_how_the_input_was_cut(
    session: SparkSession, write_reviews: WriteReviews, tmp_path: Path
) -> None:
    random = np.random.default_rng(5)
    drawn = random.integers(0, [30, 20, 5, 3], size=(600, 4))  # many users with many items at one time
    whole = write_reviews([(f"u{user}", f"i{item}", 1.0 + rating, 1 + time) for user, item, rating, time in drawn])
    table = pq.read_table(tmp_path / "reviews.parquet").take(random.permutation(600))
    cut = tmp_path / "cut"
    cut.mkdir()
    for start in (0, 200, 400):
        pq.write_table(table.slice(start, 200), cut / f"{start}.parquet")
    two_core(session, whole, tmp_path / "whole")
    two_core(session, cut.as_uri(), tmp_path / "parts")
    assert digests(tmp_path / "parts") == digests(tmp_path / "whole")


def test_build_dataset_emptied_by_k_says_what_each_smaller_k_leaves(
    session: SparkSession, write_reviews: WriteReviews, tmp_path: Path
) -> None:
    counts = build_dataset(session, write_reviews(SQUARE), tmp_path / "out", DatasetOptions(min_interactions=3))
    assert (counts.n_interactions, counts.n_users, counts.n_items) == (0, 0, 0)
    assert counts.left_by_k == {1: (3, 2, 5), 2: (2, 2, 4)}
    assert not (tmp_path / "out").exists()


def test_build_dataset_of_no_reviews_leaves_nothing(
    session: SparkSession, write_reviews: WriteReviews, tmp_path: Path
) -> None:
    counts = build_dataset(session, write_reviews([]), tmp_path / "out", DatasetOptions(min_interactions=2))
    assert (counts.n_reviews, counts.n_interactions, counts.left_by_k) == (0, 0, {1: (0, 0, 0)})


def test_build_dataset_names_the_column_that_is_missing(session: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": ["u"], "item_id": ["i"], "line": [1]}), tmp_path / "short.parquet")
    with pytest.raises(ValueError, match=r"lacks column\(s\) \['rating', 'timestamp'\]; found \['item_id', 'line'"):
        build_dataset(session, (tmp_path / "short.parquet").as_uri(), tmp_path, DatasetOptions())


def test_sample_users_keeps_about_the_share_and_whole_users(session: SparkSession) -> None:
    reviews = session.range(4000).selectExpr("cast(id % 2000 as string) user_id", "id")
    kept = {row.user_id: row["count"] for row in sample_users(reviews, 0.25, 42).groupBy("user_id").count().collect()}
    assert set(kept.values()) == {2}
    assert 420 < len(kept) < 580  # 500 and four standard deviations
    other = {row.user_id for row in sample_users(reviews, 0.25, 43).select("user_id").collect()}
    assert other != set(kept)


def test_sample_fraction_is_counted(session: SparkSession, write_reviews: WriteReviews, tmp_path: Path) -> None:
    reviews: list[Review] = [(f"user {number}", "i", 1.0, 1) for number in range(60)]
    options = DatasetOptions(min_interactions=1, sample_fraction=0.5)
    counts = build_dataset(session, write_reviews(reviews), tmp_path, options)
    assert counts.n_reviews == 60
    assert 10 < counts.n_sampled < 50
    assert counts.n_sampled == counts.n_users == counts.n_interactions
