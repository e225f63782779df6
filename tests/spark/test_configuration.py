"""What Spark takes of a machine or a cluster, which Java it runs on, and how it reaches a server."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from pyspark import SparkConf

import spark.configuration
from spark.configuration import configuration, jar_settings, require_master
from spark.jvm import find_java, java_version, launch_jvm, require_java
from spark.options import GIB, SparkOptions, driver_memory


@pytest.mark.parametrize(("machine", "heap"), [(2, "1g"), (24, "6g"), (256, "8g")])
def test_driver_memory_is_a_quarter_of_the_machine_within_bounds(machine, heap):
    assert driver_memory(SparkOptions(), machine * GIB) == heap
    assert driver_memory(SparkOptions(spark_driver_memory="3g"), machine * GIB) == "3g"


@pytest.mark.parametrize("name", ["spark_driver_memory", "spark_executor_memory"])
def test_memory_that_java_cannot_read_is_refused(name):
    with pytest.raises(ValidationError, match=name):
        SparkOptions.model_validate({name: "much"})


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
def test_only_local_spark_and_a_master_on_loopback_are_on_this_machine(master, is_here):
    assert SparkOptions(spark_master=master).is_on_this_machine == is_here


@pytest.mark.parametrize("address", ["host", ":7077", "host:port", "host:70770"])
def test_master_without_host_and_port_is_refused_by_name(address):
    with pytest.raises(ValueError, match=rf"SPARK_MASTER is 'spark://{address}'.*expected spark://host:7077"):
        require_master(SparkOptions(spark_master=f"spark://{address}"))


def test_master_that_does_not_answer_is_named_at_once():
    with pytest.raises(ConnectionError, match=r"SPARK_MASTER is 'spark://127\.0\.0\.1:9'"):
        require_master(SparkOptions(spark_master="spark://127.0.0.1:9"))


def test_executors_are_as_large_as_the_options_say():
    options = SparkOptions(
        spark_master="spark://host:7077", spark_executor_memory="900m", spark_executor_cores=2, spark_max_cores=6
    )
    sizes = {"spark.executor.memory": "900m", "spark.executor.cores": "2", "spark.cores.max": "6"}
    assert sizes.items() <= dict(configuration(options, "sizes").getAll()).items()


def test_cluster_gets_all_its_cores_unless_told_otherwise_and_local_spark_no_executor_settings():
    cluster = dict(configuration(SparkOptions(spark_master="spark://host:7077"), "all").getAll())
    local = dict(configuration(SparkOptions(), "local").getAll())
    assert cluster["spark.executor.memory"] == "1g"
    assert not {"spark.executor.cores", "spark.cores.max"} & set(cluster)
    assert not [name for name in local if name.startswith("spark.executor.")]


def test_threads_of_driver_and_executors_have_stack_for_a_long_lineage():
    settings = dict(configuration(SparkOptions(spark_master="spark://host:7077"), "stack").getAll())
    assert [name for name in ("driver", "executor") if "-Xss4m" not in settings[f"spark.{name}.extraJavaOptions"]] == []


@pytest.mark.parametrize(
    ("master", "library", "is_quick"),
    [
        ("local[2]", "libblas.so.3", True),
        ("local[2]", None, False),
        ("spark://127.0.0.1:7077", "libblas.so.3", True),
        ("spark://host:7077", "libblas.so.3", False),
    ],
)
def test_only_a_session_on_this_machine_with_native_blas_does_without_the_thorough_compiler(
    monkeypatch, master, library, is_quick
):
    monkeypatch.setattr(spark.configuration, "find_library", lambda _: library)
    assert (spark.configuration.compiler_flag(SparkOptions(spark_master=master)) != "") == is_quick


def test_spark_on_this_machine_takes_the_jars_where_they_lie_and_executors_elsewhere_are_sent_them(tmp_path):
    paths = [tmp_path / "one.jar", tmp_path / "two.jar"]
    class_path = ":".join(map(str, paths))
    local, cluster, elsewhere = (
        jar_settings(SparkOptions(spark_master=master), paths)
        for master in ("local[*]", "spark://127.0.0.1:7077", "spark://host:7077")
    )
    assert local == {"spark.driver.extraClassPath": class_path}
    assert cluster == local | {"spark.executor.extraClassPath": class_path}
    assert elsewhere == {"spark.jars": ",".join(path.as_uri() for path in paths)}


def write_java(folder: Path, said: str, status: int = 0) -> Path:
    """Write a `bin/java` that says something on the error stream, as Java does with its version."""
    java = folder / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\ncat >&2 <<'SAID'\n{said}\nSAID\nexit {status}\n")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize(
    ("said", "version"),
    [('openjdk version "17.0.15" 2025-04-15', 17), ('java version "1.8.0_402"', 8), ('openjdk version "21" 2023', 21)],
)
def test_java_version_reads_what_java_says(tmp_path, said, version):
    assert java_version(write_java(tmp_path, said)) == version


def test_java_version_refuses_a_program_that_is_no_java(tmp_path):
    with pytest.raises(ValueError, match="should name a version, but says 'hello'"):
        java_version(write_java(tmp_path, "hello"))


def test_require_java_refuses_an_old_java_and_says_what_to_type(tmp_path, monkeypatch):
    write_java(tmp_path, 'openjdk version "11.0.2" 2019-01-15')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"is Java 11; Spark needs Java 17 .* apt-get install openjdk-17"):
        require_java()


def test_find_java_says_when_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=f"JAVA_HOME is '{tmp_path}'"):
        find_java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="No Java found"):
        find_java()


@pytest.mark.parametrize(
    ("reason", "is_told_to_install"),
    [("Module jdk.incubator.vector not found", True), ("Could not reserve enough space for object heap", False)],
)
def test_launch_jvm_tells_what_a_jvm_that_ends_said_and_faults_java_only_where_it_is_at_fault(
    tmp_path, monkeypatch, reason, is_told_to_install
):
    write_java(tmp_path, f'openjdk version "17.0.1"\n{reason}', status=1)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=rf"(?s)ended before it was up.*{reason}") as caught:
        launch_jvm(SparkConf(loadDefaults=False))
    assert ("apt-get" in str(caught.value)) == is_told_to_install
