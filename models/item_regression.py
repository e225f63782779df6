"""Ridge regression of items on items: on all others at once, or each on its nearest."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from models.cooccurrence import Direction, Events
from models.paths import Links, Sums, keep_strongest, stack
from schema.arrays import Floats, Indices, places_within

if TYPE_CHECKING:
    from scipy.sparse import csc_array

BLOCK_CELLS = 1 << 22
TILE = 1024
DENSE_SHARE = 16

Matrix = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Regression:
    """A ridge regression of each item on others, its weights damped: see `models.ease.Ease`.

    Attributes:
        events: Who had what.
        user_weight: Weight of each user, which G sums up for each two items, and C in the order of their events.
        diagonal: That of G + L.
        source: What weights of an item for others are multiplied by, one for each item.
        target: What weights of others for an item are multiplied by.
        direction: How the order of events counts in C; None where C is G.
    """

    events: Events
    user_weight: Floats
    diagonal: Floats
    source: Floats
    target: Floats
    direction: Direction | None = None

    @classmethod
    def of(
        cls,
        events: Events,
        user_weight: Floats,
        reg: float,
        dropout: float,
        dampings: tuple[float, float],
        direction: Direction | None = None,
    ) -> Self:
        """Return the regression with L_ii = reg * mean(G_kk) + dropout / (1 - dropout) * G_ii.

        Args:
            events: Who had what; each item has a user.
            user_weight: Weight of each user.
            reg: Above 0.
            dropout: From 0, below 1.
            dampings: Powers of 1 / n of the item that a weight is of and of the one that it is for, n counting users.
            direction: How the order of events counts. Needs timestamps.
        """
        own = np.bincount(events.items_of.items, user_weight[events.items_of.rows], events.n_items)
        diagonal = own / (1 - dropout) + reg * own.mean()
        n_users_of = np.maximum(events.n_users_of, 1.0)
        source, target = (n_users_of**-power for power in dampings)
        return cls(events, user_weight, diagonal, source, target, direction)

    @property
    def n_bytes(self) -> int:
        """Memory that `solve` needs for its matrices."""
        return (1 if self.direction is None else 2) * np.dtype(np.float32).itemsize * self.events.n_items**2

    def solve(self, k: int) -> Links:
        """Return the k largest weights of each item for others, positive or negative, of the regression on all.

        Raises:
            ValueError: If G + L is singular in single precision.
        """
        n_items = self.events.n_items
        inverse = _invert(_fill(self.events.sum_pairs(self.user_weight), n_items), self.diagonal)
        own = inverse.diagonal().copy()
        wanted, surplus = None, np.reciprocal(own)
        if self.direction is not None:
            wanted = _fill(self.events.sum_pairs(self.user_weight, self.direction), n_items)
            surplus = np.einsum("ji,ji->i", inverse, wanted) / own  # the inverse is symmetric
        n_at_once = max(1, BLOCK_CELLS // max(n_items, 1))

        def keep(start: int) -> Links:
            rows = slice(start, min(start + n_at_once, n_items))
            weights: Matrix = -surplus * inverse[rows]
            if wanted is not None:
                weights += inverse[rows] @ wanted
            np.fill_diagonal(weights[:, rows], 0)
            weights *= self.source[rows, None] * self.target
            return _keep_largest(rows.stop - rows.start, *_find_largest(weights, k), k)

        return stack(keep(start) for start in range(0, n_items, n_at_once))

    def solve_locally(self, n_nearest: int, k: int) -> Links:
        """Return the k largest weights of each item for others, where each is regressed on its nearest alone.

        Of the sums over pairs of items no more are held than those of each item with its nearest.

        Raises:
            ValueError: If G + L is singular in single precision.
        """
        from scipy.linalg.lapack import sposv

        n_items, found = self.events.n_items, []
        nearest = stack(self._find_nearest(sums, n_nearest) for sums in self.events.sum_pairs(self.user_weight))
        wanted = None if self.direction is None else self._sum_in_order(self.direction, nearest)
        weighted = self._weigh_users()
        for item in range(n_items):
            block = np.append(np.sort(nearest.targets[nearest.indptr[item] : nearest.indptr[item + 1]]), item)
            matrix = _multiply(weighted[:, block])
            sides = np.zeros((len(block), 2), dtype=np.float32, order="F")
            sides[:, 0], sides[-1, 1] = matrix[:, -1], 1
            if wanted is not None:
                own = slice(wanted.indptr[item], wanted.indptr[item + 1])
                sides[:, 0] = 0
                sides[np.searchsorted(block[:-1], wanted.indices[own]), 0] = wanted.data[own]
            np.fill_diagonal(matrix, self.diagonal[block])
            _, solved, failed = sposv(matrix, sides, overwrite_a=1, overwrite_b=1)
            _check_solved(failed)
            weights = solved[:-1, 0] - solved[:-1, 1] * (solved[-1, 0] / solved[-1, 1])
            found.append((block[:-1], weights * self.source[block[:-1]] * self.target[item]))
        sources, strengths = (np.concatenate(parts) for parts in zip(*found, strict=True))
        targets = np.repeat(np.arange(n_items), [len(one) for one, _ in found])
        return _keep_largest(n_items, sources, targets, strengths, k)

    def _find_nearest(self, sums: Sums, n_nearest: int) -> Links:
        """Return links from each item j of some to those of largest G_ij^2 / ((G + L)_ii (G + L)_jj)."""
        alike = sums.values**2 / self.diagonal[sums.item]
        return keep_strongest(sums, alike.astype(np.float32), self.events.n_items, n_nearest)

    def _sum_in_order(self, direction: Direction, nearest: Links) -> "csc_array":
        """Return C_ij for each item j and its nearest i."""
        from scipy.sparse import csr_array, vstack

        n_items = self.events.n_items
        is_near = csr_array((np.ones_like(nearest.weights), *nearest[1::-1]), shape=(n_items, n_items)).T.tocsr()
        blocks = [
            csr_array((values.astype(np.float32), (row, item)), shape=(rows.stop - rows.start, n_items)) * is_near[rows]
            for rows, row, item, values in self.events.sum_pairs(self.user_weight, direction)
        ]
        found: csc_array = vstack(blocks, format="csc")
        return found

    def _weigh_users(self) -> "csc_array":
        """Return the root of the weight of each user at the items that he has, shape (n_users, n_items)."""
        from scipy.sparse import csr_array

        (indptr, items), user = self.events.items_of, self.events.items_of.rows
        shape = len(indptr) - 1, self.events.n_items
        return csr_array((np.sqrt(self.user_weight[user]), items, indptr), shape=shape).tocsc()


def _multiply(columns: "csc_array") -> Matrix:
    """Return the products of all pairs of columns, dense, in Fortran's order."""
    from scipy.sparse import csr_array

    rows, place = np.unique(columns.indices, return_inverse=True)
    turned = csr_array((columns.data, place, columns.indptr), shape=(columns.shape[1], len(rows)))
    if DENSE_SHARE * turned.nnz > columns.shape[1] * len(rows):
        dense = turned.toarray()
        product = dense @ dense.T
    else:
        product = (turned @ turned.T).toarray()
    return np.asarray(product, dtype=np.float32, order="F")


def _fill(pairs: Iterator[Sums], n_items: int) -> Matrix:
    """Return sums over pairs of items as a dense matrix."""
    matrix = np.zeros((n_items, n_items), dtype=np.float32)
    for rows, row, item, values in pairs:
        matrix[rows.start + row, item] = values
    return matrix


def _invert(matrix: Matrix, diagonal: Floats) -> Matrix:
    """Return the inverse of a symmetric matrix with another diagonal, in its own memory."""
    from scipy.linalg.lapack import spotrf, spotri

    np.fill_diagonal(matrix, diagonal)
    for step, options in ((spotrf, {"overwrite_a": 1}), (spotri, {"overwrite_c": 1})):
        _, failed = step(matrix.T, **options)  # its upper triangle, in Fortran's order, is the lower one of ours
        _check_solved(failed)
    for start in range(0, len(matrix), TILE):
        rows, rest = slice(start, start + TILE), slice(start + TILE, None)
        matrix[rows, rest] = matrix[rest, rows].T
        matrix[rows, rows] = np.tril(matrix[rows, rows]) + np.tril(matrix[rows, rows], -1).T
    return matrix


def _check_solved(failed: int) -> None:
    if failed:
        raise ValueError(
            f"the Gram matrix of items cannot be factorised in single precision (LAPACK says {failed}); expected one "
            "that is positive definite. Choose a larger regularisation."
        )


def _find_largest(weights: Matrix, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Matrix]:
    """Return row, column and value of what is at least as large, by size, as the k-th of its row, and not 0."""
    sizes = np.abs(weights)
    least = np.partition(sizes, -k, axis=1)[:, -k, None] if k < sizes.shape[1] else np.float32(0)
    row, item = np.nonzero((sizes >= least) & (sizes > 0))
    return row, item, weights[row, item]


def _keep_largest(n_rows: int, row: Indices, item: Indices, weights: Matrix, k: int) -> Links:
    """Return the k weights of each row that are largest by size, largest first; equal ones are ordered by item."""
    order = np.lexsort((item, -np.abs(weights), row))
    counts = np.bincount(row, minlength=n_rows)
    kept = order[places_within(counts) < k]
    indptr = np.concatenate([[0], np.cumsum(np.minimum(counts, k))])
    return Links(indptr, item[kept].astype(np.int32), weights[kept].astype(np.float32))
