"""Read a reviews file as a stream of partitions: typed rows, and the records that hold none.

Arrow parses whole blocks of records; where a block has a record that does not parse, smaller blocks are tried, and in
the end single records, which says why one is rejected.
"""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reviews import delimited_rows, json_rows
from reviews.checks import FAILURE_SCHEMA
from reviews.formats import Format
from reviews.parquet_rows import as_texts, read_row_texts, read_tables
from reviews.records import Records, RejectedRecordError, read_records
from reviews.values import convert, reviews_schema
from schema.columns import Columns
from schema.errors import InvalidInput

_LEAF_RECORDS = 1_024
_PARTS = 16
_PARSERS = 2  # blocks at a time, whose parts Arrow parses on all cores
_TEXT_BYTES = 2**22
REJECTED_SCHEMA = FAILURE_SCHEMA.append(pa.field("text", pa.string()))

Lines = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Partition:
    """One stretch of a reviews file.

    Attributes:
        number: Counts from 0 in file order.
        reviews: user_id, item_id (string, without blanks at their ends), rating (float64), timestamp (float64, Unix
            seconds with fractions), line (int64, 1-based, the first of the record; the row of Parquet, the object of a
            JSON array). A column that the file lacks is absent; in file order.
        rejected: line, reason, text of the records that hold no row; in file order.
        next_line: The line that follows in the file, which n_lines does not tell where records go over several.
        n_lines: Records of this stretch, blank lines included, header and what precedes it not.
        n_blank: Lines of nothing but white space.
        n_trimmed: Ids that had blanks at their ends.
    """

    number: int
    reviews: pa.Table
    rejected: pa.Table
    next_line: int
    n_lines: int
    n_blank: int
    n_trimmed: int


def read_partitions(path: Path, file_format: Format, partition_bytes: int) -> Iterator[Partition]:
    """Yield the file's partitions in order; what they hold depends on nothing but the arguments.

    Memory is bounded by a few times partition_bytes, whatever the size of the file.

    Raises:
        InvalidInput: When the file is cut or damaged, or a record has no end.
    """
    if file_format.kind == "parquet":
        yield from _parse_tables(path, file_format, partition_bytes)
        return
    blocks: list[Partition] = []
    n_bytes = number = 0
    for block, size in _parse_blocks(path, file_format, partition_bytes):
        blocks.append(block)
        n_bytes += size
        if n_bytes >= partition_bytes:
            yield _merge(number, blocks)
            blocks, n_bytes, number = [], 0, number + 1
    if n_bytes:
        yield _merge(number, blocks)


def _parse_blocks(path: Path, file_format: Format, block_bytes: int) -> Iterator[tuple[Partition, int]]:
    """Yield what each block of a file holds, with its bytes; later ones are read and parsed in the meantime."""
    waiting: deque[Future[tuple[Partition, int]]] = deque()
    with closing(read_blocks(path, file_format, block_bytes)) as blocks, ThreadPoolExecutor(_PARSERS) as pool:
        for one in _parsing(blocks, file_format, pool):
            waiting.append(one)
            if len(waiting) > _PARSERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _parsing(
    blocks: Iterator[tuple[Records, int]], file_format: Format, pool: ThreadPoolExecutor
) -> Iterator[Future[tuple[Partition, int]]]:
    """Yield the parsing of each block; where the file cannot be read on, its error is the last, in its turn."""
    try:
        for records, next_line in blocks:
            yield pool.submit(_parse_block, records, next_line, file_format)
    except InvalidInput as error:
        failed: Future[tuple[Partition, int]] = Future()
        failed.set_exception(error)
        yield failed


def _parse_block(records: Records, next_line: int, file_format: Format) -> tuple[Partition, int]:
    return _Parser(file_format).parse(records, next_line), len(records.buffer())


def _merge(number: int, blocks: Sequence[Partition]) -> Partition:
    """Return consecutive stretches of a file as one."""
    return Partition(
        number=number,
        reviews=pa.concat_tables(one.reviews for one in blocks),
        rejected=pa.concat_tables(one.rejected for one in blocks),
        next_line=blocks[-1].next_line,
        n_lines=sum(one.n_lines for one in blocks),
        n_blank=sum(one.n_blank for one in blocks),
        n_trimmed=sum(one.n_trimmed for one in blocks),
    )


def read_texts(path: Path, file_format: Format, lines: Sequence[int] | Lines) -> Iterator[tuple[int, str]]:
    """Yield the lines, rising, and the records that begin there, as people may read them.

    The file is read once, and until the last of them.
    """
    if file_format.kind == "parquet":
        yield from read_row_texts(path, file_format, lines)
        return
    wanted, n_found = np.unique(np.asarray(lines, dtype=np.int64)), 0
    with closing(read_blocks(path, file_format, _TEXT_BYTES)) as blocks:
        while n_found < len(wanted) and (block := next(blocks, None)):
            records, next_line = block
            inside = wanted[n_found : np.searchsorted(wanted, next_line)]
            n_found += len(inside)
            places = np.searchsorted(records.lines, inside)
            for line, place in zip(inside.tolist(), places.tolist(), strict=True):
                yield line, printable(records.text(place))


