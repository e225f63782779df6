"""A table of texts in three arrays that can be memory-mapped, read by place and found by content."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from schema.mapped import AGAIN, check_array, check_bounds, check_indptr, read_array, write_array

_ARRAYS: dict[str, type[np.generic]] = {"data": np.uint8, "ends": np.int64, "order": np.int32}
MARK_EVERY = 64
_TOP_BITS, _CONTINUATION = 0xC0, 0x80  # a byte 10xxxxxx goes on with a character of UTF-8


@dataclass(frozen=True, eq=False)
class StringTable:
    """Texts by their place; the text of a place and the place of a text are found without reading the others.

    Attributes:
        data: uint8, the UTF-8 bytes of all texts, one after the other.
        ends: int64 of shape (n + 1), from 0; text i has the bytes data[ends[i]:ends[i + 1]].
        order: int32 of shape (n), the places by the bytes of their texts, equal ones by place.

    Raises:
        ValueError: If the arrays are not of these types, do not fit one another, or hold what is no UTF-8.

    Example:
        >>> table = StringTable.of(["pear", "fig", "plum"])
        >>> table[2], table.find("fig"), table.find("kiwi"), table.starting_with("p", 9)
        ('plum', 1, None, [0, 2])
    """

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]
    order: NDArray[np.int32]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Return the table of some texts."""
        encoded = [text.encode() for text in texts]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        order = np.array(sorted(range(len(encoded)), key=encoded.__getitem__), dtype=np.int32)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), ends, order)

    def __post_init__(self) -> None:
        for name, dtype in _ARRAYS.items():
            check_array(name, getattr(self, name), dtype)
        n = len(self.order)
        check_indptr("ends", self.ends, n, len(self.data))
        check_bounds("order", self.order, n)
        if n and np.bincount(self.order, minlength=n).max() > 1:
            raise ValueError(f"order names a place twice; expected each of 0 to {n - 1} once. {AGAIN}")
        try:
            str(_view(self.data), "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"data is no UTF-8: {error}. {AGAIN}") from error
        starts = self.ends[self.ends < len(self.data)]
        if (self.data[starts] & _TOP_BITS == _CONTINUATION).any():
            raise ValueError(f"ends parts a character of UTF-8; expected whole characters. {AGAIN}")

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> str:
        return str(self._bytes_at(place), "utf-8")

    def find(self, text: str) -> int | None:
        """Return the place of a text, the first where it stands at several; None if it stands nowhere."""
        wanted = text.encode("utf-8", "surrogatepass")
        at = self._first_from(wanted)
        return self._places[at] if at < len(self) and self._bytes_at(self._places[at]) == wanted else None

    def starting_with(self, text: str, most: int) -> list[int]:
        """Return the places of at most so many texts that begin with a text, by the bytes of the texts."""
        wanted = text.encode("utf-8", "surrogatepass")
        following = (self._places[at] for at in range(self._first_from(wanted), len(self)))
        return list(islice(takewhile(lambda place: self._bytes_at(place).startswith(wanted), following), most))

    def save(self, folder: Path, name: str) -> None:
        """Write the three arrays into a folder, as ``.npy`` files whose names begin with a name."""
        for array in _ARRAYS:
            write_array(folder / f"{name}_{array}.npy", getattr(self, array))

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Return the table that was saved under a name, memory-mapped.

        Raises:
            FileNotFoundError: If a file is not there.
            ValueError: If a file is not what was saved.
        """
        try:
            return cls(*(read_array(folder / f"{name}_{array}.npy", dtype) for array, dtype in _ARRAYS.items()))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    @cached_property
    def _views(self) -> tuple[memoryview, memoryview, memoryview]:
        return _view(self.data), _view(self.ends), _view(self.order)

    @property
    def _places(self) -> memoryview:
        return self._views[2]

    def _bytes_at(self, place: int) -> bytes:
        data, ends, _ = self._views
        if not 0 <= place < len(self):
            raise IndexError(f"place {place} is outside; expected 0 to {len(self) - 1}.")
        return bytes(data[ends[place] : ends[place + 1]])

    def _first_from(self, wanted: bytes) -> int:
        data, ends, places = self._views
        mark = bisect_left(self._marks, wanted)
        start, stop = max(mark - 1, 0) * MARK_EVERY, min(mark * MARK_EVERY, len(self))
        return bisect_left(places, wanted, start, stop, key=lambda place: bytes(data[ends[place] : ends[place + 1]]))

    @cached_property
    def _marks(self) -> list[bytes]:
        """Every 64th text in order: a search among them takes no call of a function for each step."""
        return [self._bytes_at(self._places[at]) for at in range(0, len(self), MARK_EVERY)]


def _view(array: NDArray[Any]) -> memoryview:
    """Return an array as a buffer, of which one element is read faster than of the array."""
    return np.ascontiguousarray(array).data
