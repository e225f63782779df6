import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from pyspark.sql import SparkSession

import spark.configuration
from spark.blas import describe_blas
from spark.java import jvm_of
from spark.jvm_output import JvmLine
from spark.options import SparkOptions, driver_memory
from spark.session import open_session, scratch_uri

GIB = 1024**3

OPEN_TWICE = """
from spark.session import SparkOptions, open_session
seen = []
for scratch in {scratches}:
    try:
        with open_session(SparkOptions(spark_master="local[1]", spark_scratch=scratch), "twice") as session:
            session.range(5).write.parquet(session.conf.get("spark.recommender.scratch") + "/rows")
            seen.append(session.sparkContext._jvm.java.lang.ProcessHandle.current().pid())
            raise KeyError("the work fails")
    except KeyError:
        assert SparkContextGone()
assert len(seen) == 2 and seen[0] == seen[1], seen
"""
GONE = """
from pyspark import SparkContext
def SparkContextGone():
    return SparkContext._active_spark_context is None
"""


KILLED = """
import os, signal
from spark.session import SparkOptions, open_session
options = SparkOptions(spark_master="local[1]", spark_driver_memory="1g")
warned = []
try:
    with open_session(options, "dies") as session:
        os.kill(session.sparkContext._jvm.java.lang.ProcessHandle.current().pid(), signal.SIGKILL)
        session.range(5).count()
except Exception as error:
    print(type(error).__name__)
with open_session(options, "lives", listener=warned.append) as session:
    logger = session.sparkContext._jvm.org.apache.log4j.Logger.getLogger("some.place.Speaker")
    logger.warn('two\\nlines of "it"')
    logger.info("nothing")
    print(session.range(5).count())
print(warned)
"""


KILLED_AT_ITS_START = """
import os, signal
import spark.session
from spark.session import SparkOptions, open_session
options = SparkOptions(spark_master="local[1]", spark_driver_memory="1g")
make = {what}
def die(context, *more, **named):
    {where} = make
    os.kill(spark.session._gateways[0].proc.pid, signal.SIGKILL)
    return make(context, *more, **named)
{where} = die
try:
    with open_session(options, "dies"):
        print("opened")
except Exception as error:
    print(type(error).__name__)
with open_session(options, "lives") as session:
    print(session.range(5).count())
"""


@pytest.mark.parametrize(("machine", "heap"), [(2, "1g"), (24, "6g"), (256, "8g")])
def test_driver_memory_is_a_quarter_of_the_machine_within_bounds(machine: int, heap: str) -> None:
    assert driver_memory(SparkOptions(), machine * GIB) == heap


def test_driver_memory_is_what_was_asked_for() -> None:
    assert driver_memory(SparkOptions(spark_driver_memory="3g"), 24 * GIB) == "3g"


def test_spark_options_refuse_a_memory_that_java_cannot_read() -> None:
    with pytest.raises(ValidationError, match="spark_driver_memory"):
        SparkOptions(spark_driver_memory="lots")


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
    monkeypatch: pytest.MonkeyPatch, master: str, library: str | None, is_quick: bool
) -> None:
    monkeypatch.setattr(spark.configuration, "find_library", lambda _: library)
    assert (spark.configuration.compiler_flag(SparkOptions(spark_master=master)) != "") == is_quick


def test_session_obeys_its_options(session: SparkSession) -> None:
    assert session.sparkContext.master == "local[2]"
    assert session.conf.get("spark.sql.shuffle.partitions") == "3"
    assert session.conf.get("spark.sql.session.timeZone") == "UTC"


def test_first_session_of_a_process_decides_the_heap() -> None:
    code = """
from spark.session import SparkOptions, open_session
with open_session(SparkOptions(spark_master="local[1]", spark_driver_memory="1g"), "heap") as session:
    print(session.sparkContext._jvm.java.lang.Runtime.getRuntime().maxMemory())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.85 * GIB < int(done.stdout) <= GIB  # one survivor space does not count


def test_jvm_that_died_is_followed_by_another_whose_warnings_reach_the_listener() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    failed, counted, warned = done.stdout.splitlines()
    assert (failed, counted) == ("DriverLost", "5")
    assert warned == repr([JvmLine("WARNING", "Speaker", 'two\nlines of "it"')])


@pytest.mark.parametrize("where", ["spark.session.SparkSession", "spark.session.SparkContext.setCheckpointDir"])
def test_jvm_that_dies_while_a_session_is_opened_is_followed_by_another(where: str) -> None:
    code = KILLED_AT_ITS_START.format(what=where, where=where)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["DriverLost", "5"]


def test_session_has_no_web_page_and_one_blas_thread(session: SparkSession) -> None:
    assert session.sparkContext.uiWebUrl is None
    assert jvm_of(session).java.lang.System.getenv("OPENBLAS_NUM_THREADS") == "1"
    assert "OPENBLAS_NUM_THREADS" not in os.environ or os.environ["OPENBLAS_NUM_THREADS"]


def test_scratch_uris_differ_and_lie_in_a_folder_that_spark_reaches(session: SparkSession) -> None:
    first, second = scratch_uri(session, "rows"), scratch_uri(session, "rows")
    session.range(3).write.parquet(first)
    assert first != second
    assert session.read.parquet(first).count() == 3


def test_open_session_refuses_a_second_one_in_the_same_thread(session: SparkSession) -> None:
    with pytest.raises(RuntimeError, match="has a Spark session open"), open_session(SparkOptions(), "second"):
        pass
    assert session.range(2).count() == 2


def test_describe_blas_names_one_of_the_kinds_there_are(session: SparkSession) -> None:
    assert describe_blas(session) in {"OpenBLAS (native)", "native", "Vector API", "pure Java"}


def test_open_session_says_nothing_keeps_the_jvm_and_leaves_nothing(tmp_path: Path) -> None:
    scratch, temporary = tmp_path / "scratch", tmp_path / "temporary"
    scratch.mkdir()
    temporary.mkdir()
    code = GONE + OPEN_TWICE.format(scratches=[None, scratch.as_uri()])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(temporary)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(scratch.iterdir()) == []
    assert [path.name for path in temporary.iterdir() if path.name.startswith("recommender-")] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scratch", "temporary"]
