"""The lines of a reviews file: read in blocks of whole lines, and taken apart without copying them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from isal import igzip_lib, igzip_threaded

from schema.errors import InvalidInput

BOM = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"
MAX_LINE_BYTES = 2**24
_GZIP_ERRORS = (EOFError, cast("type[Exception]", igzip_lib.IsalError))
_NEWLINE, _RETURN = ord("\n"), ord("\r")
_SPACES = np.frombuffer(b" \t\r\n\v\f", dtype=np.uint8)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Lines:
    r"""Consecutive bytes holding lines, each ending with "\n".

    Attributes:
        data: The bytes.
        offsets: Where line i begins (and line i - 1 ends), one more than there are lines; int64.
        numbers: 1-based line numbers in the file, rising; int64.
    """

    data: pa.Buffer
    offsets: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def buffer(self) -> pa.Buffer:
        """Return the bytes of these lines, and no others."""
        first, last = int(self.offsets[0]), int(self.offsets[-1])
        return self.data.slice(first, last - first)

    def array(self) -> pa.LargeBinaryArray:
        """Return the lines with their ends."""
        return pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(self), [None, pa.py_buffer(self.offsets), self.data]
        )

    def text(self, i: int) -> bytes:
        """Return the bytes of line i with its end."""
        first, last = int(self.offsets[i]), int(self.offsets[i + 1])
        return bytes(self.data.slice(first, last - first))

    def part(self, first: int, last: int) -> "Lines":
        """Return the lines from first to before last."""
        return Lines(self.data, self.offsets[first : last + 1], self.numbers[first:last])

    def keep(self, mask: Mask) -> "Lines":
        """Return the lines where the mask is true, without a copy where it is true for all."""
        if mask.all():
            return self
        kept = self.array().filter(pa.array(mask))
        offsets = np.frombuffer(kept.buffers()[1], dtype=np.int64)[: len(kept) + 1]
        return Lines(kept.buffers()[2] or pa.py_buffer(b""), offsets, self.numbers[mask])

    def without_line(self, number: int) -> "Lines":
        """Return the lines but the one of that number."""
        return self.keep(self.numbers != number) if number in self.numbers else self

    def first_bytes(self) -> npt.NDArray[np.uint8]:
        """Return the first byte of each line."""
        first: npt.NDArray[np.uint8] = self._bytes()[self.offsets[:-1]]
        return first

    def last_bytes(self) -> npt.NDArray[np.uint8]:
        r"""Return the byte of each line before its end; the line's first byte where there is none."""
        before = np.maximum(self.offsets[1:] - 2, self.offsets[:-1])
        is_return = self._bytes()[before] == _RETURN
        last: npt.NDArray[np.uint8] = self._bytes()[np.maximum(before - is_return, self.offsets[:-1])]
        return last

    def blank(self) -> Mask:
        """Return which lines hold nothing but ASCII white space."""
        mask = np.isin(self.first_bytes(), _SPACES)
        candidates = np.flatnonzero(mask)
        mask[candidates] = [not self.text(i).strip() for i in candidates.tolist()]
        return mask

    def with_stray_carriage_return(self) -> Mask:
        """Return which lines hold a carriage return elsewhere than at their end."""
        data = self._bytes()[self.offsets[0] : self.offsets[-1]]
        n_returns = np.count_nonzero(data == _RETURN)
        n_at_ends = np.count_nonzero(self._bytes()[np.maximum(self.offsets[1:] - 2, 0)] == _RETURN)
        if n_returns == n_at_ends:
            return np.zeros(len(self), dtype=np.bool_)
        return np.asarray(pc.match_substring_regex(self.array(), r"\r[^\n]"), dtype=np.bool_)

    def with_odd_count(self, byte: int) -> Mask:
        """Return which lines hold the byte an odd number of times."""
        positions = np.flatnonzero(self._bytes() == byte)
        lines = np.searchsorted(self.offsets, positions, side="right") - 1
        is_within = (lines >= 0) & (lines < len(self))
        counts = np.bincount(lines[is_within], minlength=len(self))
        return np.asarray(counts % 2 == 1, dtype=np.bool_)

    def _bytes(self) -> npt.NDArray[np.uint8]:
        return np.frombuffer(self.data, dtype=np.uint8)


def split_lines(block: bytes, first_number: int) -> Lines:
    r"""Return the lines of a block that ends with "\n", numbered from first_number.

    Example:
        >>> lines = split_lines(b"a\nbc\n", 7)
        >>> [(int(n), lines.text(i)) for i, n in enumerate(lines.numbers)]
        [(7, b'a\n'), (8, b'bc\n')]
    """
    ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == _NEWLINE) + 1
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), ends])
    numbers = np.arange(first_number, first_number + len(ends), dtype=np.int64)
    return Lines(pa.py_buffer(block), offsets, numbers)


def is_gzipped(path: Path) -> bool:
    """Return whether the bytes of a file are a gzip stream, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open the uncompressed bytes of a file, gzipped or not, for reading from the start.

    Raises:
        InvalidInput: When the file cannot be read, or, while reading, when its gzip stream is cut or damaged.
    """
    try:
        with _open_gzip(path) if is_gzipped(path) else path.open("rb") as stream:
            yield stream
    except _GZIP_ERRORS as error:
        raise InvalidInput(_damaged(path, error)) from error
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}. Expected a file that may be read.") from error
    except OSError as error:
        if error.errno is not None:  # from the disk, not from the data
            raise
        raise InvalidInput(_damaged(path, error)) from error


def _open_gzip(path: Path) -> BinaryIO:
    stream: BinaryIO = igzip_threaded.open(path, "rb", threads=1)  # type: ignore[no-untyped-call]
    return stream


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is a gzip file that is cut off or damaged ({error}). Fetch it again."


def read_lines(path: Path, block_bytes: int) -> Iterator[Lines]:
    """Yield the lines of a file, without a byte order mark, in blocks of about block_bytes.

    Raises:
        InvalidInput: When the gzip stream is cut or damaged, or a line is longer than MAX_LINE_BYTES.
    """
    next_number = 1
    with open_bytes(path) as stream:
        for block in _blocks(stream, block_bytes, path):
            lines = split_lines(block, next_number)
            next_number += len(lines)
            yield lines


def _blocks(stream: BinaryIO, block_bytes: int, path: Path) -> Iterator[bytes]:
    """Yield blocks of whole lines; the last line gets its end where it lacks one."""
    rest = b""
    chunk = _next_chunk(stream, block_bytes).removeprefix(BOM)
    while chunk:
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield rest + chunk[:cut]
            rest = b""
        rest += chunk[cut:]
        if len(rest) > MAX_LINE_BYTES:
            raise InvalidInput(
                f"{path} has a line of more than {MAX_LINE_BYTES:,} bytes, beginning {rest[:40]!r}; "
                f"expected one review per line. Is it text with line ends?"
            )
        chunk = _next_chunk(stream, block_bytes)
    if rest:
        yield rest + b"\n"


def _next_chunk(stream: BinaryIO, n_bytes: int) -> bytes:
    """Return the next bytes; the stream's last get the line end that they may lack."""
    chunk = stream.read(n_bytes)
    is_cut_short = 0 < len(chunk) < n_bytes and not chunk.endswith(b"\n")
    return chunk + b"\n" if is_cut_short else chunk
