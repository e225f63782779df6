"""Parquet files whose bytes depend on nothing but their rows and their schema."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.files import whole_file

ROW_GROUP_ROWS = 131_072


def write_parquet(tables: Iterable[pa.Table], target: Path, schema: pa.Schema) -> int:
    """Write the rows of tables as one canonical Parquet file, which takes its name only when it is whole.

    The form: row groups of 131,072 rows, zstd, no metadata and no Arrow schema inside. Where the rows are cut into
    tables and chunks does not show in the file.

    Args:
        tables: The rows; read one by one, so that no more than one table and one row group are in memory.
        target: The file, replaced if it is there.
        schema: Its columns, picked by name from each table and cast to these types.

    Returns:
        The number of rows written.

    Raises:
        KeyError: If a table lacks a column.
        pyarrow.ArrowInvalid: If a value does not fit its column's type.
    """
    plain = schema.remove_metadata()
    n_rows, waiting = 0, plain.empty_table()
    with (
        whole_file(target) as partial,
        pq.ParquetWriter(partial, plain, compression="zstd", store_schema=False) as parquet,
    ):
        for table in tables:
            n_rows += table.num_rows
            for start in range(0, table.num_rows, ROW_GROUP_ROWS):
                part = table.slice(start, ROW_GROUP_ROWS).select(plain.names).cast(plain)
                waiting = pa.concat_tables([waiting, part])
                if waiting.num_rows >= ROW_GROUP_ROWS:
                    _write_group(parquet, waiting)
                    waiting = waiting.slice(ROW_GROUP_ROWS)
        if waiting.num_rows:
            _write_group(parquet, waiting)
    return n_rows


def _write_group(parquet: pq.ParquetWriter, rows: pa.Table) -> None:
    parquet.write_table(rows.slice(0, ROW_GROUP_ROWS).combine_chunks(), row_group_size=ROW_GROUP_ROWS)
