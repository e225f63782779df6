"""Spark on an S3 server: where the jars come from, and where the credentials go."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from deployments.s3_server import S3Server
from schema.s3 import S3Access
from spark.s3a import JARS, PACKAGE, jar_settings, reach

ACCESS = S3Access("http://server:9000", "eu-west-3", True, "the-access-key", "the-secret-key", None, "s3a://b/.spark")

LOCAL_THEN_SERVERS = """
import sys
from schema.s3 import S3Access
from spark.session import SparkOptions, open_session, scratch_uri

endpoint, bucket, access_key, secret_key = sys.argv[1:]
options = SparkOptions(spark_master="local[1]", spark_driver_memory="1g", spark_shuffle_partitions=1)
seen = []

def write(s3a):
    with open_session(options, "moves", s3a) as session:
        uri = scratch_uri(session, "rows")
        session.range(5).write.parquet(uri)
        assert session.read.parquet(uri).count() == 5
        seen.append((uri.split(":")[0], session.sparkContext._jvm.java.lang.ProcessHandle.current().pid()))

server = S3Access(endpoint, "us-east-1", True, access_key, secret_key, None, f"s3a://{bucket}/moves/.spark")
write(None)
write(server)
write(server)
write(None)
schemes, pids = zip(*seen)
assert schemes == ("file", "s3a", "s3a", "file"), schemes
assert pids[0] != pids[1] == pids[2] == pids[3], pids
"""


@pytest.fixture
def ivy(tmp_path: Path) -> Path:
    """A folder in which Spark has fetched every jar."""
    (tmp_path / "jars").mkdir()
    for name in JARS:
        with zipfile.ZipFile(tmp_path / "jars" / name, "w") as jar:
            jar.writestr("META-INF/MANIFEST.MF", "")
    return tmp_path


def test_jars_are_fetched_where_there_are_none(tmp_path: Path) -> None:
    assert jar_settings(is_local=True, is_on_this_machine=True, ivy=tmp_path) == {
        "spark.jars.packages": PACKAGE,
        "spark.jars.ivy": str(tmp_path),
    }


def test_spark_on_this_machine_takes_the_jars_where_they_lie_and_executors_elsewhere_are_sent_them(ivy: Path) -> None:
    paths = [ivy / "jars" / name for name in JARS]
    class_path = ":".join(map(str, paths))
    local = jar_settings(is_local=True, is_on_this_machine=True, ivy=ivy)
    cluster = jar_settings(is_local=False, is_on_this_machine=True, ivy=ivy)
    elsewhere = jar_settings(is_local=False, is_on_this_machine=False, ivy=ivy)
    assert local == {"spark.driver.extraClassPath": class_path}
    assert cluster == local | {"spark.executor.extraClassPath": class_path}
    assert elsewhere == {"spark.jars": ",".join(path.as_uri() for path in paths)}


@pytest.mark.parametrize("left", [0, 10, 60])
def test_jar_whose_fetch_was_cut_off_is_fetched_again(ivy: Path, left: int) -> None:
    cut = ivy / "jars" / JARS[2]
    cut.write_bytes(cut.read_bytes()[:left])
    assert "spark.jars.packages" in jar_settings(is_local=True, is_on_this_machine=True, ivy=ivy)
    assert not cut.exists()


def test_access_does_not_show_its_credentials() -> None:
    assert "the-access-key" not in repr(ACCESS)
    assert "the-secret-key" not in repr(ACCESS)


def test_credentials_are_in_no_setting_that_spark_shows(session: SparkSession) -> None:
    context = session.sparkContext
    reach(context, ACCESS)
    try:
        hadoop = context._jsc.hadoopConfiguration()
        assert hadoop.get("fs.s3a.secret.key") == "the-secret-key"
        assert hadoop.get("fs.s3a.endpoint") == "http://server:9000"
        assert hadoop.get("fs.s3a.path.style.access") == "true"
        shown = str(context.getConf().getAll()) + str(session.sql("SET").collect())
        assert "the-secret-key" not in shown
        assert "the-access-key" not in shown
    finally:
        for name in ("access.key", "secret.key"):
            context._jsc.hadoopConfiguration().unset(f"fs.s3a.{name}")


def test_process_that_comes_to_a_server_gets_a_jvm_that_reaches_it(minio: S3Server) -> None:
    credentials = minio.credentials
    arguments = [minio.endpoint_url, minio.bucket, credentials.access_key, credentials.secret_key]
    done = subprocess.run(
        [sys.executable, "-c", LOCAL_THEN_SERVERS, *arguments], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr
