"""Models that score a user and an item by the product of their factor vectors."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.base import Ranked
from models.top_k import row_lengths, top_k
from models.unseen import check_histories, check_request, find_free_places
from schema.arrays import Floats, Indices
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from schema.mapped import read_array

USER_FACTORS_FILE = "user_factors.npy"
ITEM_FACTORS_FILE = "item_factors.npy"
SCORE_BLOCK_ROWS = 65_536
MOST_HIDDEN = 2  # a share, as its divisor
WIDE_SHARE = 4


class ItemFactors:
    """Items as vectors: what can be done with them for any vector of a person.

    Attributes:
        item_factors: float32 of shape (n_items, rank).
    """

    item_factors: NDArray[np.float32]

    @property
    def n_items(self) -> int:
        """Number of rows of item_factors."""
        return int(self.item_factors.shape[0])

    def rank_vectors(self, vectors: NDArray[np.float32], hidden: ItemsByUser, k: int) -> Ranked:
        """Return the k items of highest score for user factors that are at hand, those hidden left out.

        Where most items are hidden from the only row, as by a filter, the others alone are scored: the same list.
        """
        if len(vectors) != 1 or MOST_HIDDEN * len(hidden.items) < self.n_items:
            factors = np.asarray(self.item_factors)
            return top_k(vectors, factors, hidden.indptr, hidden.items, k, self.longest_item)
        is_left = np.ones(self.n_items, dtype=bool)
        is_left[hidden.items] = False
        left = np.flatnonzero(is_left).astype(np.int32)
        return SomeItems.of(self, left).rank_vectors(vectors, ~is_left, k)

    @cached_property
    def longest_item(self) -> float:
        """The largest Euclidean length of an item's factors."""
        return float(self._item_lengths.max(initial=0))

    @cached_property
    def _item_lengths(self) -> NDArray[np.float32]:
        return row_lengths(np.asarray(self.item_factors))


class FoldIn(ItemFactors, ABC):
    """Items as vectors, with a way to give people vectors for what they have."""

    @abstractmethod
    def fold_in(self, histories: Histories) -> NDArray[np.float32]:
        """Return the vectors of people, shape (n_people, rank); zeros for a history that says nothing."""

    def rank_histories(self, histories: Histories, hidden: ItemsByUser, k: int) -> Ranked:
        """Return the k items of highest score for each history, and no item for a history that says nothing."""
        check_histories(histories, hidden, k, self.n_items)
        vectors = self.fold_in(histories)
        items, scores = self.rank_vectors(vectors, hidden, k)
        says_nothing = ~vectors.any(axis=1)
        items[says_nothing], scores[says_nothing] = -1, -np.inf
        return items, scores

    def similarities(self, item: int, others: Indices) -> NDArray[np.float32]:
        """Return the cosine of the factors of an item and of each of some others, 0 where either are zeros."""
        factors, lengths = np.asarray(self.item_factors), self._item_lengths[others] * self._item_lengths[item]
        is_wide = WIDE_SHARE * len(others) > self.n_items
        products: NDArray[np.float32]
        products = (factors @ factors[item])[others] if is_wide else factors[others] @ factors[item]
        np.divide(products, lengths, out=products, where=lengths > 0)
        return products

    @cached_property
    def gram(self) -> Floats:
        """The sum of the outer products of all items' factors, shape (rank, rank)."""
        starts = range(0, self.n_items, SCORE_BLOCK_ROWS)
        blocks = (self.vectors_of(slice(start, start + SCORE_BLOCK_ROWS)) for start in starts)
        rank = self.item_factors.shape[1]
        return sum((block.T @ block for block in blocks), np.zeros((rank, rank)))

    def vectors_of(self, items: Indices | slice) -> Floats:
        """Return the factors of some items in double precision."""
        return np.asarray(self.item_factors)[items].astype(np.float64)


