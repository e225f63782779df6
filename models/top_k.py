"""The k best unseen items of each user, over the full catalogue, in bounded memory."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.base import Ranked
from schema.arrays import Floats, Indices
from schema.items_by_user import ItemsByUser

BLOCK_USERS = 256
BLOCK_SCORES = 1 << 24
SPARE_CANDIDATES = 8
FLOAT32_ROUNDING = 2.0**-24


def top_k(
    user_factors: NDArray[np.float32],
    item_factors: NDArray[np.float32],
    seen_indptr: NDArray[np.int64],
    seen_items: NDArray[np.int32],
    k: int,
    longest_item: float | None = None,
) -> Ranked:
    """Return the k items of highest score of each user, those seen left out.

    A score is the product of the factors summed in double precision, then rounded to float32; equal scores
    are ordered by item index. BLAS, whose last digits depend on a row's place in its block, on threads and on
    the processor, only finds the candidates: the result for a user is the same in any company. Users are
    scored in blocks of about 64 MiB. Limit BLAS to one thread (threadpoolctl) where processes share a machine.

    Args:
        user_factors: Shape (n, rank), the users to serve.
        item_factors: Shape (n_items, rank).
        seen_indptr: Shape (n + 1); the seen items of row i are seen_items[seen_indptr[i]:seen_indptr[i + 1]].
        seen_items: Item indices, in any order.
        k: Length of each list, at least 1.
        longest_item: The largest of `row_lengths(item_factors)` where the caller knows it; found here if not.

    Returns:
        Items and scores, both of shape (n, k), best first; where fewer than k items are left, a row is filled
        up with item -1 and score -inf.

    Example:
        >>> users, catalogue = np.array([[1]], np.float32), np.array([[2], [3], [2]], np.float32)
        >>> items, scores = top_k(users, catalogue, np.array([0, 1]), np.array([1], np.int32), k=3)
        >>> items.tolist(), scores.tolist()
        ([[0, 2, -1]], [[2.0, 2.0, -inf]])
    """
    if not len(item_factors):
        return _nothing(len(user_factors), k)
    longest = float(row_lengths(item_factors).max()) if longest_item is None else longest_item
    errors = bound_errors(user_factors, longest)

    def score(rows: slice, out: NDArray[np.float32]) -> Rough:
        users = user_factors[rows]
        np.matmul(users, item_factors.T, out=out)
        return Rough(errors[rows], lambda some, columns: score_exactly(users[some], item_factors, columns))

    return top_k_of(score, len(item_factors), ItemsByUser(seen_indptr, seen_items), k)


class Rough(NamedTuple):
    """How far the scores of some rows may be off, and how to know them better.

    Attributes:
        errors: The most by which a score of each row is off.
        rescore: Returns the scores of some of the rows (indices) in double precision, for columns of shape (n, any).
    """

    errors: Floats
    rescore: Callable[[Indices, NDArray[np.intp]], Floats]


def top_k_of(
    score: Callable[[slice, NDArray[np.float32]], Rough],
    n_items: int,
    hidden: ItemsByUser,
    k: int,
    block_scores: int | None = None,
) -> Ranked:
    """Return the k items of highest score of each row, those hidden left out, by scores that are rough at first.

    Args:
        score: Writes the scores of a range of rows into an array of shape (n, n_items).
        n_items: Items that there are.
        hidden: Items that are left out; row i is of row i.
        k: Length of each list, at least 1.
        block_scores: About how many scores are held at once, but those of one row at least; by default BLOCK_SCORES.
    """
    n_rows, n_kept = len(hidden.indptr) - 1, min(k, n_items)
    items, scores = _nothing(n_rows, k)
    if n_kept == 0:
        return items, scores
    for rows, block, rough in _score_blocks(score, n_rows, n_items, n_kept + SPARE_CANDIDATES, block_scores):
        _mask_seen(block, hidden.indptr[rows.start : rows.stop + 1], hidden.items)
        items[rows, :n_kept], scores[rows, :n_kept] = _rank_block(block, n_items, n_kept, rough)
    items[np.isneginf(scores)] = -1
    return items, scores


def _nothing(n_rows: int, k: int) -> Ranked:
    return np.full((n_rows, k), -1, dtype=np.int32), np.full((n_rows, k), -np.inf, dtype=np.float32)


def _score_blocks(
    score: Callable[[slice, NDArray[np.float32]], Rough],
    n_all: int,
    n_items: int,
    n_candidates: int,
    block_scores: int | None,
) -> Iterator[tuple[slice, NDArray[np.float32], Rough]]:
    """Yield row ranges and their scores as members by groups, -inf after the last item, in one buffer."""
    n_members, n_groups = group_layout(n_items, min(n_candidates, n_items))
    width = n_members * n_groups
    n_rows = min(n_all, BLOCK_USERS, max(1, (block_scores or BLOCK_SCORES) // width))
    buffer = np.full((n_rows, width), -np.inf, dtype=np.float32)
    for start in range(0, n_all, n_rows or 1):
        rows = slice(start, min(start + n_rows, n_all))
        block = buffer[: rows.stop - start]
        rough = score(rows, block[:, :n_items])
        yield rows, block.reshape(len(block), n_members, n_groups), rough


def _mask_seen(block: NDArray[np.float32], bounds: NDArray[np.int64], seen_items: NDArray[np.int32]) -> None:
    for scores, (start, stop) in zip(block.reshape(len(block), -1), pairwise(bounds), strict=True):
        scores[seen_items[start:stop]] = -np.inf


def _rank_block(block: NDArray[np.float32], n_items: int, k: int, rough: Rough) -> Ranked:
    """Return the exact top k of each row of rough scores."""
    n_rows = len(block)
    n_candidates = min(k + SPARE_CANDIDATES, n_items)
    flat = block.reshape(n_rows, -1)
    columns = find_largest(block, n_candidates)
    found = _pick(flat, columns)
    items, scores = _rank_candidates(np.arange(n_rows), columns, found, n_items, k, rough)
    found.sort(axis=1)
    floor = found[:, -k] - 2 * rough.errors
    is_open = (found[:, 0] >= floor) & np.isfinite(floor) & (n_candidates < n_items)
    for row in np.flatnonzero(is_open):
        columns = np.flatnonzero(flat[row] >= floor[row])[None]
        some = np.array([row])
        items[row], scores[row] = _rank_candidates(some, columns, flat[row, columns], n_items, k, rough)
    return items, scores


def _rank_candidates(
    rows: Indices, columns: NDArray[np.intp], found: NDArray[np.float32], n_items: int, k: int, rough: Rough
) -> Ranked:
    exact = rough.rescore(rows, np.minimum(columns, n_items - 1)).astype(np.float32)
    exact[np.isneginf(found)] = -np.inf
    best = np.lexsort((columns, -exact), axis=1)[:, :k]
    return _pick(columns, best).astype(np.int32), _pick(exact, best)


def score_exactly(vectors: NDArray[np.float32], item_factors: NDArray[np.float32], columns: NDArray[np.intp]) -> Floats:
    """Return the products of each vector and its items, shape (n, any), summed in double precision."""
    return np.asarray(np.einsum("nr,ncr->nc", vectors, item_factors[columns], dtype=np.float64))


def bound_errors(user_factors: NDArray[np.float32], longest_item: float) -> Floats:
    """Return how far a float32 product of each user can be off: rank + 2 roundings (Higham, 2002, 3.1)."""
    lengths = row_lengths(user_factors).astype(np.float64)
    return np.asarray((user_factors.shape[1] + 2) * FLOAT32_ROUNDING * longest_item * lengths)


def row_lengths(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the Euclidean length of each row."""
    lengths: NDArray[np.float32] = np.sqrt(np.einsum("ir,ir->i", matrix, matrix))
    return lengths


