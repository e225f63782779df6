"""Sessions that follow each other on one JVM, whatever becomes of it; most in a process of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from py4j.protocol import Py4JNetworkError

from schema.s3 import S3Access
from spark.configuration import set_s3_access
from spark.hadoop import scratch_uri
from spark.jvm import Jvm, JvmLine, JvmOutput, describe_blas
from spark.options import GIB, SparkOptions
from spark.session import open_session

ACCESS = S3Access("http://server:9000", "eu-west-3", True, "the-access-key", "the-secret-key", None, "s3a://b/.spark")
PREAMBLE = """
import os, signal, sys
import spark.session
from pyspark import SparkContext
from schema.s3 import S3Access
from spark.hadoop import scratch_uri
from spark.session import SparkOptions, open_session

options = SparkOptions(spark_master="local[1]", spark_driver_memory="1g", spark_shuffle_partitions=1)

def pid(session):
    return session.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
"""
SAYS_ITS_STATUS = """
with open_session(options, "status") as session:
    print(open(f"/proc/{pid(session)}/status").read())
"""
FAIL_TWICE = """
seen = []
for scratch in {scratches}:
    try:
        with open_session(options.model_copy(update={{"spark_scratch": scratch}}), "twice") as session:
            session.range(5).write.parquet(scratch_uri(session, "rows"))
            seen.append(pid(session))
            raise KeyError("the work fails")
    except KeyError:
        assert SparkContext._active_spark_context is None
assert len(seen) == 2 and seen[0] == seen[1], seen
"""
SHOW_HEAP = """
with open_session(options, "heap") as session:
    print(session.sparkContext._jvm.java.lang.Runtime.getRuntime().maxMemory())
"""
STARTS_UNFORKED = """
os.register_at_fork(before=lambda: print("forked"))
with open_session(options, "unforked") as session:
    print(os.getpgid(pid(session)) != os.getpgid(0))
"""
KILLED = """
warned = []
try:
    with open_session(options, "dies") as session:
        os.kill(pid(session), signal.SIGKILL)
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
make = {where}
def die(context, *more, **named):
    {where} = make
    os.kill(spark.session._jvms[0].gateway.proc.pid, signal.SIGKILL)
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
LOCAL_THEN_SERVERS = """
endpoint, bucket, access_key, secret_key = sys.argv[1:]
seen = []

def write(s3):
    with open_session(options, "moves", s3) as session:
        uri = scratch_uri(session, "rows")
        session.range(5).write.parquet(uri)
        assert session.read.parquet(uri).count() == 5
        seen.append((uri.split(":")[0], pid(session)))

server = S3Access(endpoint, "us-east-1", True, access_key, secret_key, None, f"s3a://{bucket}/moves/.spark")
write(None)
write(server)
write(server)
write(None)
schemes, pids = zip(*seen)
assert schemes == ("file", "s3a", "s3a", "file"), schemes
assert pids[0] != pids[1] == pids[2] == pids[3], pids
"""


