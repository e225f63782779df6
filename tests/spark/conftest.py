"""One Spark session for the tests of a file."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from spark.options import SparkOptions
from spark.session import open_session


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    """A session that is closed after the file, so that tests of other folders in this process can open theirs."""
    options = SparkOptions(spark_master="local[2]", spark_driver_memory="2g", spark_shuffle_partitions=3)
    with open_session(options, "tests") as opened:
        yield opened
