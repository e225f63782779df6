"""Implicit ALS at high rank on this machine: factors of items learnt from who has what, and people folded in."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from models.ages import weigh_histories
from models.base import Interactions, ModelKind, Parameters, Ranked
from models.factors import ITEM_FACTORS_FILE, FoldIn, check_matrix
from models.row_solver import RowsByLength, diagonalise, split_solution
from models.space import Range
from models.unseen import histories_of_seen
from schema.arrays import Floats, Indices, sorted_unique
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from schema.mapped import read_array
from schema.options import FrozenModel

CONFIDENCE_FILE = "ials_confidence.npy"
N_USERS_FILE = "ials_n_users.npy"
FIRST_SPREAD = 0.1


class IalsOptions(FrozenModel):
    """What implicit ALS is fitted with on this machine."""

    ials_rank: PositiveInt = Field(256, description="iALS: number of latent factors")
    ials_unseen: float = Field(
        100.0,
        gt=0,
        allow_inf_nan=False,
        description="iALS: weight of all items together for a user, seen or not; an interaction weighs about 1",
    )
    ials_reg: float = Field(
        0.03, gt=0, allow_inf_nan=False, description="iALS: regularisation, for each unit of what a user or item weighs"
    )
    ials_damping: float = Field(
        0.25, ge=0, le=1, description="iALS: interactions weigh (users of the item)^-damping, 1 on average"
    )
    ials_sweeps: PositiveInt = Field(8, description="iALS: how often users and then items are solved for")
    ials_decay: float = Field(
        0.7,
        gt=0,
        le=1,
        description="iALS: factor of an interaction for each later moment of its user, in fold-in",
    )
    ials_half_life_days: float = Field(
        365.0,
        gt=0,
        allow_inf_nan=False,
        description="iALS: days in which an interaction loses half of what it counts, in fold-in",
    )
    ials_seed: int = Field(42, ge=0, description="iALS: seed of the first factors")


@dataclass(frozen=True, eq=False)
class IalsModel(FoldIn):
    """Factors of items, and what gives people theirs: it knows people by their histories alone.

    The vector of a person is that of a step of the fit over what he has, weighted by age where there are times.

    Attributes:
        item_factors: float32 of shape (n_items, rank), in the basis in which their Gram matrix is diagonal.
        confidence: float32 of shape (n_items), above 0: the weight of an interaction with each item.
        n_users: Users it was fitted for.
        options: Those of the fit.

    Raises:
        ValueError: If the arrays are not of these types, do not fit one another or hold numbers that cannot be used.
    """

    item_factors: NDArray[np.float32]
    confidence: NDArray[np.float32]
    n_users: int
    options: IalsOptions

    def __post_init__(self) -> None:
        check_matrix("item_factors", self.item_factors)
        found, expected = self.confidence, np.dtype(np.float32)
        if found.shape != (self.n_items,) or found.dtype != expected or not (np.isfinite(found) & (found > 0)).all():
            raise ValueError(
                f"confidence is {found.dtype} of shape {found.shape}; expected finite float32 numbers above 0 of shape "
                f"({self.n_items},), one for each item. Take what Ials.fit returns, or fit again."
            )
        if self.n_users < 0:
            raise ValueError(f"n_users is {self.n_users}; expected a count. Take what Ials.fit returns, or fit again.")

    def rank(self, users: Indices, seen: ItemsByUser, k: int) -> Ranked:
        """Return the k unseen items of highest score of each user, as one who has what is seen.

        Example:
            >>> interactions = Interactions.of(2, 4, user_idx=[0, 0, 1, 1, 1], item_idx=[0, 1, 0, 1, 2])
            >>> model = Ials().fit(interactions, {"ials_rank": 2, "ials_unseen": 1})
            >>> seen = ItemsByUser(np.array([0, 2]), np.array([0, 1], np.int32))
            >>> model.rank(np.array([0]), seen, k=1)[0].tolist()
            [[2]]
        """
        histories = histories_of_seen(users, seen, k, self.n_items)
        return self.rank_histories(histories, histories.items, k)

    def fold_in(self, histories: Histories) -> NDArray[np.float32]:
        """Return the vectors of people, shape (n_people, rank): as a step of the fit, which counts all ages alike."""
        factors = np.asarray(self.item_factors)
        rows = RowsByLength.of(histories.items, self._weigh(histories), self._penalise(histories))
        vectors = rows.solve(factors, self._spectrum)
        return vectors.astype(np.float32)

    def explain(self, history: Histories, items: Indices) -> NDArray[np.float32]:
        """Return what each item of a history adds to the scores of some items: Hu, Koren and Volinsky, section 5."""
        vectors, [penalty] = self.vectors_of(history.items.items), self._penalise(history)
        parts = split_solution(self._weigh(history), vectors, self._spectrum, penalty)
        return (self.vectors_of(items) @ parts).astype(np.float32)

    def _weigh(self, histories: Histories) -> Floats:
        ages = weigh_histories(histories, self.options.ials_decay, self.options.ials_half_life_days)
        return np.multiply(self.confidence[histories.items.items], ages, dtype=np.float64)

    def _penalise(self, histories: Histories) -> Floats:
        return np.asarray(self.options.ials_reg * (histories.items.counts + self.options.ials_unseen))

    @cached_property
    def _spectrum(self) -> Floats:
        n_had = int(np.count_nonzero(np.asarray(self.item_factors).any(axis=1)))
        return np.asarray(np.diag(self.gram) * self.options.ials_unseen / max(n_had, 1))

    def save(self, folder: Path) -> None:
        """Write item_factors.npy, ials_confidence.npy and ials_n_users.npy, all little-endian."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / ITEM_FACTORS_FILE, np.ascontiguousarray(self.item_factors, dtype="<f4"))
        np.save(folder / CONFIDENCE_FILE, self.confidence.astype("<f4"))
        np.save(folder / N_USERS_FILE, np.array(self.n_users, dtype="<i8"))

    @classmethod
    def load(cls, folder: Path, **parameters: Any) -> Self:
        """Return the model that was fitted with some parameters and saved; its factors stay in the file.

        Raises:
            FileNotFoundError: If a file is not there.
            ValueError: If a file is not what save writes.
        """
        options = IalsOptions(**parameters)
        factors = read_array(folder / ITEM_FACTORS_FILE, np.float32, 2)
        if factors.shape[1] != options.ials_rank:
            raise ValueError(
                f"{ITEM_FACTORS_FILE} has rank {factors.shape[1]}; expected {options.ials_rank}. Fit again."
            )
        confidence = read_array(folder / CONFIDENCE_FILE, np.float32)
        return cls(factors, confidence, int(read_array(folder / N_USERS_FILE, np.int64, 0)), options)


