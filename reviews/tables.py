"""Parquet files whose bytes depend on nothing but their rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 131_072


class RowGroupWriter:
    """Writes rows in row groups of ROW_GROUP_ROWS, in whatever portions they come."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._waiting = schema.empty_table()
        self.n_rows = 0

    def write(self, table: pa.Table) -> None:
        """Take rows of the file's schema."""
        self.n_rows += table.num_rows
        self._waiting = pa.concat_tables([self._waiting, table])
        while self._waiting.num_rows >= ROW_GROUP_ROWS:
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
def canonical_parquet(path: Path, schema: pa.Schema) -> Iterator[RowGroupWriter]:
    """Open a Parquet file for writing in canonical form; it takes its name only when it is whole."""
    with replacing(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as parquet:
        writer = RowGroupWriter(parquet, schema)
        yield writer
        writer.finish()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside the one given, which is renamed to it at the end, or removed on an error."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