def read_blocks(path: Path, file_format: Format, block_bytes: int) -> Generator[tuple[Records, int]]:
    """Yield the records of a file of text, whatever it is written as, with the line that follows them."""
    read = json_rows.read_objects if file_format.kind == "json-array" else read_records
    yield from read(path, file_format, block_bytes)


def printable(record: bytes) -> str:
    r"""Return a raw record for people, its end cut off and undecodable bytes as backslash escapes.

    Example:
        >>> printable(b"caf\xe9,1\r\n")
        'caf\\xe9,1'
    """
    return record.rstrip(b"\r\n").decode("utf-8", "backslashreplace")


def _parse_tables(path: Path, file_format: Format, partition_bytes: int) -> Iterator[Partition]:
    """Yield the partitions of a Parquet file."""
    first = 1
    for number, cells in enumerate(read_tables(path, file_format, partition_bytes)):
        next_line = first + cells.num_rows
        typed = convert(cells, np.arange(first, next_line), file_format)
        lines, reasons = typed.failed.to_pydict().values()
        texts = as_texts(cells.rename_columns(file_format.roles), [line - first for line in lines])
        rejected = pa.table([lines, reasons, texts], schema=REJECTED_SCHEMA)
        yield Partition(number, typed.reviews, rejected, next_line, cells.num_rows, 0, typed.n_trimmed)
        first = next_line


class _Parser:
    """Collects the rows of a block, and the records that hold none."""

    def __init__(self, file_format: Format) -> None:
        self.format = file_format
        self._kind = delimited_rows if file_format.kind == "delimited" else json_rows
        self.n_trimmed = 0
        self._rows = [reviews_schema(file_format).empty_table()]
        self._failed: list[tuple[int, str]] = []

    def parse(self, records: Records, next_line: int) -> Partition:
        """Return what a block of records holds."""
        blank = records.blank()
        filled = records.keep(~blank)
        is_plain = self._kind.find_plain(filled, self.format)
        if is_plain.any():
            self._parse_many(filled.keep(is_plain))
        self._parse_singly(filled.keep(~is_plain))
        reviews = pa.concat_tables(self._rows)
        if len(self._rows) > 2:
            reviews = reviews.sort_by(Columns.LINE)
        lines, reasons = zip(*sorted(self._failed), strict=True) if self._failed else ((), ())
        texts = [printable(records.text(i)) for i in np.searchsorted(records.lines, lines).tolist()]
        rejected = pa.table([lines, reasons, texts], schema=REJECTED_SCHEMA)
        return Partition(0, reviews, rejected, next_line, len(records), int(blank.sum()), self.n_trimmed)

    def _parse_many(self, records: Records) -> None:
        """Parse records as one block where they are all well-formed, else parts of them, and a few singly."""
        cells = self._read_whole(records.buffer(), len(records))
        if cells is not None:
            self._take(cells, records.lines)
        elif len(records) <= _LEAF_RECORDS:
            self._parse_singly(records)
        elif self.format.kind == "delimited" and (mask := delimited_rows.find_misfits(records, self.format)).any():
            self._parse_singly(records.keep(mask))
            self._parse_many(records.keep(~mask))
        else:
            bounds = np.linspace(0, len(records), _PARTS + 1, dtype=np.int64).tolist()
            for first, last in pairwise(bounds):
                self._parse_many(records.part(first, last))

    def _read_whole(self, buffer: pa.Buffer, n_records: int) -> pa.Table | None:
        """Return the cells of well-formed records; None when any is not, or does not give exactly one row."""
        try:
            cells: pa.Table = self._kind.read_rows(buffer, self.format)
            cells.validate(full=True)
        except (pa.ArrowInvalid, pa.ArrowKeyError):
            return None
        return cells if cells.num_rows == n_records else None

    def _parse_singly(self, records: Records) -> None:
        rows: list[dict[str, str | None]] = []
        lines: list[int] = []
        for i, line in enumerate(records.lines.tolist()):
            text = records.text(i).decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
            try:
                rows.append(_require_text(self._kind.read_row(text, self.format)))
                lines.append(line)
            except RejectedRecordError as error:
                self._failed.append((line, str(error)))
        if rows:
            schema = pa.schema([(role, pa.string()) for role in self.format.roles])
            self._take(pa.Table.from_pylist(rows, schema=schema), np.array(lines))

    def _take(self, cells: pa.Table, lines: Lines) -> None:
        typed = convert(cells, lines, self.format)
        self._rows.append(typed.reviews)
        self._failed += zip(*typed.failed.to_pydict().values(), strict=True)
        self.n_trimmed += typed.n_trimmed


def _require_text(row: dict[str, str | None]) -> dict[str, str | None]:
    """Return the values of a record.

    Raises:
        RejectedRecordError: One of them is not valid UTF-8.
    """
    for role, value in row.items():
        try:
            (value or "").encode()
        except UnicodeEncodeError:
            is_id = role in ("user", "item")
            raise RejectedRecordError(f"{role} id is not valid UTF-8" if is_id else f"{role} is not a number") from None
    return row