def group_layout(n_columns: int, k: int) -> tuple[int, int]:
    """Return (n_members, n_groups) with n_members * n_groups >= n_columns and n_groups >= k, for k <= n_columns.

    About 2 sqrt(k * n_columns) groups make both searches of find_largest short: one over all groups, one over
    the members of k groups.
    """
    wanted = 2 * math.isqrt(k * n_columns)
    n_groups = min(n_columns, -(-wanted // 16) * 16)
    return -(-n_columns // n_groups), n_groups


def find_largest(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Return the columns of k largest values of each row, in no order; which of equal values is left open.

    A row is laid out as members by groups: column j is member j // n_groups of group j % n_groups, so the
    maxima of all groups take one pass over contiguous memory. The k largest values lie in the k groups with
    the largest maxima: only these are searched.

    Args:
        scores: Shape (n, n_members, n_groups), as group_layout says; no NaN.
        k: From 1 to n_groups.

    Returns:
        Columns, shape (n, k).

    Example:
        >>> sorted(find_largest(np.array([[[1, 5, 2], [7, 0, 3]]], np.float32), k=2)[0].tolist())
        [1, 3]
    """
    n_rows, n_members, n_groups = scores.shape
    groups = _partition(scores.max(axis=1), k)
    members = np.arange(n_members) * n_groups
    candidates = (members[:, None] + groups[:, None, :]).reshape(n_rows, -1)
    values = _pick(scores.reshape(n_rows, -1), candidates)
    return _pick(candidates, _partition(values, k))


def _partition(values: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    return np.argpartition(values, values.shape[1] - k, axis=1)[:, -k:]


def _pick(values: NDArray[Any], columns: NDArray[np.intp]) -> NDArray[Any]:
    """Return some columns of each row, in two thirds of the time of ``numpy.take_along_axis``."""
    return values[np.arange(len(values))[:, None], columns]
