"""Parquet files whose bytes depend on nothing but their rows and their schema."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.files import whole_file

ROW_GROUP_ROWS = 131_072


class RowGroupWriter:
    """Writes rows in groups of `ROW_GROUP_ROWS`, in whatever portions they come; one group is in memory at most.

    Attributes:
        n_rows: The number of rows taken so far.
    """

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._waiting = schema.empty_table()
        self.n_rows = 0

    def write(self, table: pa.Table) -> None:
        """Take rows; the file's columns are picked by name and cast to its types.

        Raises:
            KeyError: If the table lacks a column of the file.
            pyarrow.ArrowInvalid: If a value does not fit its column's type.
        """
        self.n_rows += table.num_rows
        for start in range(0, table.num_rows, ROW_GROUP_ROWS):
            part = table.slice(start, ROW_GROUP_ROWS).select(self._schema.names).cast(self._schema)
            self._waiting = pa.concat_tables([self._waiting, part])
            if self._waiting.num_rows >= ROW_GROUP_ROWS:
                self._write_group()

    def finish(self) -> None:
        """Write the last row group, which may be shorter; none for no rows."""
        if self._waiting.num_rows:
            self._write_group()

    def _write_group(self) -> None:
        group = self._waiting.slice(0, ROW_GROUP_ROWS).combine_chunks()
        self._writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
        self._waiting = self._waiting.slice(ROW_GROUP_ROWS)


@contextmanager
def open_parquet(target: Path, schema: pa.Schema) -> Iterator[RowGroupWriter]:
    """Open a Parquet file for writing in canonical form; it takes its name only when it is whole.

    The form: row groups of 131,072 rows, zstd, no metadata and no Arrow schema inside.
    """
    plain = schema.remove_metadata()
    with (
        whole_file(target) as partial,
        pq.ParquetWriter(partial, plain, compression="zstd", store_schema=False) as parquet,
    ):
        writer = RowGroupWriter(parquet, plain)
        yield writer
        writer.finish()


def write_parquet(tables: Iterable[pa.Table], target: Path, schema: pa.Schema) -> int:
    """Write the rows of tables, one after the other, as one canonical Parquet file.

    Where the rows are cut into tables and chunks does not show in the file.

    Args:
        tables: The rows; read one by one, so that no more than one table and one row group are in memory.
        target: The file, replaced if it is there.
        schema: Its columns and their types, whatever the tables' order of columns.

    Returns:
        The number of rows written.
    """
    with open_parquet(target, schema) as writer:
        for table in tables:
            writer.write(table)
        return writer.n_rows
