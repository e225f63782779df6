"""The main job with Spark on a real standalone cluster: a master and two workers of one core and 1 GiB each."""

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from sample_artifacts import publish_folder
from servers import SparkCluster, open_spark_cluster
from workplace import Workplace, artifact_ids

from evaluation.options import SplitOptions
from flows.settings import Environment, read
from models.registry import Candidate
from spark.options import SparkOptions
from storage import layout
from storage.parquet import write_parquet
from tasks.dataset import split_dataset
from tasks.execution import open_spark, spark_limit
from tasks.fit import fit, load_model
from tasks.options import PlaceOptions

pytestmark = pytest.mark.timeout(1500)  # seven cold starts of two executors

LOCAL = SparkOptions(spark_master="local[1]", spark_driver_memory="1g")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    with open_spark_cluster(tmp_path_factory.mktemp("spark-cluster"), n_workers=2) as opened:
        yield opened


@pytest.fixture(scope="module", params=["local", "minio"])
def on_cluster(
    request: pytest.FixtureRequest,
    cluster: SparkCluster,
    new_workplace: Callable[..., Workplace],
    sample_flags: list[str],
) -> tuple[Workplace, dict[str, Any]]:
    """A workplace, its store in a folder or on MinIO, whose training ran on the cluster."""
    server = None if request.param == "local" else request.getfixturevalue(request.param)
    workplace = new_workplace(server)
    return workplace, workplace.result("train", *sample_flags, "--spark-master", cluster.master_url, apart=True)


def canonical(digests: dict[str, str]) -> dict[str, str]:
    """Keep what does not depend on the order in which ALS adds up floats."""
    kinds = (layout.RAW, layout.REVIEWS_KIND, layout.DATASETS, layout.SPLITS)
    return {key: digest for key, digest in digests.items() if key.split("/")[0] in kinds}


def test_training_on_a_cluster_runs_there_and_gives_the_ids_of_a_local_one(on_cluster, trained, cluster):
    assert "build dataset" in cluster.applications()
    assert [name for name in cluster.applications() if name.startswith("als-implicit")]
    assert artifact_ids(on_cluster[1]) == artifact_ids(trained[1])


def test_training_on_a_cluster_gives_the_bytes_of_a_local_one(on_cluster, trained):
    there, here = on_cluster[0].digests(), trained[0].digests()
    assert set(there) == set(here)
    assert canonical(there) == canonical(here) != {}


def test_training_on_a_cluster_gives_the_metrics_of_a_local_one(on_cluster, trained):
    there, here = on_cluster[1]["metrics"], trained[1]["metrics"]
    assert len(there) == len(here)
    for found, expected in zip(there, here, strict=True):
        assert math.isclose(found["value"], expected["value"], abs_tol=1e-4), (found, expected)


def test_training_on_a_cluster_says_what_it_takes_and_leaves_no_scratch(on_cluster):
    workplace, record = on_cluster
    assert "executors of 1g, all cores of a worker each" in record["stderr"]
    assert not [path for path in (workplace.folder / "work").iterdir() if path.name != "cache"]


def test_item_links_found_on_a_cluster_are_those_of_one_machine(cluster, tmp_path):
    places = PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")
    draws = np.random.default_rng(3)
    users, items = (draws.random((2, 8000)) ** 2 * [[300], [200]]).astype(np.int32)
    times = draws.integers(0, 50, 8000) * 86_400
    columns = {"user_idx": users, "item_idx": items, "rating": np.ones(8000, np.float32), "timestamp": times}
    rows, counts = pa.table(columns), {"n_users": 300, "n_items": 200, "has_ratings": True, "has_timestamps": True}
    (tmp_path / "dataset").mkdir()
    write_parquet([rows], tmp_path / "dataset" / layout.INTERACTIONS, rows.schema)
    dataset = publish_folder(places.open_store(), tmp_path / "dataset", layout.DATASETS, "d", counts=counts)
    split = split_dataset.fn(places, dataset, SplitOptions(split="random"))

    def fit_by(engine: str) -> Any:
        candidate = Candidate(model="item-graph", parameters={"engine": engine, "neighbours": 20})
        return load_model(
            places, fit.fn(places, split, ("train",), candidate, SparkOptions(spark_master=cluster.master_url))
        )

    here, there = fit_by("local"), fit_by("spark")
    assert "item-graph" in cluster.applications()
    assert len(here.strengths) == 200 * 20
    np.testing.assert_array_equal(there.indptr, here.indptr)
    np.testing.assert_array_equal(there.neighbours, here.neighbours)
    np.testing.assert_allclose(there.strengths, here.strengths, rtol=1e-6)


def test_executors_are_as_large_as_the_flags_say(cluster, tmp_path):
    sizes = {"spark_executor_memory": "600m", "spark_executor_cores": "1", "spark_max_cores": "1"}
    flags = {"spark_master": cluster.master_url, **sizes, "work_dir": str(tmp_path)}
    environment = read(Environment, flags)
    with open_spark(environment.spark, environment.places, "sizes") as session:
        assert session.range(10).count() == 10
        status = session.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
        conf = session.sparkContext.getConf()
        assert conf.get("spark.executor.memory") == "600m"
        assert conf.get("spark.executor.cores") == "1"
        assert len(status) == 2  # the driver, and the one executor that one core allows
        assert session.sparkContext.getCheckpointDir().startswith(f"file:{tmp_path}")


def test_master_that_does_not_answer_is_named_in_one_message(new_workplace, sample_flags):
    outcome = new_workplace().run("ingest", *sample_flags[:2], "--spark-master", "spark://127.0.0.1:9")
    assert outcome.code == 1
    assert "SPARK_MASTER is 'spark://127.0.0.1:9'" in outcome.stderr
    assert outcome.stderr.partition("Traceback")[2] == ""


def test_two_threads_of_a_process_have_spark_open_one_after_the_other(tmp_path):
    places, meet = PlaceOptions(work_dir=tmp_path), threading.Barrier(2)
    n_open, most_open, counted = 0, 0, []

    def count(rows: int) -> None:
        nonlocal n_open, most_open
        meet.wait()
        with open_spark(LOCAL, places, f"thread {rows}") as session:
            n_open += 1
            most_open = max(most_open, n_open)
            counted.append(session.range(rows).count())
            n_open -= 1

    threads = [threading.Thread(target=count, args=(rows,)) for rows in (3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counted) == [3, 5]
    assert most_open == 1


def test_spark_takes_the_place_that_a_limit_of_prefect_gives_this_machine(prefect_api, tmp_path):
    places, name = PlaceOptions(work_dir=tmp_path), spark_limit()

    def taken() -> int:
        with get_client(sync_client=True) as client:
            return client.read_global_concurrency_limit_by_name(name).active_slots

    @task
    def open_it() -> int:
        with open_spark(LOCAL, places, "limited"):
            return taken()

    @flow
    def run() -> int:
        return open_it()

    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(name, 1)
        try:
            assert (run(), taken()) == (1, 0)
        finally:
            client.delete_global_concurrency_limit_by_name(name)
