"""Letting Spark read and write an S3 server by itself: the jars, and how the server is reached."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from py4j.java_gateway import JavaObject
from pyspark import SparkContext

from schema.s3 import S3Access

PACKAGE = "org.apache.hadoop:hadoop-aws:3.5.0"  # the Hadoop that pyspark brings
IVY = Path.home() / ".ivy2.5.2"
JARS = (
    "org.apache.hadoop_hadoop-aws-3.5.0.jar",
    "org.wildfly.openssl_wildfly-openssl-2.2.5.Final.jar",
    "software.amazon.awssdk_bundle-2.35.4.jar",
    "software.amazon.s3.analyticsaccelerator_analyticsaccelerator-s3-1.3.1.jar",
)
END_OF_ZIP = b"PK\x05\x06"
END_OF_ZIP_BYTES = 22


def jar_settings(*, is_local: bool, is_on_this_machine: bool, ivy: Path = IVY) -> dict[str, str]:
    """Return the Spark settings that bring the jars: those that Spark fetched before, or the order to fetch them.

    A Spark that is on this machine alone, local or a cluster, takes them where they lie. To executors elsewhere the
    driver sends them, 690 MB to each for every session.

    Args:
        is_local: Whether driver and executors are one process.
        is_on_this_machine: Whether they are all on this machine.
        ivy: Where Spark keeps what it fetched from Maven Central.
    """
    jars = [ivy / "jars" / name for name in JARS]
    if not all(_is_whole(jar) for jar in jars):
        for jar in jars:  # a fetch that was cut off would be taken for a finished one
            jar.unlink(missing_ok=True)
        return {"spark.jars.packages": PACKAGE, "spark.jars.ivy": str(ivy)}
    if not is_on_this_machine:
        return {"spark.jars": ",".join(jar.as_uri() for jar in jars)}
    class_path = ":".join(map(str, jars))
    executors = {} if is_local else {"spark.executor.extraClassPath": class_path}
    return {"spark.driver.extraClassPath": class_path} | executors


def reach(context: SparkContext, access: S3Access) -> None:
    """Tell a context how to reach the server.

    The credentials go where Spark hands them to its executors and nowhere else: no page of Spark's, log or event
    file shows them, as it would its configuration.
    """
    hadoop: JavaObject = context._jsc.hadoopConfiguration()
    for name, value in _settings(access):
        hadoop.set(name, value)


def _settings(access: S3Access) -> Iterator[tuple[str, str]]:
    plain: Mapping[str, str] = {
        "fs.s3a.endpoint": access.endpoint_url,
        "fs.s3a.endpoint.region": access.region,
        "fs.s3a.path.style.access": str(access.is_path_style).lower(),
        "fs.s3a.connection.ssl.enabled": str(access.endpoint_url.startswith("https:")).lower(),
        "fs.s3a.access.key": access.access_key,
        "fs.s3a.secret.key": access.secret_key,
        # Nobody looks at scratch files before the job is done, so parts may go where they belong at once.
        "mapreduce.fileoutputcommitter.algorithm.version": "2",
    }
    yield from plain.items()
    provider = "SimpleAWSCredentialsProvider"
    if access.session_token:
        provider = "TemporaryAWSCredentialsProvider"
        yield "fs.s3a.session.token", access.session_token
    yield "fs.s3a.aws.credentials.provider", f"org.apache.hadoop.fs.s3a.{provider}"


def _is_whole(jar: Path) -> bool:
    """Tell whether a jar has its last bytes, which say that it is one."""
    if not jar.is_file() or jar.stat().st_size < END_OF_ZIP_BYTES:
        return False
    with jar.open("rb") as stream:
        stream.seek(-END_OF_ZIP_BYTES, 2)
        return stream.read(len(END_OF_ZIP)) == END_OF_ZIP
