"""The records of a file's text: read in blocks of whole records, and taken apart without copying them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviews.encodings import open_text
from reviews.formats import Format
from reviews.quotes import Offsets, find_ends
from schema.errors import InvalidInput

MAX_RECORD_BYTES = 2**24
MAX_RECORD_LINES = 1_000
_MAX_BLOCK_BYTES = 2**22  # larger ones cost more: memory that is new to the process, and none of it in caches
_NEWLINE, _RETURN = ord("\n"), ord("\r")
_SPACES = np.frombuffer(b" \t\r\n\v\f", dtype=np.uint8)

Mask = npt.NDArray[np.bool_]


class RejectedRecordError(InvalidInput):
    """A record that holds no review; the message is the reason, free of the record's own values."""


@dataclass(frozen=True)
class Records:
    r"""Consecutive bytes holding records, each ending with "\n".

    Attributes:
        data: The bytes.
        offsets: Where record i begins (and record i - 1 ends), one more than there are records; int64.
        lines: 1-based line of the file on which each begins, rising; int64.
        is_plain: Whether each keeps RFC 4180's rules of quoting.
    """

    data: pa.Buffer
    offsets: Offsets
    lines: Offsets
    is_plain: Mask

    def __len__(self) -> int:
        return len(self.lines)

    def buffer(self) -> pa.Buffer:
        """Return the bytes of these records, and no others."""
        first, last = int(self.offsets[0]), int(self.offsets[-1])
        return self.data.slice(first, last - first)

    def array(self) -> pa.LargeBinaryArray:
        """Return the records with their ends."""
        return pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(self), [None, pa.py_buffer(self.offsets), self.data]
        )

    def text(self, i: int) -> bytes:
        """Return the bytes of record i with its end."""
        first, last = int(self.offsets[i]), int(self.offsets[i + 1])
        return bytes(self.data.slice(first, last - first))

    def part(self, first: int, last: int) -> "Records":
        """Return the records from first to before last."""
        return Records(self.data, self.offsets[first : last + 1], self.lines[first:last], self.is_plain[first:last])

    def keep(self, mask: Mask) -> "Records":
        """Return the records where the mask is true, without a copy where it is true for all."""
        if mask.all():
            return self
        kept = self.array().filter(pa.array(mask))
        offsets = np.frombuffer(kept.buffers()[1], dtype=np.int64)[: len(kept) + 1]
        return Records(kept.buffers()[2] or pa.py_buffer(b""), offsets, self.lines[mask], self.is_plain[mask])

    def first_bytes(self) -> npt.NDArray[np.uint8]:
        """Return the first byte of each record."""
        first: npt.NDArray[np.uint8] = self._bytes()[self.offsets[:-1]]
        return first

    def last_bytes(self) -> npt.NDArray[np.uint8]:
        r"""Return the byte of each record before its end; the record's first byte where there is none."""
        before = np.maximum(self.offsets[1:] - 2, self.offsets[:-1])
        is_return = self._bytes()[before] == _RETURN
        last: npt.NDArray[np.uint8] = self._bytes()[np.maximum(before - is_return, self.offsets[:-1])]
        return last

    def blank(self) -> Mask:
        """Return which records hold nothing but ASCII white space."""
        mask = np.isin(self.first_bytes(), _SPACES)
        candidates = np.flatnonzero(mask)
        mask[candidates] = [not self.text(i).strip() for i in candidates.tolist()]
        return mask

    def with_byte(self, byte: bytes) -> Mask:
        """Return which records hold a byte."""
        return np.asarray(pc.match_substring(self.array(), byte), dtype=np.bool_)

    def _bytes(self) -> npt.NDArray[np.uint8]:
        return np.frombuffer(self.data, dtype=np.uint8)


def make_records(data: bytes, ends: Offsets, lines: Offsets, is_plain: Mask | None = None) -> Records:
    r"""Return records by where they end and on which lines they begin.

    Example:
        >>> records = make_records(b"a\nbc\n", np.array([2, 5]), np.array([7, 8]))
        >>> [(int(line), records.text(i)) for i, line in enumerate(records.lines)]
        [(7, b'a\n'), (8, b'bc\n')]
    """
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), ends])
    return Records(pa.py_buffer(data), offsets, lines, np.ones(len(ends), np.bool_) if is_plain is None else is_plain)


