"""Two services to compare with, each written as one would without this project's: they hold the same arrays in memory.

Both score and sort the whole catalogue for each request and leave answers to FastAPI. The variables BENCH_MODEL and
BENCH_BUNDLE name the folders of a factor model and of its bundle.
"""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from pydantic import BaseModel

from models.factors import FactorModel
from schema.bundle import Bundle

REG, ALPHA = 1.0, 10.0


class BasketItem(BaseModel):
    """An item of a basket."""

    item_id: str


class Basket(BaseModel):
    """Items to recommend for."""

    items: list[BasketItem]
    n: int = 10


class _Peer(ABC):
    """What both have: ids, histories and categories at hand as Python and NumPy like them best."""

    def __init__(self) -> None:
        self.model = FactorModel.load(Path(os.environ["BENCH_MODEL"]))
        self.bundle = Bundle.load(Path(os.environ["BENCH_BUNDLE"]))
        self.user_of = {self.bundle.user_ids[user]: user for user in range(self.bundle.n_users)}
        self.item_ids = [self.bundle.item_ids[item] for item in range(self.bundle.n_items)]
        self.titles = [self.bundle.titles[item] for item in range(self.bundle.n_items)]
        self.item_of = {item_id: item for item, item_id in enumerate(self.item_ids)}
        names, codes = self.bundle.categories
        self.items_in = {names[code]: codes.rows[codes.items == code] for code in range(len(names))}

    def seen(self, user: int) -> NDArray[np.int32]:
        """Return the items that a user has."""
        indptr, items = self.bundle.histories
        return items[indptr[user] : indptr[user + 1]]

    @abstractmethod
    def recommend(self, user: int, n: int, category: str | None) -> tuple[Any, Any]:
        """Return the items and scores of a user."""

    @abstractmethod
    def fold_in(self, known: list[int], n: int) -> tuple[Any, Any]:
        """Return the items and scores of somebody who has some items."""

    def answer(self, items: Any, scores: Any) -> dict[str, Any]:
        """Return an answer as FastAPI takes it."""
        pairs = zip(items.tolist(), scores.tolist(), strict=True)
        return {
            "items": [
                {"item_id": self.item_ids[item], "rank": rank, "score": score, "title": self.titles[item]}
                for rank, (item, score) in enumerate(pairs, start=1)
            ]
        }


class _Plain(_Peer):
    def __init__(self) -> None:
        super().__init__()
        items = self.model.item_factors
        self.gram = items.T @ items + REG * np.eye(items.shape[1], dtype=np.float32)

    def recommend(self, user: int, n: int, category: str | None) -> tuple[Any, Any]:
        scores = self.model.item_factors @ self.model.user_factors[user]
        scores[self.seen(user)] = -np.inf
        if category is None:
            return self._best(scores, n)
        chosen = self.items_in[category]
        places, best = self._best(scores[chosen], n)
        return chosen[places], best

    def fold_in(self, known: list[int], n: int) -> tuple[Any, Any]:
        theirs = self.model.item_factors[known]
        factors = np.linalg.solve(self.gram + ALPHA * theirs.T @ theirs, (1 + ALPHA) * theirs.sum(axis=0))
        scores = self.model.item_factors @ factors
        scores[known] = -np.inf
        return self._best(scores, n)

    def _best(self, scores: NDArray[np.float32], n: int) -> tuple[Any, Any]:
        best = np.argsort(-scores)[:n]
        return best, scores[best]


class _Implicit(_Peer):
    def __init__(self) -> None:
        from implicit.cpu.als import AlternatingLeastSquares
        from scipy.sparse import csr_matrix

        super().__init__()
        rank = self.model.item_factors.shape[1]
        self.als = AlternatingLeastSquares(factors=rank, regularization=REG, alpha=ALPHA, num_threads=1)
        self.als.user_factors = np.array(self.model.user_factors)
        self.als.item_factors = np.array(self.model.item_factors)
        indptr, items = self.bundle.histories
        shape = (self.bundle.n_users, self.bundle.n_items)
        self.rows = csr_matrix((np.ones(len(items), dtype=np.float32), items, indptr), shape)

    def recommend(self, user: int, n: int, category: str | None) -> tuple[Any, Any]:
        chosen = None if category is None else self.items_in[category]
        return tuple(self.als.recommend(user, self.rows[user], N=n, items=chosen))

    def fold_in(self, known: list[int], n: int) -> tuple[Any, Any]:
        from scipy.sparse import csr_matrix

        columns = np.array(known), np.array([0, len(known)])
        row = csr_matrix((np.ones(len(known), dtype=np.float32), *columns), (1, self.bundle.n_items))
        return tuple(self.als.recommend(0, row, N=n, recalculate_user=True))


def plain() -> FastAPI:
    """Return the service on NumPy alone."""
    return _app(_Plain())


def with_implicit() -> FastAPI:
    """Return the service on the library ``implicit``."""
    return _app(_Implicit())


def _app(peer: _Peer) -> FastAPI:
    app = FastAPI()

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.get("/v1/users/{user_id}/recommendations")
    async def of_user(user_id: str, n: int = 10, category: str | None = None) -> dict[str, Any]:
        return peer.answer(*peer.recommend(peer.user_of[user_id], n, category))

    @app.post("/v1/recommendations")
    async def of_basket(basket: Basket) -> dict[str, Any]:
        return peer.answer(*peer.fold_in([peer.item_of[one.item_id] for one in basket.items], basket.n))

    return app
