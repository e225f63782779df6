"""All that is served beside a model: whose its indices are, what people have, and what is known of products."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from schema.about import read_about, write_about
from schema.items_by_user import ItemsByUser
from schema.mapped import (
    AGAIN,
    check_array,
    check_bounds,
    check_finite,
    check_indptr,
    check_length,
    read_array,
    write_array,
)
from schema.string_table import StringTable

ABOUT_FILE = "bundle.json"

Lists = tuple[NDArray[np.int32], NDArray[np.float32]]


class Labels(NamedTuple):
    """The labels of each item, such as its brand or its categories: none, one or several.

    Attributes:
        names: The labels.
        codes: Row i has the places in names of the labels of item i, ascending.
    """

    names: StringTable
    codes: ItemsByUser

    @classmethod
    def of(cls, labels: Sequence[Sequence[str]]) -> Self:
        """Return the labels of items, each item's given in an order that its labels keep where all items agree on it.

        They are numbered by the first place that an item gives them, then by their text.

        Example:
            >>> table = Labels.of([["Home", "Audio"], [], ["Home", "Audio", "Amplifiers"]])
            >>> table.of_item(2), len(table.names)
            (['Home', 'Audio', 'Amplifiers'], 3)
        """
        places: dict[str, int] = {}
        for one in labels:
            for place, label in enumerate(one):
                places[label] = min(place, places.get(label, place))
        names = sorted(places, key=lambda label: (places[label], label))
        code_of = {label: code for code, label in enumerate(names)}
        pairs = sorted({(item, code_of[label]) for item, one in enumerate(labels) for label in one})
        items, codes = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return cls(StringTable.of(names), ItemsByUser.from_pairs(items, codes, len(labels)))

    def of_item(self, item: int) -> list[str]:
        """Return the labels of an item.

        Example:
            >>> table = ItemsByUser(np.array([0, 0, 2]), np.array([0, 1], np.int32))
            >>> Labels(StringTable.of(["Audio", "Speakers"]), table).of_item(1)
            ['Audio', 'Speakers']
        """
        return [self.names[code] for code in self.codes.items[self.codes.indptr[item] : self.codes.indptr[item + 1]]]


@dataclass(frozen=True, eq=False)
class Bundle:
    """What is served beside a model; arrays are memory-mapped where it was loaded.

    Attributes:
        about: What the model is, where it came from and how good it is; see `schema.about.About`.
        user_ids: Outside id of each user.
        item_ids: Outside id of each item.
        histories: Items that each user has.
        rating: float32, one for each of ``histories.items``, NaN where there is none.
        timestamp: int64 Unix seconds, one for each of ``histories.items``, -1 where there is none.
        popular: float32 score of each item by each kind of model that has lists for people nothing is known of; the
            first is the default.
        first_seen: int64 Unix seconds of the first interaction of each item, -1 where that is not known.
        titles: Title of each item, '' where it is not known.
        brands: Brand of each item.
        categories: Categories of each item, from the widest to the narrowest.
        lists: Items (int32, -1 for none) and scores (float32) of the nightly list of each user, best first, both of
            shape (n_users, N); None where there are none.

    Raises:
        ValueError: If the arrays are not of these types, do not fit one another or point outside.
    """

    about: Mapping[str, Any]
    user_ids: StringTable
    item_ids: StringTable
    histories: ItemsByUser
    rating: NDArray[np.float32]
    timestamp: NDArray[np.int64]
    popular: Mapping[str, NDArray[np.float32]]
    first_seen: NDArray[np.int64]
    titles: StringTable
    brands: Labels
    categories: Labels
    lists: Lists | None = None

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    def __post_init__(self) -> None:
        _check_table("histories", self.histories, self.n_users, self.n_items)
        _check_histories(self)
        for name, labels in (("brands", self.brands), ("categories", self.categories)):
            _check_table(name, labels.codes, self.n_items, len(labels.names))
        check_length("titles", len(self.titles), self.n_items, "items")
        check_array("first_seen", self.first_seen, np.int64)
        check_length("first_seen", len(self.first_seen), self.n_items, "items")
        for name, scores in self.popular.items():
            check_array(name, scores, np.float32)
            check_length(name, len(scores), self.n_items, "items")
            check_finite(name, scores)
        if not self.popular or list(self.popular) != self.about["popular"]:
            raise ValueError(
                f"popular has {list(self.popular)}; expected {self.about['popular']}, at least one. {AGAIN}"
            )
        if self.lists:
            _check_lists(*self.lists, self.n_users, self.n_items)

    def save(self, folder: Path) -> None:
        """Write the bundle into a folder: ``.npy`` files that can be memory-mapped, and ``bundle.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_about(folder / ABOUT_FILE, self.about)
        for name in ("user_ids", "item_ids", "titles"):
            getattr(self, name).save(folder, name)
        for name, labels in (("brands", self.brands), ("categories", self.categories)):
            labels.names.save(folder, name)
            _save_table(folder, name, labels.codes)
        _save_table(folder, "histories", self.histories)
        arrays = {name: getattr(self, name) for name in ("rating", "timestamp", "first_seen")}
        arrays["popular"] = np.array(list(self.popular.values()), dtype=np.float32)
        if self.lists:
            arrays["lists_items"], arrays["lists_scores"] = self.lists
        for name, array in arrays.items():
            write_array(folder / f"{name}.npy", array)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the bundle that was saved in a folder, memory-mapped.

        Raises:
            FileNotFoundError: If a file is not there.
            ValueError: If a file is not what was saved, or does not fit the others.
        """
        about = read_about(folder / ABOUT_FILE)
        popular = read_array(folder / "popular.npy", np.float32, 2)
        check_length("popular", len(popular), len(about["popular"]), "kinds in bundle.json")
        has_lists = (folder / "lists_items.npy").exists()
        return cls(
            about=about,
            user_ids=StringTable.load(folder, "user_ids"),
            item_ids=StringTable.load(folder, "item_ids"),
            histories=_load_table(folder, "histories"),
            rating=read_array(folder / "rating.npy", np.float32),
            timestamp=read_array(folder / "timestamp.npy", np.int64),
            popular=dict(zip(about["popular"], popular, strict=True)),
            first_seen=read_array(folder / "first_seen.npy", np.int64),
            titles=StringTable.load(folder, "titles"),
            brands=Labels(StringTable.load(folder, "brands"), _load_table(folder, "brands")),
            categories=Labels(StringTable.load(folder, "categories"), _load_table(folder, "categories")),
            lists=_load_lists(folder) if has_lists else None,
        )


def _save_table(folder: Path, name: str, table: ItemsByUser) -> None:
    write_array(folder / f"{name}_indptr.npy", table.indptr)
    write_array(folder / f"{name}_items.npy", table.items)


def _load_table(folder: Path, name: str) -> ItemsByUser:
    return ItemsByUser(
        read_array(folder / f"{name}_indptr.npy", np.int64), read_array(folder / f"{name}_items.npy", np.int32)
    )


def _load_lists(folder: Path) -> Lists:
    return read_array(folder / "lists_items.npy", np.int32, 2), read_array(folder / "lists_scores.npy", np.float32, 2)


def _check_table(name: str, table: ItemsByUser, n_rows: int, n_items: int) -> None:
    check_array(f"{name}_indptr", table.indptr, np.int64)
    check_array(f"{name}_items", table.items, np.int32)
    check_indptr(f"{name}_indptr", table.indptr, n_rows, len(table.items))
    check_bounds(f"{name}_items", table.items, n_items)
    starts = table.indptr[(table.indptr > 0) & (table.indptr < len(table.items))]
    rises = table.items[1:] > table.items[:-1]
    rises[starts - 1] = True
    if not rises.all():
        raise ValueError(f"{name}_items does not ascend within each row; expected each item once, ascending. {AGAIN}")


def _check_histories(bundle: Bundle) -> None:
    n = len(bundle.histories.items)
    for name, dtype in (("rating", np.float32), ("timestamp", np.int64)):
        check_array(name, getattr(bundle, name), dtype)
        check_length(name, len(getattr(bundle, name)), n, "interactions")
    if np.isinf(bundle.rating).any():
        raise ValueError(f"rating holds an infinity; expected finite numbers, or NaN where there is none. {AGAIN}")


def _check_lists(items: NDArray[np.int32], scores: NDArray[np.float32], n_users: int, n_items: int) -> None:
    check_array("lists_items", items, np.int32, 2)
    check_array("lists_scores", scores, np.float32, 2)
    if items.shape != scores.shape or len(items) != n_users:
        raise ValueError(
            f"lists_items is of shape {items.shape} and lists_scores {scores.shape}; expected the same, with a row for "
            f"each of {n_users} users. {AGAIN}"
        )
    check_bounds("lists_items", items, n_items, least=-1)
    is_listed = items >= 0
    if (is_listed[:, 1:] > is_listed[:, :-1]).any():
        raise ValueError(f"lists_items has an item after none; expected -1 at the end of a row only. {AGAIN}")
    if not np.isfinite(scores[is_listed]).all():
        raise ValueError(f"lists_scores holds NaN or infinity beside an item; expected finite numbers. {AGAIN}")