def read_records(path: Path, file_format: Format, block_bytes: int) -> Iterator[tuple[Records, int]]:
    """Yield the records of a file of text, after its header, in blocks of at most about block_bytes.

    Records are lines or, where a quote may enclose a cell, end where a line ends outside of quotes. With each block
    comes the line that follows it.

    Raises:
        InvalidInput: When the stream is cut or damaged, or a record has no end.
    """
    rest, line = b"", 1
    n_skipped = max(file_format.skipped_lines, file_format.header_line)
    with open_text(path, file_format.encoding) as stream, ThreadPoolExecutor(1) as ahead:
        for chunk in _chunks(stream, min(block_bytes, _MAX_BLOCK_BYTES), ahead):
            cut = chunk.rfind(b"\n") + 1
            data, rest = (b"".join([rest, memoryview(chunk)[:cut]]), chunk[cut:]) if cut else (b"", rest + chunk)
            if line <= n_skipped:
                data, line = _skip_lines(data, line, n_skipped)
            if data:
                records, next_line = _whole_records(data, line, file_format)
                if len(records):
                    _require_closed_quotes(records, next_line, path)
                    yield records, next_line
                rest, line = data[records.offsets[-1] :] + rest, next_line
            _require_bounds(rest, line, path)
    if rest:  # a quote is open at the end
        record = make_records(rest, np.array([len(rest)]), np.array([line]), np.zeros(1, dtype=np.bool_))
        yield record, line + rest.count(b"\n")


def _skip_lines(data: bytes, line: int, n_skipped: int) -> tuple[bytes, int]:
    """Return what follows the lines to skip, as far as they are there, and its line."""
    start = 0
    while line <= n_skipped and (end := data.find(b"\n", start) + 1):
        start, line = end, line + 1
    return data[start:], line


def _whole_records(data: bytes, line: int, file_format: Format) -> tuple[Records, int]:
    """Return the whole records that lines begin with, and the line that follows them."""
    has_quotes = file_format.kind == "delimited" and file_format.quote
    found = find_ends(data, file_format.delimiter, file_format.quote) if has_quotes else None
    if found is None:
        ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == _NEWLINE) + 1
        return make_records(data, ends, np.arange(line, line + len(ends))), line + len(ends)
    starts = line + np.concatenate([np.zeros(1, dtype=np.int64), found.n_lines])
    return make_records(data, found.offsets, starts[:-1], found.is_plain), int(starts[-1])


def _require_closed_quotes(records: Records, next_line: int, path: Path) -> None:
    n_lines = np.diff(records.lines, append=next_line)
    longest = int(n_lines.argmax())
    _require_few_lines(records.text(longest), int(n_lines[longest]), int(records.lines[longest]), path)


def _require_bounds(rest: bytes, line: int, path: Path) -> None:
    """Refuse a record that has no end within bounds."""
    _require_few_lines(rest, rest.count(b"\n"), line, path)
    if len(rest) > MAX_RECORD_BYTES:
        raise InvalidInput(
            f"{path} has a record of more than {MAX_RECORD_BYTES:,} bytes in line {line}, beginning {rest[:40]!r}; "
            f"expected one review per record. Is it text with line ends?"
        )


def _require_few_lines(record: bytes, n_lines: int, line: int, path: Path) -> None:
    if n_lines > MAX_RECORD_LINES:
        raise InvalidInput(
            f"{path} has a quote in line {line} that is not closed within {MAX_RECORD_LINES:,} lines, in the record "
            f"beginning {record[:40]!r}. Close it, or read quotes as characters with --quote none."
        )


def _chunks(stream: BinaryIO, n_bytes: int, ahead: ThreadPoolExecutor) -> Iterator[bytes]:
    """Yield the stream's bytes, reading on while a chunk is used; the stream's last get the line end they may lack."""
    is_ended = True
    coming = ahead.submit(_read, stream, n_bytes)
    while chunk := coming.result():
        coming = ahead.submit(_read, stream, n_bytes)
        is_ended = chunk.endswith(b"\n")
        if len(chunk) < n_bytes and not is_ended:
            chunk, is_ended = chunk + b"\n", True
        yield chunk
    if not is_ended:
        yield b"\n"


def _read(stream: BinaryIO, n_bytes: int) -> bytes:
    """Return that many bytes, or what is left of the stream, however little it gives at a time."""
    pieces: list[bytes] = []
    while n_bytes and (piece := stream.read(n_bytes)):
        pieces.append(piece)
        n_bytes -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
