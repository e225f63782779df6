"""Rewriting what Spark wrote in parts as one canonical Parquet file."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 131_072


def write_canonical(parts: Iterable[Path], target: Path, schema: pa.Schema) -> int:
    """Write the rows of Parquet parts, in the order given, to one file whose bytes depend on the rows alone.

    Row groups hold 131,072 rows whatever the parts were, zstd compressed; no more than one is in memory.

    Returns:
        The number of rows written.
    """
    n_rows = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for group in _row_groups(_batches(parts, schema), schema):
            writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
            n_rows += group.num_rows
    return n_rows


def _batches(parts: Iterable[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    for part in parts:
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(ROW_GROUP_ROWS, columns=schema.names):
                yield pa.table(batch).select(schema.names).cast(schema)


def _row_groups(batches: Iterable[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    waiting = schema.empty_table()
    for batch in batches:
        waiting = pa.concat_tables([waiting, batch])
        while waiting.num_rows >= ROW_GROUP_ROWS:
            yield waiting.slice(0, ROW_GROUP_ROWS).combine_chunks()
            waiting = waiting.slice(ROW_GROUP_ROWS)
    if waiting.num_rows:
        yield waiting.combine_chunks()
