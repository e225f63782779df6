"""Opening Spark for a task: what is wrong with the machine or the options is said without a traceback."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pyspark.sql import SparkSession

from spark.session import SparkOptions, open_session
from storage.errors import InvalidInput


@contextmanager
def open_spark(options: SparkOptions, name: str) -> Iterator[SparkSession]:
    """Yield a Spark session that is closed at the end, whatever happens.

    Raises:
        InvalidInput: If no fit Java is found, or Spark refuses the options.
    """
    with ExitStack() as stack:
        try:
            session = stack.enter_context(open_session(options, name))
        except ValueError as error:
            raise InvalidInput(str(error)) from error
        yield session
