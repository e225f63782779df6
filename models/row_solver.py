"""Weighted least squares for many rows at once, each short: the steps of ALS with all that is unseen in the loss.

The vector x of a row with items of vectors y_i and weights c_i, of one row alone, minimises

    sum_i c_i (t_i - x'y_i)^2 + x' diag(s) x + p x'x,

where s is what all items together weigh, in the basis in which their Gram matrix is diagonal, and t are targets, 1 for
an item that a row has. With D = 1 / (s + p), C the diagonal of the weights and Y the vectors as rows, n by d, it is
D Y' (C^-1 + Y D Y')^-1 t by the identity of Woodbury: n^2 d operations where the normal equations
(Y'CY + D^-1) x = Y'C t take d^3, for n < d as most are.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from schema.arrays import Floats, Indices
from schema.items_by_user import ItemsByUser

BLOCK_NUMBERS = 1 << 19
"""Numbers of a block: large enough that its sums take longer than the steps between them."""
BLOCK_ROWS = 1 << 13
LEAST_WEIGHT = np.finfo(np.float32).tiny

Matrix = NDArray[np.floating]
Real = TypeVar("Real", np.float32, np.float64)


def diagonalise(factors: NDArray[np.float32], n_threads: int = 1) -> tuple[NDArray[np.float32], Floats]:
    """Return factors turned into the basis in which their Gram matrix is diagonal, and that diagonal, rising.

    Products of the rows stay what they are. Threads share the rows, which changes no digit.
    """
    turned, blocks = np.empty_like(factors), [slice(at, at + BLOCK_ROWS) for at in range(0, len(factors), BLOCK_ROWS)]
    with ThreadPoolExecutor(n_threads) as pool:
        grams = pool.map(lambda rows: (factors[rows].T @ factors[rows]).astype(np.float64), blocks)
        values, basis = np.linalg.eigh(sum(grams, np.zeros((factors.shape[1], factors.shape[1]))))
        turn = basis.astype(np.float32)
        list(pool.map(lambda rows: np.matmul(factors[rows], turn, out=turned[rows]), blocks))
    return turned, np.maximum(values, 0)


@dataclass(frozen=True, eq=False)
class RowsByLength(Generic[Real]):
    """Rows in the order of their lengths, those of one length side by side, to be solved for again and again.

    Attributes:
        order: Which row of the given table each is.
        table: The items of each.
        weights: c, one for each of ``table.items``.
        targets: t, one for each of them.
        penalty: p of each.
    """

    order: Indices
    table: ItemsByUser
    weights: NDArray[Real]
    targets: NDArray[Real]
    penalty: NDArray[Real]

    @classmethod
    def of(
        cls,
        table: ItemsByUser,
        weights: NDArray[Real],
        penalty: NDArray[np.floating],
        targets: NDArray[Real] | None = None,
    ) -> Self:
        """Return the rows of a table.

        Args:
            table: The items of each row.
            weights: c, at least 0, one for each of ``table.items``.
            penalty: p, above 0, shape (n_rows).
            targets: t, one for each of ``table.items``; by default 1.
        """
        order = np.argsort(table.counts, kind="stable")
        places = table.places(order)
        wanted = np.ones_like(weights) if targets is None else targets[places]
        return cls(order, table.take(order), weights[places], wanted, penalty[order].astype(weights.dtype))

    def solve(self, factors: NDArray[np.float32], spectrum: Floats, n_threads: int = 1) -> NDArray[Real]:
        """Return the vector of each row of the given table, shape (n_rows, d), in the precision of the weights.

        A row's vector depends on nothing but the row; that of an empty one is zeros.

        Args:
            factors: Vectors of the items, shape (n_items, d), float32.
            spectrum: s, shape (d), at least 0.
            n_threads: Threads that share the rows, for BLAS has one.
        """
        solved = np.zeros((len(self.order), factors.shape[1]), dtype=self.weights.dtype)
        diagonal = spectrum.astype(solved.dtype)

        def solve(block: slice) -> None:
            rows, bounds = self.order[block], self.table.indptr[[block.start, block.stop]]
            shape, places = (len(rows), -1), slice(*bounds)
            vectors = factors.take(self.table.items[places].reshape(shape), axis=0)
            weights, targets = self.weights[places].reshape(shape), self.targets[places].reshape(shape)
            scale = 1 / (diagonal + self.penalty[block, None])
            solved[rows] = _solve(vectors, weights, targets[..., None], scale)[..., 0]

        blocks = self._blocks(factors.shape[1])
        if n_threads == 1:
            for block in blocks:
                solve(block)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(solve, blocks))
        return solved

    def _blocks(self, d: int) -> Iterator[slice]:
        """Yield ranges of rows of one length above 0, of about BLOCK_NUMBERS numbers together."""
        counts: NDArray[np.int64] = np.diff(self.table.indptr)
        bounds = [0, *(np.flatnonzero(np.diff(counts)) + 1).tolist(), len(counts)]
        for start, stop in pairwise(bounds):
            n = int(counts[start]) if stop > start else 0
            n_at_once = max(1, BLOCK_NUMBERS // (max(n, 1) * d))
            for first in range(start, stop if n else start, n_at_once):
                yield slice(first, min(first + n_at_once, stop))


def split_solution(weights: Floats, vectors: Floats, spectrum: Floats, penalty: float) -> Floats:
    """Return what each item of one row adds to its vector, shape (d, n_items); they sum to what a step finds."""
    scale = (1 / (spectrum + penalty))[None]
    if len(vectors) > len(spectrum):
        root = np.sqrt(weights)
        stretched = (vectors * root[:, None])[None]
        return np.asarray(_solve_normal(stretched, stretched.transpose(0, 2, 1) * root, scale)[0])
    return np.asarray(_solve(vectors[None], weights[None], np.eye(len(vectors))[None], scale)[0])


def _solve(vectors: Matrix, weights: Matrix, targets: Matrix, scale: Matrix) -> Matrix:
    """Return (Y'CY + D^-1)^-1 Y'C t for stacks of Y (m, n, d), t (m, n, any) and the diagonals of C and D."""
    n, d = vectors.shape[1:]
    if n > d:
        roots = np.sqrt(weights)[..., None]
        stretched = vectors * roots
        return _solve_normal(stretched, stretched.transpose(0, 2, 1) @ (roots * targets), scale)
    scaled = vectors * scale[:, None, :]
    matrix = scaled @ vectors.transpose(0, 2, 1)
    matrix.reshape(len(matrix), -1)[:, :: n + 1] += 1 / np.maximum(weights, LEAST_WEIGHT)
    return np.asarray(scaled.transpose(0, 2, 1) @ np.linalg.solve(matrix, targets))


def _solve_normal(stretched: Matrix, right: Matrix, scale: Matrix) -> Matrix:
    """Return (B'B + D^-1)^-1 r for stacks of B (m, n, d), r (m, d, any) and the diagonals of D (m, d)."""
    matrix = stretched.transpose(0, 2, 1) @ stretched
    matrix.reshape(len(matrix), -1)[:, :: matrix.shape[1] + 1] += 1 / scale
    return np.asarray(np.linalg.solve(matrix, right))
