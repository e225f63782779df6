"""What Spark takes of a machine or a cluster, and which of them it is."""

import pytest
from pydantic import ValidationError

from spark.configuration import configuration, require_master
from spark.options import SparkOptions


@pytest.mark.parametrize(
    ("master", "is_here"),
    [
        ("local[*]", True),
        ("spark://127.0.0.1:7077", True),
        ("spark://localhost:7077", True),
        ("spark://127.0.0.1:7077,10.0.0.5:7077", False),
        ("spark://spark-master:7077", False),
        ("yarn", False),
    ],
)
def test_only_local_spark_and_a_master_on_loopback_are_on_this_machine(master: str, is_here: bool) -> None:
    assert SparkOptions(spark_master=master).is_on_this_machine == is_here


@pytest.mark.parametrize("address", ["host", ":7077", "host:port", "host:70770"])
def test_master_without_host_and_port_is_refused_by_name(address: str) -> None:
    with pytest.raises(ValueError, match=rf"SPARK_MASTER is 'spark://{address}'.*expected spark://host:7077"):
        require_master(SparkOptions(spark_master=f"spark://{address}"))


def test_master_that_does_not_answer_is_named_at_once() -> None:
    with pytest.raises(ConnectionError, match=r"SPARK_MASTER is 'spark://127\.0\.0\.1:9'"):
        require_master(SparkOptions(spark_master="spark://127.0.0.1:9"))


def test_executors_are_as_large_as_the_options_say() -> None:
    options = SparkOptions(
        spark_master="spark://host:7077", spark_executor_memory="900m", spark_executor_cores=2, spark_max_cores=6
    )
    conf = configuration(options, "sizes", None)
    assert conf.get("spark.executor.memory") == "900m"
    assert conf.get("spark.executor.cores") == "2"
    assert conf.get("spark.cores.max") == "6"


def test_cluster_gets_all_its_cores_unless_told_otherwise_and_local_spark_no_executor_settings() -> None:
    cluster = dict(configuration(SparkOptions(spark_master="spark://host:7077"), "all", None).getAll())
    local = dict(configuration(SparkOptions(), "local", None).getAll())
    assert cluster["spark.executor.memory"] == "1g"
    assert not {"spark.executor.cores", "spark.cores.max"} & set(cluster)
    assert not [name for name in local if name.startswith("spark.executor.")]


def test_executor_memory_that_java_cannot_read_is_refused() -> None:
    with pytest.raises(ValidationError, match="spark_executor_memory"):
        SparkOptions(spark_executor_memory="much")
