"""Models that score a user and an item by a small neural network, which numpy alone computes."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.base import Ranked
from models.factors import SCORE_BLOCK_ROWS, FactorModel, check_matrix
from models.unseen import check_request
from schema.arrays import Floats, Indices
from schema.items_by_user import ItemsByUser
from schema.mapped import read_array

BLOCK_ITEMS = 4096
ARRAYS: dict[str, tuple[type[np.generic], int]] = {
    **dict.fromkeys(("user_factors", "item_factors", "user_embeddings", "item_embeddings"), (np.float32, 2)),
    "widths": (np.int64, 1),
    "weights": (np.float32, 1),
}


@dataclass(frozen=True, eq=False)
class NeuralModel:
    """A product of factors plus the output of layers over embeddings, as NeuMF has it (He et al., WWW 2017, eq. 12).

    score(u, i) = user_factors[u] · item_factors[i] + f(user_embeddings[u], item_embeddings[i]), where f is a network of
    dense layers with ReLU between them, the last of one output. Without factors (rank 0) it is the MLP of the paper.
    It is no `FactorModel`, which ranks by factors alone.

    Attributes:
        user_factors: float32 of shape (n_users, rank).
        item_factors: float32 of shape (n_items, rank).
        user_embeddings: float32 of shape (n_users, n).
        item_embeddings: float32 of shape (n_items, n).
        widths: int64, the number of outputs of each layer; the last is 1.
        weights: float32, the layers one after the other: each is a matrix of shape (inputs + 1, outputs) in C order,
            whose last row is added to the outputs. The first has 2 n inputs, those of the user first.

    Raises:
        ValueError: If the arrays are not of these types, not finite, or do not fit one another.
    """

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]
    user_embeddings: NDArray[np.float32]
    item_embeddings: NDArray[np.float32]
    widths: NDArray[np.int64]
    weights: NDArray[np.float32]

    def __post_init__(self) -> None:
        FactorModel(self.user_factors, self.item_factors)  # checks them
        for name in ("user_embeddings", "item_embeddings"):
            check_matrix(name, getattr(self, name))
        check_matrix("weights", self.weights[None])
        shapes = (self.n_users, self.n_items), (len(self.user_embeddings), len(self.item_embeddings))
        if shapes[0] != shapes[1] or self.user_embeddings.shape[1] != self.item_embeddings.shape[1]:
            raise ValueError(
                f"embeddings are of shapes {self.user_embeddings.shape} and {self.item_embeddings.shape}; expected "
                f"{self.n_users} and {self.n_items} rows of one length. Take all arrays from one fit."
            )
        if self.widths.ndim != 1 or self.widths.dtype != np.int64 or self.widths.min(initial=1) < 1:
            raise ValueError(
                f"widths are {self.widths.dtype} of shape {self.widths.shape}; expected int64, all above 0. Fit again."
            )
        sizes = [self.user_embeddings.shape[1] * 2, *self.widths.tolist()]
        n_weights = sum((one + 1) * other for one, other in pairwise(sizes))
        if sizes[-1] != 1 or len(self.widths) == 0 or len(self.weights) != n_weights:
            raise ValueError(
                f"layers of widths {sizes} have {len(self.weights)} weights; expected {n_weights}, and 1 as the last "
                "width. Take all arrays from one fit."
            )

    @property
    def n_users(self) -> int:
        """Number of rows of the tables of users."""
        return len(self.user_factors)

    @property
    def n_items(self) -> int:
        """Number of rows of the tables of items."""
        return len(self.item_factors)

    def score(self, users: Indices, items: Indices) -> NDArray[np.float32]:
        """Return the score of each (user, item) pair, in the order given."""
        scores = np.empty(len(users), dtype=np.float32)
        for start in range(0, len(users), SCORE_BLOCK_ROWS):
            rows = slice(start, start + SCORE_BLOCK_ROWS)
            scores[rows] = self._score(users[rows], items[rows])
        return scores

    def rank(self, users: Indices, seen: ItemsByUser, k: int) -> Ranked:
        """Return the k unseen items of highest score of each user.

        Scores are summed in double precision, then rounded to float32; equal ones are ordered by item index. Each user
        is scored alone, in blocks of items that are the same for everybody: so the list does not depend on company.
        """
        check_request(users, seen, k, self.n_items)
        items = np.full((len(users), k), -1, dtype=np.int32)
        scores = np.full(items.shape, -np.inf, dtype=np.float32)
        of_all = np.empty(self.n_items, dtype=np.float32)
        for row in range(len(users)):
            for start in range(0, self.n_items, BLOCK_ITEMS):
                block = slice(start, min(start + BLOCK_ITEMS, self.n_items))
                of_all[block] = self._score(users[row : row + 1], block)
            of_all[seen.items[seen.indptr[row] : seen.indptr[row + 1]]] = -np.inf
            best = _largest(of_all, k)
            items[row, : len(best)], scores[row, : len(best)] = best, of_all[best]
        return items, scores

    def _score(self, users: Indices, items: Indices | slice) -> Floats:
        """Return the scores of pairs, or of one user and many items."""
        side, product_side = self._item_side
        factors, embeddings = (
            np.asarray(one)[users].astype(np.float64) for one in (self.user_factors, self.user_embeddings)
        )
        first, *others = self._layers
        outputs = embeddings @ first[: embeddings.shape[1]] + side[items]
        for layer in others:
            outputs = np.maximum(outputs, 0) @ layer[:-1] + layer[-1]
        result: Floats = outputs[:, 0] + np.einsum("ij,ij->i", factors, product_side[items])
        return result

    @cached_property
    def _layers(self) -> list[Floats]:
        sizes = [self.user_embeddings.shape[1] * 2, *self.widths.tolist()]
        shapes = [(one + 1, other) for one, other in pairwise(sizes)]
        ends = np.cumsum([one * other for one, other in shapes])
        parts = np.split(np.asarray(self.weights, dtype=np.float64), ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    @cached_property
    def _item_side(self) -> tuple[Floats, Floats]:
        """What each item adds to the outputs of the first layer, and its factors, in double precision."""
        first = self._layers[0][self.user_embeddings.shape[1] :]
        side = np.asarray(self.item_embeddings, dtype=np.float64) @ first[:-1] + first[-1]
        return side, np.asarray(self.item_factors, dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write each array under its own name, little-endian."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ARRAYS:
            values = getattr(self, name)
            np.save(folder / f"{name}.npy", np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the model that save wrote; its arrays stay in the files until they are used.

        Raises:
            FileNotFoundError: If a file is not there.
            ValueError: If a file is not what save writes.
        """
        return cls(*(read_array(folder / f"{name}.npy", *of) for name, of in ARRAYS.items()))


def _largest(values: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Return the places of the k largest values, -inf left out, best first, equal ones by place."""
    n_kept = min(k, len(values))
    least = np.partition(values, len(values) - n_kept)[len(values) - n_kept] if n_kept else np.inf
    places = np.flatnonzero((values >= least) & ~np.isneginf(values))
    return places[np.argsort(-values[places], kind="stable")][:k]