@dataclass(frozen=True, eq=False)
class FactorModel(ItemFactors):
    """Scores as products of factors: score(u, i) = user_factors[u] · item_factors[i].

    Attributes:
        user_factors: float32 of shape (n_users, rank); a row of zeros is a user without training rows.
        item_factors: float32 of shape (n_items, rank).

    Raises:
        ValueError: If the two are not finite float32 matrices of one rank.

    Example:
        >>> model = FactorModel(np.array([[1, 2]], np.float32), np.array([[3, 0], [0, 4]], np.float32))
        >>> model.score(np.array([0, 0]), np.array([0, 1])).tolist()
        [3.0, 8.0]
    """

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("user_factors", "item_factors"):
            check_matrix(name, getattr(self, name))
        if self.user_factors.shape[1] != self.item_factors.shape[1]:
            raise ValueError(
                f"factors differ in rank: user_factors {self.user_factors.shape}, item_factors "
                f"{self.item_factors.shape}; expected the same number of columns. Take both from one fit."
            )

    @property
    def n_users(self) -> int:
        """Number of rows of user_factors."""
        return int(self.user_factors.shape[0])

    def score(self, users: Indices, items: Indices) -> NDArray[np.float32]:
        """Return the score of each (user, item) pair, in the order given."""
        scores = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(users), SCORE_BLOCK_ROWS):
            rows = slice(start, start + SCORE_BLOCK_ROWS)
            np.einsum("ij,ij->i", self.user_factors[users[rows]], self.item_factors[items[rows]], out=scores[rows])
        return scores

    def rank(self, users: Indices, seen: ItemsByUser, k: int) -> Ranked:
        """Return the k unseen items of highest score of each user, as `models.top_k.top_k` does.

        Example:
            >>> model = FactorModel(np.array([[0], [1]], np.float32), np.array([[3], [4]], np.float32))
            >>> model.rank(np.array([1]), ItemsByUser(np.array([0, 0]), np.array([], np.int32)), k=2)[0].tolist()
            [[1, 0]]
        """
        check_request(users, seen, k, self.n_items)
        return self.rank_vectors(np.asarray(self.user_factors)[users], seen, k)

    def save(self, folder: Path) -> None:
        """Write user_factors.npy and item_factors.npy (little-endian float32, C order) into folder."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / USER_FACTORS_FILE, np.ascontiguousarray(self.user_factors, dtype="<f4"))
        np.save(folder / ITEM_FACTORS_FILE, np.ascontiguousarray(self.item_factors, dtype="<f4"))

    @classmethod
    def load(cls, folder: Path, **parameters: Any) -> Self:
        """Return the model that save wrote; its factors stay in the file until they are used.

        Args:
            folder: Where it was saved.
            parameters: What else a subclass is made of.

        Raises:
            FileNotFoundError: If either file is not there.
            ValueError: If a file is not a finite float32 matrix.
        """
        files = folder / USER_FACTORS_FILE, folder / ITEM_FACTORS_FILE
        return cls(*(read_array(path, np.float32, 2) for path in files), **parameters)


@dataclass(frozen=True, eq=False)
class SomeItems:
    """Some items of a model with their factors side by side: they come in the order that they have among all.

    Attributes:
        items: Item indices, ascending.
        factors: Of these items, shape (len(items), rank).
        longest: The largest length of a row of factors, or more.
    """

    items: NDArray[np.int32]
    factors: NDArray[np.float32]
    longest: float

    @classmethod
    def of(cls, model: ItemFactors, items: NDArray[np.int32]) -> Self:
        """Return some items of a model."""
        return cls(items, np.asarray(model.item_factors)[items], model.longest_item)

    def rank_vectors(self, vectors: NDArray[np.float32], is_hidden: NDArray[np.bool_], k: int) -> Ranked:
        """Return the k of these items of highest score for one row of user factors.

        Args:
            vectors: User factors, shape (1, rank).
            is_hidden: Of each item of the model, whether it is left out.
            k: Length of the list.
        """
        hidden = np.flatnonzero(is_hidden[self.items]).astype(np.int32)
        places, scores = top_k(vectors, self.factors, np.array([0, len(hidden)]), hidden, k, self.longest)
        return np.append(self.items, np.int32(-1))[places], scores


class SharedOrder(FactorModel):
    """Factors of which the last column alone tells items apart, so that one order of the items serves everybody.

    The last factor of every user is 1, and the other factors of all items are alike. Items are ordered by their last
    factor, equal ones by index.

    Example:
        >>> model = SharedOrder(np.ones((2, 1), np.float32), np.array([[3], [4], [4]], np.float32))
        >>> seen = ItemsByUser.from_pairs(np.array([1]), np.array([1]), n_users=2)
        >>> model.rank(np.array([0, 1]), seen, k=2)[0].tolist()
        [[1, 2], [2, 0]]
    """

    @cached_property
    def order(self) -> NDArray[np.int32]:
        """Items, best first."""
        return np.argsort(-self.item_factors[:, -1], kind="stable").astype(np.int32)

    @cached_property
    def _place_of(self) -> NDArray[np.int64]:
        return np.argsort(self.order)

    def rank(self, users: Indices, seen: ItemsByUser, k: int) -> Ranked:
        """Return the first k items of the order that each user has not seen, without scoring the others."""
        check_request(users, seen, k, self.n_items)
        places = find_free_places(seen.rows, self._place_of[seen.items], len(users), self.n_items, k)
        items = np.append(self.order, np.int32(-1))[places]
        is_item = items >= 0
        scores = np.full(items.shape, -np.inf, dtype=np.float32)
        scores[is_item] = self.score(np.repeat(users, is_item.sum(axis=1)), items[is_item])
        return items, scores


def check_matrix(name: str, factors: NDArray[np.float32]) -> None:
    """Refuse what is not a matrix of factors.

    Raises:
        ValueError: If it is not a finite float32 matrix.
    """
    if factors.ndim != 2 or factors.dtype != np.float32:
        raise ValueError(
            f"{name} is {factors.dtype} of shape {factors.shape}; expected a float32 matrix with one row per "
            "id. Convert it with astype('float32')."
        )
    if not np.isfinite(factors).all():
        row = int(np.flatnonzero(~np.isfinite(factors).all(axis=1))[0])
        raise ValueError(
            f"{name} row {row} holds NaN or infinity; expected finite numbers. The fit diverged: "
            "raise its regularisation."
        )
