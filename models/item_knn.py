"""A baseline that ranks by item neighbours: items that share users with those a user has seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.base import Histories, Interactions, ModelKind, Parameters, Ranked
from models.space import Range
from models.unseen import check_histories, check_request
from schema.arrays import Indices, places_within
from schema.items_by_user import ItemsByUser
from schema.options import FrozenModel

if TYPE_CHECKING:
    from scipy.sparse import csr_array  # imported where it is used: the options are read where nothing is fitted

    Counts = csr_array[np.int32, tuple[int, int]]

SHAPE_FILE = "knn_shape.npy"
INDPTR_FILE = "knn_indptr.npy"
NEIGHBOURS_FILE = "knn_neighbours.npy"
SIMILARITIES_FILE = "knn_similarities.npy"
BLOCK_ENTRIES = 1 << 21
DENSE_SHARE = 4

NOTHING = np.uint64(2**64 - 1)
LOW_BITS = np.uint64(2**32 - 1)
HIGH = np.uint64(32)

Keys = NDArray[np.uint64]


class ItemKnnOptions(FrozenModel):
    """How many neighbours an item has, and how similarities of rare items are shrunk."""

    knn_neighbours: int = Field(100, ge=1, description="item neighbours: most similar items kept of each item")
    knn_shrinkage: float = Field(
        10.0,
        ge=0,
        allow_inf_nan=False,
        description="item neighbours: added to the divisor of each similarity, which draws those of rare items to zero",
    )


@dataclass(frozen=True, eq=False)
class ItemKnnModel:
    """The strongest neighbours of each item; it ranks by the items a user has seen and predicts no ratings.

    Attributes:
        indptr: int64 of shape (n_items + 1); item i has neighbours[indptr[i]:indptr[i + 1]], strongest first.
        neighbours: int32, item indices.
        strengths: float32 of the same length, above 0: their similarities to the item.
        n_users: Users it was fitted for.
        n_items: Items it ranks.

    Raises:
        ValueError: If the arrays are not of these types, do not fit one another or point outside the items.
    """

    indptr: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    strengths: NDArray[np.float32]
    n_users: int
    n_items: int

    def __post_init__(self) -> None:
        for name, dtype in (("indptr", np.int64), ("neighbours", np.int32), ("strengths", np.float32)):
            _check_array(name, getattr(self, name), np.dtype(dtype), None)
        _check_bounds(self)

    def rank(self, users: Indices, seen: ItemsByUser, k: int) -> Ranked:
        """Return the k items of highest score of each user, those seen left out.

        A score is the sum of the similarities of the seen items to the candidate, added up in double precision
        by ascending seen item, then rounded to float32; equal scores are ordered by item index. So items that
        are near to nothing seen come last, with score 0. The users themselves do not matter, only what they have
        seen: seen items in any order, one that is repeated counts once.

        Example:
            >>> interactions = Interactions.of(2, 4, user_idx=[0, 0, 1, 1, 1], item_idx=[0, 1, 0, 1, 2])
            >>> model = ItemKnn().fit(interactions, ItemKnnOptions().model_dump())
            >>> seen = ItemsByUser(np.array([0, 1]), np.array([1], np.int32))
            >>> model.rank(np.array([0]), seen, k=4)[0].tolist()
            [[0, 2, 3, -1]]
        """
        check_request(users, seen, k, self.n_items)
        return self.rank_histories(Histories.of(seen), seen, k)

    def rank_histories(self, histories: Histories, hidden: ItemsByUser, k: int) -> Ranked:
        """Return the k items of highest score for each history, whoever it is of, those hidden left out."""
        check_histories(histories, hidden, k, self.n_items)
        items = np.full((len(hidden.indptr) - 1, k), -1, dtype=np.int32)
        scores = np.full(items.shape, -np.inf, dtype=np.float32)
        is_taken = np.zeros(self.n_items, dtype=bool)
        for row, (known, left_out) in enumerate(zip(_rows_of(histories.items), _rows_of(hidden), strict=True)):
            is_taken[left_out] = True
            found, values = _unpack(_smallest(self._score(np.unique(known), is_taken), k))
            is_taken[found] = True
            unscored = np.flatnonzero(~is_taken[: k + len(left_out)])[: k - len(found)]
            n_ranked = len(found) + len(unscored)
            items[row, :n_ranked] = np.concatenate([found, unscored])
            scores[row, :n_ranked] = np.concatenate([values, np.zeros(len(unscored))])
            is_taken[left_out] = is_taken[found] = False
        return items, scores

    def explain(self, history: Histories, items: Indices) -> NDArray[np.float32]:
        """Return the similarity of each item of a history to each of some items: what it adds to their scores."""
        known = history.items.items
        neighbours, strengths, counts = self._links_of(known)
        place = np.repeat(np.arange(len(known)), counts)
        parts = np.zeros((len(items), len(known)), dtype=np.float32)
        for part, item in zip(parts, items.tolist(), strict=True):
            is_near = neighbours == item
            part[place[is_near]] = strengths[is_near]
        return parts

    def similarities(self, item: int, others: Indices) -> NDArray[np.float32]:
        """Return the similarity of each of some items to an item, 0 for one that is not among its neighbours."""
        neighbours, strengths, _ = self._links_of(np.array([item]))
        of_all = np.zeros(self.n_items, dtype=np.float32)
        of_all[neighbours] = strengths
        return of_all[others]

    def _links_of(self, items: Indices) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
        """Return the neighbours of these items, one item's after another's, their strengths, and how many each has."""
        indptr = np.asarray(self.indptr)
        starts, counts = indptr[items], indptr[items + 1] - indptr[items]
        places = np.repeat(starts, counts) + places_within(counts)
        return np.asarray(self.neighbours)[places], np.asarray(self.strengths)[places], counts

    def _score(self, known: Indices, is_taken: NDArray[np.bool]) -> Keys:
        """Return the neighbours of these items, those taken left out, packed with the sums of their strengths."""
        neighbours, strengths, _ = self._links_of(known)
        near: Indices
        if DENSE_SHARE * len(neighbours) > self.n_items:
            of_all = np.bincount(neighbours, strengths, self.n_items)
            near = np.flatnonzero(of_all)
            sums = of_all[near]
        else:
            near, place = np.unique(neighbours, return_inverse=True)
            sums = np.bincount(place, strengths)
        sums[is_taken[near]] = 0
        return _pack(sums.astype(np.float32), near)

    def save(self, folder: Path) -> None:
        """Write knn_indptr.npy, knn_neighbours.npy, knn_similarities.npy and knn_shape.npy, all little-endian."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / SHAPE_FILE, np.array([self.n_users, self.n_items], dtype="<i8"))
        np.save(folder / INDPTR_FILE, self.indptr.astype("<i8"))
        np.save(folder / NEIGHBOURS_FILE, self.neighbours.astype("<i4"))
        np.save(folder / SIMILARITIES_FILE, self.strengths.astype("<f4"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the model that save wrote; its neighbours stay in the files until they are used.

        Raises:
            FileNotFoundError: If a file is not there.
            ValueError: If a file is not what save writes.
        """
        names = (INDPTR_FILE, NEIGHBOURS_FILE, SIMILARITIES_FILE, SHAPE_FILE)
        indptr, neighbours, strengths, shape = (_read_array(folder / name) for name in names)
        _check_array(SHAPE_FILE, shape, np.dtype(np.int64), 2)
        return cls(indptr, neighbours, strengths, *shape.tolist())


class ItemKnn(ModelKind[ItemKnnOptions]):
    """Links each item to those which share most users with it.

    similarity(i, j) = c_ij / (sqrt(c_i c_j) + shrinkage), where c counts users: the cosine of Sarwar et al.,
    "Item-based collaborative filtering recommendation algorithms" (WWW 2001), shrunk as in Bell and Koren,
    "Improved neighborhood-based collaborative filtering" (KDD Cup 2007), in the form of Ferrari Dacrema et al.,
    "Are we really making much progress?" (RecSys 2019). Equal similarities are ordered by item index.
    """

    name = "item-knn"
    refits = 25
    options = ItemKnnOptions
    fitted = ItemKnnModel
    is_baseline = True
    knows_histories_only = True
    folder = "similarities"
    ranges = MappingProxyType(
        {"knn_neighbours": Range(20, 1000, is_log=True, is_integer=True), "knn_shrinkage": Range(0, 200)}
    )

    def fit(self, interactions: Interactions, parameters: Parameters) -> ItemKnnModel:
        """Find the neighbours of each item; a pair that is repeated counts once.

        Raises:
            ValueError: If an index is outside the users or items.

        Example:
            >>> interactions = Interactions.of(2, 2, user_idx=[0, 0, 1], item_idx=[0, 1, 1])
            >>> model = ItemKnn().fit(interactions, {"knn_shrinkage": 0})
            >>> model.neighbours.tolist(), round(float(model.strengths[0]), 4)
            ([1, 0], 0.7071)
        """
        from scipy.sparse import csr_array

        options, n_users, n_items = ItemKnnOptions(**parameters), interactions.n_users, interactions.n_items
        pairs = interactions.user_idx, interactions.item_idx
        by_user = csr_array((np.ones(len(pairs[0]), dtype=np.int32), pairs), shape=(n_users, n_items))
        by_user.data[:] = 1
        by_item = csr_array(by_user.T)
        work = np.minimum(by_item @ np.diff(by_user.indptr).astype(np.int64), n_items)
        links = [keys for rows in _blocks(work) for keys in _link_items(rows, by_item, by_user, options)]
        indptr = np.cumsum([0, *map(len, links)], dtype=np.int64)
        neighbours, strengths = _unpack(np.concatenate([np.empty(0, np.uint64), *links]))
        return ItemKnnModel(indptr, neighbours, strengths, n_users, n_items)


def _link_items(rows: slice, by_item: Counts, by_user: Counts, options: ItemKnnOptions) -> list[Keys]:
    """Return the neighbours of each of these items, packed, strongest first."""
    from scipy.sparse import csr_array

    n_users_of = np.diff(by_item.indptr).astype(np.int64)
    common = csr_array(by_item[rows] @ by_user)
    item = np.repeat(np.arange(rows.start, rows.stop), np.diff(common.indptr))
    divisor = np.sqrt(n_users_of[item] * n_users_of[common.indices]) + options.knn_shrinkage
    similarity = (common.data / divisor).astype(np.float32)
    similarity[item == common.indices] = 0.0
    keys, bounds = _pack(similarity, common.indices), pairwise(common.indptr.tolist())
    return [_smallest(keys[start:stop], options.knn_neighbours) for start, stop in bounds]


def _rows_of(table: ItemsByUser) -> Iterator[NDArray[np.int32]]:
    """Yield the items of each row."""
    return (table.items[start:stop] for start, stop in pairwise(table.indptr.tolist()))


def _blocks(entries: NDArray[np.number]) -> Iterator[slice]:
    """Yield successive rows, at least one, that hold about BLOCK_ENTRIES entries between them."""
    ends, start = np.cumsum(entries), 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BLOCK_ENTRIES, side="right")))
        yield slice(start, stop)
        start = stop


def _pack(values: NDArray[np.float32], items: Indices) -> Keys:
    """Return numbers that ascend by falling value, then by item; NOTHING for a value that is not above 0."""
    keys = ((LOW_BITS - values.view(np.uint32)) << HIGH) | items.astype(np.uint64)
    keys[values <= 0] = NOTHING
    return keys


def _unpack(keys: Keys) -> Ranked:
    values = (LOW_BITS - (keys >> HIGH)).astype(np.uint32).view(np.float32)
    return (keys & LOW_BITS).astype(np.int32), values


def _smallest(keys: Keys, k: int) -> Keys:
    kept = np.sort(np.partition(keys, k - 1)[:k] if len(keys) > k else keys)
    return kept[: int(np.searchsorted(kept, NOTHING))]


def _read_array(path: Path) -> NDArray[Any]:
    try:
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (EOFError, ValueError) as error:
        raise ValueError(f"{path} is not a whole .npy file ({error}); expected what save wrote. Fit again.") from error


def _check_array(name: str, values: NDArray[Any], dtype: np.dtype[Any], length: int | None) -> None:
    if values.ndim != 1 or values.dtype != dtype or (length is not None and len(values) != length):
        raise ValueError(
            f"{name} is {values.dtype} of shape {values.shape}; expected {dtype} of shape ({length or 'n'},). Take what"
            " ItemKnn.fit returns, or fit again."
        )


def _check_bounds(model: ItemKnnModel) -> None:
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
    if not (np.isfinite(model.strengths) & (model.strengths > 0)).all():
        raise ValueError(f"strengths hold numbers that are not above 0 and finite; expected only such. {advice}.")
