from pathlib import Path

import pytest
from pyspark import SparkConf

from spark.java import find_java, java_version, launch_jvm, require_java
from spark.jvm_output import JvmOutput


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
def test_java_version_reads_what_java_says(tmp_path: Path, said: str, version: int) -> None:
    assert java_version(write_java(tmp_path, said)) == version


def test_java_version_refuses_a_program_that_is_no_java(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="should name a version, but says 'hello'"):
        java_version(write_java(tmp_path, "hello"))


def test_require_java_refuses_an_old_java_and_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_java(tmp_path, 'openjdk version "11.0.2" 2019-01-15')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"is Java 11; Spark needs Java 17 .* apt-get install openjdk-17"):
        require_java()


def test_find_java_says_when_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="No Java found"):
        find_java()


def test_find_java_names_a_java_home_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=f"JAVA_HOME is '{tmp_path}'"):
        find_java()


def test_launch_jvm_tells_what_a_jvm_that_ends_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_java(tmp_path, 'openjdk version "17.0.1"\nModule jdk.incubator.vector not found', status=1)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"(?s)ended before it was up.*jdk\.incubator\.vector not found"):
        launch_jvm(SparkConf(loadDefaults=False), {}, JvmOutput())
