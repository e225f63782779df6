"""One Spark session for the tests of a file, and small reviews as Parquet."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark.options import SparkOptions
from spark.session import open_session

REVIEWS = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("rating", pa.float32()),
        ("timestamp", pa.int64()),
        ("line", pa.int64()),
    ]
)
SHARED_DATA = Path(__file__).parents[2].parent / "shared" / "data"

Review = tuple[str, str, float | None, int | None]


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    """A session that is closed after the file, so that tests of other folders in this process can open theirs."""
    options = SparkOptions(spark_master="local[2]", spark_driver_memory="2g", spark_shuffle_partitions=3)
    with open_session(options, "tests") as opened:
        yield opened


@pytest.fixture
def write_reviews(tmp_path: Path) -> Callable[[Sequence[Review]], str]:
    """Write reviews (user, item, rating, timestamp), numbered from line 1, and return their URI."""

    def write(reviews: Sequence[Review]) -> str:
        columns = zip(*reviews, strict=True) if reviews else ((), (), (), ())
        table = pa.table([*columns, range(1, len(reviews) + 1)], schema=REVIEWS)
        pq.write_table(table, tmp_path / "reviews.parquet")
        return (tmp_path / "reviews.parquet").as_uri()

    return write


@pytest.fixture
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the shared data sets are not at {SHARED_DATA}")
    return SHARED_DATA
