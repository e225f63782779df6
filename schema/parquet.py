"""The signature of the writer that leaf folders receive from their task."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa

WriteParquet = Callable[[Iterable[pa.Table], Path, pa.Schema], int]
"""Writes the rows of tables to a file of a schema, and returns how many: `storage.parquet.write_parquet`."""
