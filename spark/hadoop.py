"""Files by URI, through the Hadoop file systems of a session, which reach all that Spark reaches."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

SCRATCH_SETTING = "spark.recommender.scratch"
LOCAL_SCHEME = "file:"
BATCH_ROWS = 131_072


def local_uri(folder: Path) -> str:
    """Return a local path as Hadoop takes it: with a scheme, and unlike a URI with each character as it is.

    Example:
        >>> local_uri(Path("/data/100 % é"))
        'file:/data/100 % é'
    """
    return f"{LOCAL_SCHEME}{folder.absolute()}"


def local_path(uri: str) -> Path | None:
    """Return the path of what `local_uri` or Hadoop names, or None where it is no local one."""
    return Path(uri.removeprefix(LOCAL_SCHEME)) if uri.startswith(LOCAL_SCHEME) else None


def scratch_uri(session: SparkSession, name: str) -> str:
    """Return a fresh URI in the session's scratch folder, which driver and executors both reach."""
    return f"{session.conf.get(SCRATCH_SETTING)}/{name}-{uuid.uuid4().hex}"


def delete(session: SparkSession, uri: str) -> None:
    """Remove a file or a folder with all that is in it; an absent one is fine."""
    system, path = _open(session, uri)
    system.delete(path, True)


def stored_batches(frame: DataFrame, cache: Path) -> Iterator[pa.Table]:
    """Yield the rows of a frame in its order, through files in the session's scratch folder.

    Neither the driver's JVM nor this process holds more than a part of them; `cache` is a local folder for one file at
    a time.
    """
    session = frame.sparkSession
    uri = scratch_uri(session, "rows")
    frame.write.parquet(uri)
    for part in local_files(session, uri, cache):
        yield from parquet_batches(part)
    delete(session, uri)


def parquet_batches(path: Path) -> Iterator[pa.Table]:
    """Yield the rows of a local Parquet file in tables of at most 131,072 rows."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS):
            yield pa.table(batch)


def local_files(session: SparkSession, uri: str, cache: Path) -> Iterator[Path]:
    """Yield, ordered by name, a local path for each data file of a folder that Spark wrote.

    A file of another file system is copied into `cache`, and removed from it when the next one is asked for,
    so that one file at a time takes local space.
    """
    system, folder = _open(session, uri)
    paths = sorted(str(status.getPath()) for status in system.listStatus(folder) if status.isFile())
    for path in paths:
        name = Path(path).name
        if name.startswith(("_", ".")):
            continue
        if local := local_path(path):
            yield local
            continue
        copy = cache / name
        system.copyToLocalFile(False, _open(session, path)[1], _open(session, local_uri(copy))[1], True)
        try:
            yield copy
        finally:
            copy.unlink()


def _open(session: SparkSession, uri: str) -> tuple[Any, Any]:
    """Return the Hadoop FileSystem and Path objects of a URI."""
    jvm: Any = session._jvm
    path = jvm.org.apache.hadoop.fs.Path(uri)
    return path.getFileSystem(session.sparkContext._jsc.hadoopConfiguration()), path