def run(code: str, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, which succeeds."""
    command = [sys.executable, "-c", PREAMBLE + code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500, **more)
    assert done.returncode == 0, done.stderr
    return done


def test_session_obeys_its_options_and_has_no_web_page_and_one_blas_thread(session):
    assert session.sparkContext.master == "local[2]"
    assert session.conf.get("spark.sql.shuffle.partitions") == "3"
    assert session.conf.get("spark.sql.session.timeZone") == "UTC"
    assert session.sparkContext.uiWebUrl is None
    assert session._jvm.java.lang.System.getenv("OPENBLAS_NUM_THREADS") == "1"


def test_jvm_is_started_without_the_locks_of_a_fork_and_out_of_reach_of_ctrl_c():
    assert run(STARTS_UNFORKED).stdout.split() == ["True"]


def test_first_session_of_a_process_decides_the_heap():
    assert 0.85 * GIB < int(run(SHOW_HEAP).stdout) <= GIB  # one survivor space does not count


def test_jvm_that_died_is_followed_by_another_whose_warnings_reach_the_listener():
    failed, counted, warned = run(KILLED).stdout.splitlines()
    assert (failed, counted) == ("DriverLost", "5")
    assert warned == repr([JvmLine("WARNING", "Speaker", 'two\nlines of "it"')])


def test_jvm_that_a_stalling_machine_takes_seconds_to_end_has_died_all_the_same():
    def end_after_three_seconds(timeout: float) -> int:
        if timeout < 3:
            raise subprocess.TimeoutExpired("java", timeout)
        return -9

    jvm = Jvm(SimpleNamespace(proc=SimpleNamespace(wait=end_after_three_seconds)), JvmOutput(), None)
    with jvm.output.open_writer():
        pass  # it says nothing
    assert "exit code -9" in str(jvm.describe_death(Py4JNetworkError("its connection is closed")))
    assert jvm.describe_death(KeyError("its connection is there")) is None


@pytest.mark.parametrize("where", ["spark.session.SparkSession", "spark.session.SparkContext.setCheckpointDir"])
def test_jvm_that_dies_while_a_session_is_opened_is_followed_by_another(where):
    assert run(KILLED_AT_ITS_START.format(where=where)).stdout.splitlines() == ["DriverLost", "5"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="only /proc tells the rights that a process gives its files")
def test_files_of_the_jvm_are_for_their_owner_only():
    assert re.search(r"^Umask:\s*0077$", run(SAYS_ITS_STATUS).stdout, flags=re.MULTILINE)


def test_scratch_uris_differ_and_lie_in_a_folder_that_spark_reaches(session):
    first, second = scratch_uri(session, "rows"), scratch_uri(session, "rows")
    session.range(3).write.parquet(first)
    assert first != second
    assert session.read.parquet(first).count() == 3


def test_open_session_refuses_a_second_one_in_the_same_thread(session):
    with pytest.raises(RuntimeError, match="has a Spark session open"), open_session(SparkOptions(), "second"):
        pass
    assert session.range(2).count() == 2


def test_describe_blas_names_one_of_the_kinds_there_are(session):
    assert describe_blas(session) in {"OpenBLAS (native)", "native", "Vector API", "pure Java"}


def test_open_session_says_nothing_keeps_the_jvm_and_leaves_nothing(tmp_path):
    scratch, temporary = tmp_path / "scratch", tmp_path / "temporary"
    scratch.mkdir()
    temporary.mkdir()
    code = FAIL_TWICE.format(scratches=[None, scratch.as_uri()])
    done = run(code, env={**os.environ, "TMPDIR": str(temporary)}, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert list(scratch.iterdir()) == []
    assert [path.name for path in temporary.iterdir() if path.name.startswith("recommender-")] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scratch", "temporary"]


def test_credentials_are_in_nothing_that_is_shown(session):
    context = session.sparkContext
    set_s3_access(context, ACCESS)
    try:
        hadoop = context._jsc.hadoopConfiguration()
        assert hadoop.get("fs.s3a.secret.key") == "the-secret-key"
        assert hadoop.get("fs.s3a.endpoint") == "http://server:9000"
        assert hadoop.get("fs.s3a.path.style.access") == "true"
        shown = str(context.getConf().getAll()) + str(session.sql("SET").collect()) + repr(ACCESS)
        assert "the-secret-key" not in shown
        assert "the-access-key" not in shown
    finally:
        for name in ("access.key", "secret.key"):
            context._jsc.hadoopConfiguration().unset(f"fs.s3a.{name}")


def test_process_that_comes_to_a_server_gets_a_jvm_that_reaches_it(minio):
    credentials = minio.credentials
    run(LOCAL_THEN_SERVERS, minio.endpoint_url, minio.bucket, credentials.access_key, credentials.secret_key)