class Ials(ModelKind[IalsOptions]):
    """Factors learnt from which items a user has, with all that is unseen in the loss: Hu et al. (ICDM 2008).

    Regularisation and weights are those of Rendle et al., "Revisiting the performance of iALS on item recommendation
    benchmarks" (RecSys 2022). The loss is the sum of c_i (1 - x_u'y_i)^2 over interactions, of a (x_u'y_i)^2 over all
    pairs, of reg (n_u + a n_items) |x_u|^2 over users and of reg (n_i + a n_users) |y_i|^2 over items, where a is
    unseen / n_items and n counts interactions; n_items counts the items that have any, and others have factors 0.
    """

    name = "ials"
    options = IalsOptions
    fitted = IalsModel
    groups = frozenset({"blend"})
    knows_histories_only = True
    cost = 3
    shown = ("ials_rank", "ials_reg", "ials_unseen")
    ranges = MappingProxyType({"ials_reg": Range(0.01, 0.04, is_log=True)})

    def fit(self, interactions: Interactions, parameters: Parameters) -> IalsModel:
        """Solve for the factors of users and of items in turn; the order of rows, and repeats, do not matter.

        Raises:
            ValueError: If an index is outside the users or items.
        """
        given, n_users, n_items = IalsOptions(**parameters), interactions.n_users, interactions.n_items
        user, item = _unique_pairs(interactions)
        sides = ItemsByUser.from_pairs(user, item, n_users), ItemsByUser.from_pairs(item, user, n_items)
        confidence = _confide(sides[1].counts, given.ials_damping)
        weights = confidence[sides[0].items], np.repeat(confidence, sides[1].counts)
        is_had = sides[1].counts > 0
        n_had = int(is_had.sum())
        each = given.ials_unseen / max(n_had, 1)
        penalties = [given.ials_reg * (side.counts + each * n) for side, n in zip(sides, (n_had, n_users), strict=True)]
        rows = [RowsByLength.of(*about) for about in zip(sides, weights, penalties, strict=True)]
        first = np.random.default_rng(given.ials_seed).standard_normal((n_items, given.ials_rank), dtype=np.float32)
        first *= is_had[:, None] * np.float32(FIRST_SPREAD / given.ials_rank**0.5)
        n_threads = os.cpu_count() or 1
        turned, spectrum = diagonalise(first, n_threads)
        for _ in range(given.ials_sweeps):
            for side in rows:
                turned, spectrum = diagonalise(side.solve(turned, each * spectrum, n_threads), n_threads)
        return IalsModel(turned, confidence, n_users, given)

    def load(self, folder: Path, parameters: Parameters) -> IalsModel:
        """Return the model that was fitted with these parameters and saved in a folder, memory-mapped."""
        return IalsModel.load(folder, **parameters)


def _confide(n_users_of: NDArray[np.int64], damping: float) -> NDArray[np.float32]:
    """Return the weight of an interaction with each item, 1 on average over interactions."""
    damped = np.maximum(n_users_of, 1.0) ** -damping
    weights: Floats = damped * max(n_users_of.sum(), 1) / max(damped @ n_users_of, 1)
    return weights.astype(np.float32)


def _unique_pairs(interactions: Interactions) -> tuple[Indices, Indices]:
    """Return user and item of each pair once, ascending."""
    n_items = interactions.n_items
    user_idx, item_idx = interactions.user_idx, interactions.item_idx
    if len(item_idx) and (item_idx.min() < 0 or item_idx.max() >= n_items):
        raise ValueError(
            f"item indices run from {item_idx.min()} to {item_idx.max()}; expected 0 to {n_items - 1}. Use the dataset "
            "that the indices come from."
        )
    user, item = np.divmod(sorted_unique(user_idx.astype(np.int64) * n_items + item_idx), n_items)
    return user, item
