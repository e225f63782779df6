"""Opening Spark for a task: what is wrong with the machine or the options is said without a traceback."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pyspark.sql import SparkSession

from spark.s3a import S3aAccess
from spark.session import SparkOptions, open_session
from storage import artifacts, layout
from storage.errors import InvalidInput
from storage.manifest import Manifest
from storage.s3_options import S3_SCHEME, SPARK_SCRATCH
from tasks.places import PlaceOptions
from tasks.tables import local_file

S3A_SCHEME = "s3a://"


@contextmanager
def open_spark(options: SparkOptions, places: PlaceOptions, name: str) -> Iterator[SparkSession]:
    """Yield a Spark session that reaches the store, and is closed at the end, whatever happens.

    Raises:
        InvalidInput: If no fit Java is found, or Spark refuses the options.
    """
    with ExitStack() as stack:
        try:
            session = stack.enter_context(open_session(options, name, _s3a_access(places)))
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        yield session


def spark_uri(places: PlaceOptions, artifact: Manifest, name: str) -> str:
    """Return where Spark itself reads a file of an artifact: on the S3 server, or a local, verified path.

    Raises:
        ObjectNotFound: If the artifact has no such file.
    """
    if not spark_reaches_store(places):
        return str(local_file(places, artifact, name))
    path = artifacts.entry(artifact, name).path
    key = f"{layout.artifact_prefix(artifact.kind, artifact.id)}/{path}"
    return S3A_SCHEME + places.open_store().locate(key).removeprefix(S3_SCHEME)


def spark_reaches_store(places: PlaceOptions) -> bool:
    """Tell whether the store is on an S3 server whose certificate, if it has one, Spark's JVM accepts too."""
    return places.store_uri.lower().startswith(S3_SCHEME) and places.s3_options.tls_verification is True


def _s3a_access(places: PlaceOptions) -> S3aAccess | None:
    if not spark_reaches_store(places):
        return None
    from storage.s3 import S3Store

    store = S3Store(places.store_uri, places.s3_options)
    scratch = S3A_SCHEME + store.uri.removeprefix(S3_SCHEME) + f"/{SPARK_SCRATCH}"
    return S3aAccess(**vars(store.access()), scratch=scratch)
