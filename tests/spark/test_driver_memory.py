"""What the driver of a dataset gets does not grow with the rows, and what is broadcast is bounded."""

from dataclasses import dataclass

import pytest
from pyspark.sql import SparkSession

import spark.indexing
from benchmarks.explorers import write_reviews
from benchmarks.spark_traffic import BROADCAST, SHUFFLE, Exchange, Stage, find_exchanges, find_stages
from benchmarks.synthetic import Size
from reviews.ingest import REVIEWS
from schema.dataset import DatasetCounts
from spark.dataset import build_dataset
from spark.options import DatasetOptions
from storage.parquet import write_parquet

FEW, MANY = 16_000, 128_000  # of few rows too, a sort samples no more than its usual number of users
MOST_BROADCAST = 6_000  # more than the users of few rows, and fewer than those of many
# Spark's own choice, by an estimate of bytes, would broadcast more of tables as small as these.
OWN_CHOICE = ("spark.sql.autoBroadcastJoinThreshold", "spark.sql.adaptive.autoBroadcastJoinThreshold")


@dataclass(frozen=True)
class Built:
    """A dataset, and what Spark moved for it."""

    counts: DatasetCounts
    stages: list[Stage]
    exchanges: list[Exchange]

    def most_sent_to_driver(self) -> float:
        """Return the bytes of the largest results of a task, but for those that are broadcast."""
        return max(one.result_bytes / one.n_tasks for one in self.stages if not one.is_broadcast)

    def most_rows(self, kind: str) -> int:
        return max(one.n_rows for one in self.exchanges if one.kind == kind)


@pytest.fixture(scope="module")
def built(session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Built]:
    """Datasets of few rows and of many, with fewer users that are broadcast than the many rows have."""

    def build(n_rows: int) -> Built:
        folder = tmp_path_factory.mktemp(f"{n_rows}")
        n_stages, n_exchanges = len(find_stages(session)), len(find_exchanges(session))
        write_reviews(folder, Size.of_rows(n_rows), seed=1)
        counts = build_dataset(session, (folder / REVIEWS).as_uri(), folder / "out", DatasetOptions(), write_parquet)
        return Built(counts, find_stages(session)[n_stages:], find_exchanges(session)[n_exchanges:])

    for setting in OWN_CHOICE:
        session.conf.set(setting, "-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spark.indexing, "BROADCAST_ROWS", MOST_BROADCAST)
        return {n_rows: build(n_rows) for n_rows in (FEW, MANY)}


def test_a_task_sends_the_driver_no_more_for_eight_times_the_rows(built):
    few, many = built[FEW], built[MANY]
    assert many.counts.n_interactions == MANY == 8 * few.counts.n_interactions
    assert many.most_sent_to_driver() < 1.25 * few.most_sent_to_driver()
    assert many.most_rows(SHUFFLE) == MANY


def test_no_more_is_broadcast_than_the_bound_and_what_is_larger_is_shuffled(built):
    few, many = built[FEW], built[MANY]
    assert few.most_rows(BROADCAST) == few.counts.n_users < MOST_BROADCAST < many.counts.n_users
    assert many.most_rows(BROADCAST) == many.counts.n_items
    assert many.counts.n_items < MOST_BROADCAST


def test_rows_that_a_task_sends_the_driver_are_seen(session):
    n_stages = len(find_stages(session))
    session.range(MANY, numPartitions=2).collect()
    [stage] = find_stages(session)[n_stages:]
    assert not stage.is_broadcast
    assert stage.result_bytes > MANY
