"""Find where the records of delimited text end, where a quoted cell may go over several lines (RFC 4180)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reviews.cells import read_cells

_WINDOW_BYTES = 2**20
_NEWLINE, _RETURN, _BACKSLASH = ord("\n"), ord("\r"), ord("\\")

Offsets = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Ends:
    """Where the whole records of some bytes end.

    Attributes:
        offsets: The byte after each record, rising.
        n_lines: The lines from the first byte to there.
        is_plain: Whether the record keeps the rules of quoting.
    """

    offsets: Offsets
    n_lines: Offsets
    is_plain: npt.NDArray[np.bool_]


def find_ends(data: bytes, delimiter: str, quote: str) -> Ends | None:
    r"""Return the ends of the records in bytes that begin with a record; None where no line holds a quote.

    Where every quote that opens stands at a cell's start and every one that closes at a cell's end, counting them tells
    which line ends are quoted. Elsewhere Python's csv decides, until a stretch of bytes is over.

    Args:
        data: What follows the last record that is whole is left out.
        delimiter: Its last byte counts.
        quote: One byte; or two, a backslash that escapes the byte behind it.

    Example:
        >>> find_ends(b'a,"b\nc"\nd,e\n', ",", '"').offsets.tolist()
        [8, 12]
    """
    whole = data.rfind(b"\n") + 1
    if data.find(quote[-1].encode(), 0, whole) < 0:
        return None
    separator = delimiter.encode()[-1]
    nothing = np.zeros(0, dtype=np.int64)
    found = [Ends(nothing, nothing, nothing.astype(np.bool_))]
    start, n_lines, width = 0, 0, _WINDOW_BYTES
    while start < whole:
        stop = data.rfind(b"\n", start, start + width) + 1 or data.find(b"\n", start + width) + 1
        window = np.frombuffer(data, dtype=np.uint8, count=stop - start, offset=start)
        ends, is_sound = _by_parity(window, separator, quote)
        if not is_sound and not len(ends.offsets):
            ends = _by_csv(data, start, stop, chr(separator), quote)
        if len(ends.offsets):
            found.append(Ends(ends.offsets + start, ends.n_lines + n_lines, ends.is_plain))
            start, n_lines, width = int(found[-1].offsets[-1]), int(found[-1].n_lines[-1]), _WINDOW_BYTES
        elif stop == whole:
            break
        else:
            width *= 2
    return Ends(
        *(np.concatenate([getattr(part, name) for part in found]) for name in ("offsets", "n_lines", "is_plain"))
    )


def _by_parity(window: Bytes, separator: int, quotes_as: str) -> tuple[Ends, bool]:
    """Return the ends of the records before the first misplaced quote, and whether there is none."""
    quote = ord(quotes_as[-1])
    quotes, newlines = np.flatnonzero(window == quote), np.flatnonzero(window == _NEWLINE)
    if len(quotes_as) > 1:
        quotes = quotes[~_escaped(window, quotes)]
    is_end = np.searchsorted(quotes, newlines) % 2 == 0
    opening, closing = quotes[::2], quotes[1::2]
    is_misplaced = np.zeros(len(quotes), dtype=np.bool_)
    is_misplaced[::2] = ~np.isin(window[opening - 1], (separator, _NEWLINE, quote)) & (opening > 0)
    is_misplaced[1::2] = ~np.isin(window[closing + 1], (separator, _NEWLINE, _RETURN, quote))
    is_sound = not is_misplaced.any()
    if not is_sound:
        is_end &= newlines < quotes[is_misplaced.argmax()]
    ends = Ends(newlines[is_end] + 1, np.flatnonzero(is_end) + 1, np.ones(is_end.sum(), dtype=np.bool_))
    return ends, is_sound


def _escaped(window: Bytes, places: Offsets) -> npt.NDArray[np.bool_]:
    """Return at which places an odd number of backslashes stands before."""
    is_escaped, is_next, n = np.zeros(len(places), np.bool_), np.ones(len(places), np.bool_), 0
    while is_next.any():
        n += 1
        is_next &= (places >= n) & (window[places - n] == _BACKSLASH)
        is_escaped ^= is_next
    return is_escaped


def _by_csv(data: bytes, start: int, stop: int, separator: str, quote: str) -> Ends:
    """Return the ends of whole records from start until one ends at stop or after it, as Python's csv reads them."""
    position, is_over = start, False

    def lines() -> Iterator[str]:
        nonlocal position, is_over
        while end := data.find(b"\n", position) + 1:
            line, position = data[position:end], end
            yield line.decode("latin-1").replace("\r", " ")
        is_over = True

    rows: list[tuple[int, int, bool]] = []
    first = position
    for record in read_cells(lines(), separator, quote):
        if is_over:
            break
        rows.append((position - start, record.last, quote[-1].encode() not in data[first:position]))
        first = position
        if position >= stop:
            break
    offsets, n_lines, is_plain = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Ends(offsets, n_lines, is_plain.astype(np.bool_))
