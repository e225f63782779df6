"""Sums over the paths from rows to items by way of links, in bounded memory, and the strongest items of each row."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from schema.arrays import Floats, Indices, places_within
from schema.items_by_user import ItemsByUser, pair_keys

BLOCK_CELLS = 1 << 22
CHUNK_PATHS = 1 << 20
DENSE_SHARE = 4

HIGHEST = np.uint32(2**31 - 1)
LOW_BITS = np.uint64(2**32 - 1)

Weigh = Callable[[Indices, Indices], Floats]
"""Returns the weights of paths from the places of their first and of their second links."""


class Links(NamedTuple):
    """Weighted links: those of row r lead to targets[indptr[r]:indptr[r + 1]].

    Attributes:
        indptr: int64 of shape (n_rows + 1), from 0, never falling.
        targets: int32.
        weights: float32 or float64, one for each of targets.
    """

    indptr: NDArray[np.int64]
    targets: NDArray[np.int32]
    weights: NDArray[np.floating]

    @classmethod
    def of(cls, row: Indices, target: Indices, weight: NDArray[np.floating], n_rows: int) -> Self:
        """Return links given in any order, by row and target; the weights of those given twice are added up.

        Example:
            >>> [part.tolist() for part in Links.of(np.array([1, 0, 1]), np.array([2, 0, 2]), np.ones(3), n_rows=2)]
            [[0, 1, 2], [0, 2], [1.0, 2.0]]
        """
        keys, place = np.unique(pair_keys(row, target), return_inverse=True)
        row, target = np.divmod(keys, 1 << 32)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n_rows))])
        return cls(indptr, target.astype(np.int32), np.bincount(place, weight, minlength=len(keys)).astype(np.float64))

    @property
    def rows(self) -> NDArray[np.int64]:
        """Row of each link."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))


class Sums(NamedTuple):
    """Sums over paths of some rows, those that are not 0, each (row, item) once, in no order.

    Attributes:
        rows: Rows that they are of.
        row: Row of each sum, from 0 at ``rows.start``.
        item: Item of each sum.
        values: float64.
    """

    rows: slice
    row: NDArray[np.int64]
    item: NDArray[np.int64]
    values: Floats


def sum_paths(
    first: Links, second: Links, left_out: ItemsByUser, n_items: int, weigh: Weigh | None = None
) -> Iterator[Sums]:
    """Yield the sum over the paths row - target of first - item of each row and item, some items left out.

    Sums are in double precision, in the order of the links, and those of a row depend on nothing but the row.

    Args:
        first: Links from rows to the rows of second.
        second: Links to items; no row leads to one item twice.
        left_out: Items without sums; row i is of row i of first.
        n_items: Items that there are.
        weigh: Weight of a path; by default the product of the weights of its two links.
    """
    n_rows, n_at_once = len(first.indptr) - 1, max(1, BLOCK_CELLS // max(n_items, 1))
    cells = np.zeros(min(n_at_once, n_rows) * n_items)
    for start in range(0, n_rows, n_at_once):
        rows = slice(start, min(start + n_at_once, n_rows))
        block = cells[: (rows.stop - start) * n_items]
        is_dense = DENSE_SHARE * _count_paths(first, second, rows) > len(block)
        added = [np.empty(0, dtype=np.int64)]
        for places, weights in _paths(first, second, rows, n_items, weigh):
            np.add.at(block, places, weights)
            added += () if is_dense else (places,)
        block[places_of(left_out, rows, n_items)] = 0
        found, values = _take_all(block) if is_dense else _take(block, np.concatenate(added))
        yield Sums(rows, *np.divmod(found, max(n_items, 1)), values)


def places_of(table: ItemsByUser, rows: slice, n_items: int) -> NDArray[np.int64]:
    """Return (row - rows.start) * n_items + item of the items of some rows."""
    indptr = table.indptr[rows.start : rows.stop + 1]
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return row * n_items + table.items[indptr[0] : indptr[-1]]


def keep_strongest(sums: Sums, values: NDArray[np.float32], n_items: int, k: int) -> Links:
    """Return the k items of highest value of each row, best first; equal values are ordered by item.

    Args:
        sums: Rows and items; each (row, item) once.
        values: One for each of them, finite and no negative zeros.
        n_items: Items that there are.
        k: At least 1.
    """
    width, n_rows = np.uint64(max(int(n_items) - 1, 1).bit_length()), sums.rows.stop - sums.rows.start
    falling = _flip(values.view(np.uint32)).astype(np.uint64)
    keys = ((sums.row.astype(np.uint64) << np.uint64(32) | falling) << width) | sums.item.astype(np.uint64)
    keys.sort()
    counts = np.bincount(sums.row, minlength=n_rows)
    keys = keys[places_within(counts) < k]
    strongest = _flip(((keys >> width) & LOW_BITS).astype(np.uint32)).view(np.float32)
    items = (keys & ((np.uint64(1) << width) - np.uint64(1))).astype(np.int32)
    return Links(np.concatenate([[0], np.cumsum(np.minimum(counts, k))]), items, strongest)


def stack(blocks: Iterable[Links]) -> Links:
    """Return the rows of one block of links after those of another.

    Example:
        >>> block = Links(np.array([0, 1]), np.array([3], np.int32), np.array([0.5], np.float32))
        >>> [part.tolist() for part in stack([block, block])]
        [[0, 1, 2], [3, 3], [0.5, 0.5]]
    """
    nothing = Links(np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32))
    indptrs, targets, weights = zip(nothing, *blocks, strict=True)
    ends = np.cumsum(np.concatenate([[0], *(np.diff(indptr) for indptr in indptrs)]))
    return Links(ends, np.concatenate(targets), np.concatenate(weights))


