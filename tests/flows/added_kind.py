"""A kind of model that the project does not have; importing it before the flows is all that adds it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.base import Interactions, ModelKind, Parameters, Ranked
from models.registry import register
from schema.arrays import Indices
from schema.histories import Histories
from schema.items_by_user import ItemsByUser


class TogetherOptions(BaseModel):
    """How items that are held together are counted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    together_power: float = Field(0.5, ge=0, description="power of an item's users that its counts are divided by")


@dataclass(frozen=True)
class TogetherModel:
    """How strongly each item speaks for each other one, shape (n_items, n_items)."""

    strengths: np.ndarray
    n_users: int

    @property
    def n_items(self) -> int:
        return len(self.strengths)

    def rank(self, users: Indices, seen: ItemsByUser, k: int) -> Ranked:
        assert len(users) == len(seen.counts)
        return self.rank_histories(Histories.of(seen), seen, k)

    def rank_histories(self, histories: Histories, hidden: ItemsByUser, k: int) -> Ranked:
        n_rows, known = len(hidden.counts), histories.items
        items, scores = np.full((n_rows, k), -1, np.int32), np.full((n_rows, k), -np.inf, np.float32)
        for row in range(n_rows):
            theirs = known.items[known.indptr[row] : known.indptr[row + 1]]
            left_out = hidden.items[hidden.indptr[row] : hidden.indptr[row + 1]]
            of_all = self.strengths[theirs].sum(axis=0, dtype=np.float64).astype(np.float32)
            of_all[left_out] = -np.inf
            best = np.lexsort((np.arange(self.n_items), -of_all))[: min(k, self.n_items - len(left_out))]
            items[row, : len(best)], scores[row, : len(best)] = best, of_all[best]
        return items, scores

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        np.save(folder / "strengths.npy", self.strengths.astype("<f4"))
        np.save(folder / "n_users.npy", np.array([self.n_users], "<i8"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(np.load(folder / "strengths.npy", mmap_mode="r"), int(np.load(folder / "n_users.npy")[0]))


class Together(ModelKind[TogetherOptions]):
    """Items by how often they are held together with those of a user."""

    name = "together"
    options = TogetherOptions
    fitted = TogetherModel
    knows_histories_only = True
    folder = "strengths"
    shown = ("together_power",)

    def fit(self, interactions: Interactions, parameters: Parameters) -> TogetherModel:
        held = np.zeros((interactions.n_users, interactions.n_items))
        held[interactions.user_idx, interactions.item_idx] = 1
        divisor = np.maximum(held.sum(axis=0), 1) ** parameters["together_power"]
        return TogetherModel((held.T @ held / np.outer(divisor, divisor)).astype(np.float32), interactions.n_users)


register(Together())
