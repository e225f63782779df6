"""Telling Spark which side of a join is small, where the code knows and Spark cannot."""

from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

BROADCAST_ROWS: Final = 1_000_000


def hinted(frame: DataFrame, n_rows: int) -> DataFrame:
    """Return the frame, marked for a broadcast join where it has at most a million rows.

    A checkpointed frame has no statistics, so without the mark Spark would shuffle both sides of every join.
    """
    return sf.broadcast(frame) if n_rows <= BROADCAST_ROWS else frame
