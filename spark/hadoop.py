"""Files by URI, through the Hadoop file systems of a session: what Spark can reach, this reaches too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pyspark.sql import SparkSession

from spark.java import jvm_of


def delete(session: SparkSession, uri: str) -> None:
    """Remove a file or a folder with all that is in it; one that is absent is fine."""
    system, path = _open(session, uri)
    system.delete(path, True)


def local_files(session: SparkSession, uri: str, cache: Path) -> Iterator[Path]:
    """Yield, ordered by name, a local path for each data file of a folder that Spark wrote.

    A file of another file system is copied into `cache`, and removed from it when the next one is asked for,
    so that one file at a time takes local space.
    """
    system, folder = _open(session, uri)
    paths = sorted(str(status.getPath()) for status in system.listStatus(folder) if status.isFile())
    for path in paths:
        if Path(path).name.startswith(("_", ".")):
            continue
        if urlsplit(path).scheme == "file":
            yield Path(unquote(urlsplit(path).path))
        else:
            yield from _copied(session, path, cache)


def _copied(session: SparkSession, uri: str, cache: Path) -> Iterator[Path]:
    system, source = _open(session, uri)
    target = cache / Path(uri).name
    _, local = _open(session, target.absolute().as_uri())
    system.copyToLocalFile(False, source, local, True)
    try:
        yield target
    finally:
        target.unlink()


def _open(session: SparkSession, uri: str) -> tuple[Any, Any]:
    """Return the Hadoop FileSystem and Path objects of a URI."""
    path = jvm_of(session).org.apache.hadoop.fs.Path(uri)
    return path.getFileSystem(session.sparkContext._jsc.hadoopConfiguration()), path