def _flip(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the bits of floats as numbers that ascend by falling value, and the other way round."""
    return np.where(bits > HIGHEST, bits, HIGHEST - bits)


def _count_paths(first: Links, second: Links, rows: slice) -> int:
    targets = first.targets[first.indptr[rows.start] : first.indptr[rows.stop]]
    return int((second.indptr[targets + 1] - second.indptr[targets]).sum())


def _paths(
    first: Links, second: Links, rows: slice, n_items: int, weigh: Weigh | None
) -> Iterator[tuple[NDArray[np.int64], Floats]]:
    """Yield the places, as of `places_of`, and the weights of the paths of some rows, in order, some at a time."""
    start, stop = int(first.indptr[rows.start]), int(first.indptr[rows.stop])
    base = np.repeat(np.arange(rows.stop - rows.start), np.diff(first.indptr[rows.start : rows.stop + 1])) * n_items
    targets = first.targets[start:stop]
    begins = second.indptr[targets]
    counts = second.indptr[targets + 1] - begins
    ends = np.cumsum(counts)
    at = 0
    while at < len(targets):
        until = int(np.searchsorted(ends, (ends[at - 1] if at else 0) + CHUNK_PATHS, side="right"))
        part = slice(at, max(at + 1, until))
        n_each = counts[part]
        onward = np.repeat(begins[part], n_each) + places_within(n_each)
        places = np.repeat(base[part], n_each) + second.targets[onward]
        if weigh is None:
            weights = np.repeat(first.weights[start:stop][part], n_each).astype(np.float64) * second.weights[onward]
        else:
            weights = weigh(np.repeat(np.arange(start, stop)[part], n_each), onward)
        yield places, weights
        at = part.stop


def _take_all(block: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the places of a block that are not 0 and what is there, and clear the block."""
    found = np.flatnonzero(block)
    values = block[found]
    block[:] = 0
    return found, values


def _take(block: Floats, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    """Do as `_take_all`, where all that are not 0 are among some places; each of which may be there more than once."""
    values = block[places]
    number = np.arange(len(places))
    block[places] = number
    is_found = (block[places] == number) & (values != 0)
    block[places] = 0
    return places[is_found], values[is_found]
