"""Models that rank by weighted links between items: a history, weighted by age, times a sparse matrix of items."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.ages import weigh_histories
from models.base import Ranked
from models.paths import Links, Sums, keep_strongest, places_of, sum_paths
from models.unseen import check_histories, find_free_places, histories_of_seen
from schema.arrays import Indices, places_within
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from schema.mapped import check_array, check_length, read_array

SHAPE_FILE = "shape.npy"
AGES_FILE = "ages.npy"
INDPTR_FILE = "indptr.npy"
NEIGHBOURS_FILE = "neighbours.npy"
STRENGTHS_FILE = "strengths.npy"


class Ages(NamedTuple):
    """How a history is weighted by age: see `models.ages.weigh_histories`; by default it is not."""

    decay: float = 1.0
    half_life_days: float = np.inf


NOT_AGED = Ages()


@dataclass(frozen=True, eq=False)
class ItemItemModel:
    """The links of each item to others; it ranks by the items of a history and predicts no ratings.

    Attributes:
        indptr: int64 of shape (n_items + 1); item i has neighbours[indptr[i]:indptr[i + 1]].
        neighbours: int32, item indices; those of an item differ.
        strengths: float32 of the same length: how much an item of the history speaks for the neighbour.
        n_users: Users it was fitted for.
        n_items: Items it ranks.
        ages: How a history is weighted.

    Raises:
        ValueError: If the arrays are not of these types, do not fit one another or point outside the items.
    """

    indptr: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    strengths: NDArray[np.float32]
    n_users: int
    n_items: int
    ages: Ages = NOT_AGED

    def __post_init__(self) -> None:
        for name, dtype in (("indptr", np.int64), ("neighbours", np.int32), ("strengths", np.float32)):
            check_array(name, getattr(self, name), dtype)
        _check_bounds(self)

    def rank(self, users: Indices, seen: ItemsByUser, k: int) -> Ranked:
        """Return the k items of highest score of each user, those seen left out.

        The users themselves do not matter, only what they have seen, which counts the same whenever it was: seen items
        in any order, one that is repeated counts once.

        Example:
            >>> links = np.array([0, 1, 2, 2]), np.array([1, 0], np.int32), np.array([0.5, 0.5], np.float32)
            >>> model = ItemItemModel(*links, n_users=1, n_items=3)
            >>> model.rank(np.array([0]), ItemsByUser(np.array([0, 1]), np.array([1], np.int32)), k=3)[0].tolist()
            [[0, 2, -1]]
        """
        histories = histories_of_seen(users, seen, k, self.n_items)
        return self.rank_histories(histories, histories.items, k)

    def rank_histories(self, histories: Histories, hidden: ItemsByUser, k: int) -> Ranked:
        """Return the k items of highest score for each history, whoever it is of, those hidden left out.

        A score is the sum over the history of weight times strength, added up in double precision by ascending item,
        then rounded to float32; equal scores are ordered by item index. Items without links to the history have score
        0, which is below those that it speaks for and above those that it speaks against.
        """
        check_histories(histories, hidden, k, self.n_items)
        n_people = len(histories.items.indptr) - 1
        items = np.full((n_people, k), -1, dtype=np.int32)
        scores = np.full((n_people, k), -np.inf, dtype=np.float32)
        for sums in sum_paths(self._weighted(histories), self._links, hidden, self.n_items):
            best = keep_strongest(*_with_unscored(sums, hidden, self.n_items, k), self.n_items, k)
            counts = np.diff(best.indptr)
            places = sums.rows.start + np.repeat(np.arange(len(counts)), counts), places_within(counts)
            items[places], scores[places] = best.targets, best.weights
        return items, scores

    def score_histories(self, histories: Histories) -> NDArray[np.float32]:
        """Return the scores of all items for each history, shape (n_people, n_items), those of its own items too."""
        nothing = ItemsByUser(np.zeros_like(histories.items.indptr), np.empty(0, dtype=np.int32))
        check_histories(histories, nothing, 1, self.n_items)
        scores = np.zeros((len(histories.items.indptr) - 1, self.n_items), dtype=np.float32)
        for sums in sum_paths(self._weighted(histories), self._links, nothing, self.n_items):
            scores[sums.rows.start + sums.row, sums.item] = sums.values
        return scores

    def explain(self, history: Histories, items: Indices) -> NDArray[np.float32]:
        """Return the weight of each item of a history times its strength for each of some items: what it adds."""
        weighted = self._weighted(history)
        neighbours, strengths, counts = self._links_of(weighted.targets)
        place = np.repeat(np.arange(len(counts)), counts)
        parts = np.zeros((len(items), len(counts)), dtype=np.float32)
        for part, item in zip(parts, items.tolist(), strict=True):
            is_near = neighbours == item
            part[place[is_near]] = strengths[is_near]
        return parts * weighted.weights

    def similarities(self, item: int, others: Indices) -> NDArray[np.float32]:
        """Return the strength of an item for each of some others as a share of its strongest; 0 without a link.

        Strengths are sums over users, of no scale that one data set shares with another.
        """
        neighbours, strengths, _ = self._links_of(np.array([item]))
        of_all = np.zeros(self.n_items, dtype=np.float32)
        of_all[neighbours] = np.maximum(strengths, 0) / strengths.max(initial=np.finfo(np.float32).tiny)
        return of_all[others]

    @property
    def _links(self) -> Links:
        return Links(np.asarray(self.indptr), np.asarray(self.neighbours), np.asarray(self.strengths))

    def _weighted(self, histories: Histories) -> Links:
        return Links(*histories.items, weigh_histories(histories, *self.ages))

    def _links_of(self, items: Indices) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
        """Return the neighbours of these items, one item's after another's, their strengths, and how many each has."""
        indptr, neighbours, strengths = self._links
        starts, counts = indptr[items], indptr[items + 1] - indptr[items]
        places = np.repeat(starts, counts) + places_within(counts)
        return neighbours[places], strengths[places], counts

    def save(self, folder: Path) -> None:
        """Write indptr.npy, neighbours.npy, strengths.npy, shape.npy and ages.npy, all little-endian."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / SHAPE_FILE, np.array([self.n_users, self.n_items], dtype="<i8"))
        np.save(folder / AGES_FILE, np.array(self.ages, dtype="<f8"))
        np.save(folder / INDPTR_FILE, self.indptr.astype("<i8"))
        np.save(folder / NEIGHBOURS_FILE, self.neighbours.astype("<i4"))
        np.save(folder / STRENGTHS_FILE, self.strengths.astype("<f4"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the model that save wrote; its neighbours stay in the files until they are used.

        Raises:
            FileNotFoundError: If a file is not there.
            ValueError: If a file is not what save writes.
        """
        indptr = read_array(folder / INDPTR_FILE, np.int64)
        neighbours = read_array(folder / NEIGHBOURS_FILE, np.int32)
        strengths = read_array(folder / STRENGTHS_FILE, np.float32)
        shape, ages = read_array(folder / SHAPE_FILE, np.int64), read_array(folder / AGES_FILE, np.float64)
        check_length(SHAPE_FILE, len(shape), 2, "counts")
        check_length(AGES_FILE, len(ages), 2, "parameters of ages")
        n_users, n_items = shape.tolist()
        return cls(indptr, neighbours, strengths, n_users, n_items, Ages(*ages.tolist()))


def _with_unscored(sums: Sums, hidden: ItemsByUser, n_items: int, k: int) -> tuple[Sums, NDArray[np.float32]]:
    """Return the sums and their scores, with score 0 for the first items without one, where a row needs them."""
    rows, row, item, values = sums
    scores = values.astype(np.float32)
    n_rows = rows.stop - rows.start
    is_short = np.bincount(row[scores > 0], minlength=n_rows) < k
    if is_short.any():
        scored = np.concatenate([row * n_items + item, places_of(hidden, rows, n_items)])
        taken_row, taken_item = np.divmod(scored, max(n_items, 1))
        number = np.cumsum(is_short) - 1
        is_of_short = is_short[taken_row]
        free = find_free_places(
            number[taken_row[is_of_short]], taken_item[is_of_short], int(is_short.sum()), n_items, k
        )
        free_row, free_place = np.nonzero(free >= 0)
        row = np.concatenate([row, np.flatnonzero(is_short)[free_row]])
        item = np.concatenate([item, free[free_row, free_place]])
        scores = np.concatenate([scores, np.zeros(len(free_row), dtype=np.float32)])
    return Sums(rows, row, item, values), scores + np.float32(0)


def _check_bounds(model: ItemItemModel) -> None:
    indptr, neighbours, n_items = model.indptr, model.neighbours, model.n_items
    advice = "Take all parts from one fit"
    if model.n_users < 0 or n_items < 0 or len(indptr) != n_items + 1:
        raise ValueError(
            f"indptr has {len(indptr)} entries for {n_items} items and {model.n_users} users; expected one more "
            f"than items. {advice}."
        )
    if indptr[0] != 0 or (np.diff(indptr) < 0).any() or not indptr[-1] == len(neighbours) == len(model.strengths):
        raise ValueError(
            f"indptr runs from {indptr[0]} to {indptr[-1]} over {len(neighbours)} neighbours and "
            f"{len(model.strengths)} strengths; expected rising from 0 to both. {advice}."
        )
    if len(neighbours) and (neighbours.min() < 0 or neighbours.max() >= n_items):
        raise ValueError(
            f"neighbours run from {neighbours.min()} to {neighbours.max()}; expected items 0 to {n_items - 1}. "
            f"{advice}."
        )
    if not np.isfinite(model.strengths).all():
        raise ValueError(f"strengths hold numbers that are not finite; expected only such. {advice}.")
    decay, half_life_days = model.ages
    if not (0 < decay <= 1 and half_life_days > 0):
        raise ValueError(
            f"ages are {decay} and {half_life_days}; expected a decay in (0, 1] and days above 0. {advice}."
        )
