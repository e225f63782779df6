"""What is looked up in a served model and its bundle to answer: people, products, labels, popular items."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.base import Explainer, Similar
from models.factors import FactorModel, SomeItems
from schema.arrays import Indices
from schema.bundle import Labels
from schema.events import Event
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from serving.histories import history_of, known_parts, one_row
from serving.loading import Served
from serving.rules import Items, Scenario, Scores

DETAILS_KEPT = 16_384
SCENARIOS_KEPT = 64
MASKS_KEPT = 128  # a byte for each item
FILTERS_KEPT, FEW = 32, 16  # the factors of few items, which are a share of all, as its divisor: twice those of all
SECONDS_PER_DAY = 86_400


class Catalogue:
    """A served model with its bundle, and what is derived from both; made once for each swap.

    Attributes:
        served: The model and its bundle.
        detail: Returns id, title, brand and categories of an item, by its index.
    """

    def __init__(self, served: Served) -> None:
        self.served, self.bundle, self.model = served, served.bundle, served.model
        self.is_by_history = served.kind.knows_histories_only
        self.detail = lru_cache(DETAILS_KEPT)(self._detail)
        self._mask = lru_cache(MASKS_KEPT)(self._make_mask)
        self._few = lru_cache(FILTERS_KEPT)(self._make_few)
        self._known: dict[tuple[str, str], Hidden] = {}

    def user(self, user_id: str) -> int | None:
        """Return the index of a user, None for one that the model does not know."""
        return self.bundle.user_ids.find(user_id)

    def items(self, ids: Iterable[str]) -> tuple[Items, list[str]]:
        """Return the indices of the items that there are, each once, ascending, and the ids of those that are not."""
        found, unknown = set(), []
        for item_id in ids:
            item = self.bundle.item_ids.find(item_id)
            if item is None:
                unknown.append(item_id)
            else:
                found.add(item)
        return np.array(sorted(found), dtype=np.int32), unknown

    def history(self, user: int) -> Histories:
        """Return what a user has, as one history."""
        table = self.bundle.histories
        start, end = int(table.indptr[user]), int(table.indptr[user + 1])
        return Histories(
            one_row(table.items[start:end]), self.bundle.rating[start:end], self.bundle.timestamp[start:end]
        )

    def with_events(self, history: Histories, events: Sequence[Event]) -> tuple[Histories, bool]:
        """Return a history with what happened since, and whether that added anything.

        Of an item the latest rating counts, as in training, and another event only where there is no rating.
        """
        find, known = self.bundle.item_ids.find, dict(known_parts(history))
        ordered = sorted(events, key=lambda event: (event.rating is not None, event.timestamp))
        last = {item: event for event in ordered if (item := find(event.item_id)) is not None}
        new = {
            item: (float("nan") if event.rating is None else event.rating, event.timestamp)
            for item, event in last.items()
            if item not in known or _is_news(event, *known[item])
        }
        return (history_of({**known, **new}), True) if new else (history, False)

    def labelled(self, name: str, labels: Iterable[str]) -> Items:
        """Return the items that have one of some labels, ascending.

        Args:
            name: 'brands' or 'categories'.
            labels: Names; one that is not there has no items.
        """
        names = getattr(self.bundle, name).names
        codes = [code for label in labels if (code := names.find(label)) is not None]
        table = self._items_by_label[name].take(np.array(codes, dtype=np.int64))
        return self._distinct(table.items)

    def near(self, items: Items) -> Items:
        """Return the items that share the narrowest category of one of some items, ascending."""
        codes = self.bundle.categories.codes
        ends = codes.indptr[items + 1]
        narrowest = np.unique(codes.items[ends[ends > codes.indptr[items]] - 1])
        return self._distinct(self._items_by_label["categories"].take(narrowest).items)

    def _distinct(self, items: Items) -> Items:
        """Return each of some items once, ascending: for thousands, many times faster than ``numpy.unique``."""
        is_there = np.zeros(self.bundle.n_items, dtype=bool)
        is_there[items] = True
        return np.flatnonzero(is_there).astype(np.int32)

    def popular(
        self, kind: str | None, is_hidden: NDArray[np.bool_], first: Items | None, k: int
    ) -> tuple[Items, Scores]:
        """Return the k items that most have, and their scores.

        Args:
            kind: Which popularity; None for the default.
            is_hidden: Of each item, whether it is left out.
            first: Items that come before all others, whose scores are then lowered to below theirs; None for none.
            k: Items at most.
        """
        kind = kind or next(iter(self.bundle.popular))
        scores, order = self.bundle.popular[kind], self._orders[kind]
        kept = order[~is_hidden[order]]
        if first is None:
            return kept[:k], scores[kept[:k]]
        is_first = np.isin(kept, first)
        kept = np.concatenate([kept[is_first][:k], kept[~is_first][:k]])[:k]
        lowered = scores[kept] - np.float32(scores[order[0]] + 1) * ~np.isin(kept, first)
        return kept, lowered.astype(np.float32)

    def shared_categories(self, item: int, others: Indices) -> Scores:
        """Return the share of their categories that an item has in common with each of some others (Jaccard)."""
        codes = self.bundle.categories.codes
        own = codes.items[codes.indptr[item] : codes.indptr[item + 1]]
        theirs = codes.take(others)
        common = np.bincount(theirs.rows, np.isin(theirs.items, own), minlength=len(others))
        return np.asarray(common / np.maximum(len(own) + theirs.counts - common, 1), dtype=np.float32)

    def similarities(self, item: int, others: Indices) -> Scores:
        """Return how alike an item is to some others, by the model if it can tell, else by their categories."""
        if isinstance(self.model, Similar):
            return self.model.similarities(item, others)
        return self.shared_categories(item, others)

    @property
    def tells_similar(self) -> bool:
        """Whether the model can tell how alike items are."""
        return isinstance(self.model, Similar)

    def most_similar(self, item: int, k: int) -> tuple[Items, Scores]:
        """Return the k items that are most like an item, and how alike; none that has nothing in common."""
        others = np.delete(np.arange(self.bundle.n_items, dtype=np.int32), item)
        scores = self.similarities(item, others)
        least = np.partition(scores, -k)[-k] if k < len(scores) else -np.inf
        near = np.flatnonzero((scores >= least) & (scores > 0))
        best = near[np.argsort(-scores[near], kind="stable")[:k]]
        return others[best], scores[best]

    def mask(self, categories: Sequence[str], brands: Sequence[str]) -> NDArray[np.bool_]:
        """Tell of each item whether filters hide it; without any, none is hidden."""
        return self._mask(tuple(categories), tuple(brands)).copy()

    def _make_mask(self, categories: Sequence[str], brands: Sequence[str]) -> NDArray[np.bool_]:
        mask = np.zeros(self.bundle.n_items, dtype=bool)
        for name, labels in (("categories", categories), ("brands", brands)):
            if labels:
                hide_all_but(mask, self.labelled(name, labels))
        return mask

    def few(self, categories: Sequence[str], brands: Sequence[str]) -> SomeItems | None:
        """Return the factors of the items that filters leave, kept for the next request; None if those are many."""
        return self._few(tuple(categories), tuple(brands)) if categories or brands else None

    def _make_few(self, categories: Sequence[str], brands: Sequence[str]) -> SomeItems | None:
        left = np.flatnonzero(~self._mask(categories, brands)).astype(np.int32)
        if not isinstance(self.model, FactorModel) or type(self.model).rank is not FactorModel.rank:
            return None
        return SomeItems.of(self.model, left) if FEW * len(left) <= self.bundle.n_items else None

    def find(self, query: str, most: int) -> list[int]:
        """Return the items whose titles have all words of a query, by index; first the one that has it as its id."""
        words = query.casefold().split()
        item = self.bundle.item_ids.find(query)
        found = [] if item is None else [item]
        if words:
            longest = max(words, key=len)
            lines = (line for line, title in enumerate(self._titles) if longest in title)
            found += islice((one for one in lines if one != item and all(w in self._titles[one] for w in words)), most)
        return found[:most]

    @property
    def explainer(self) -> Explainer | None:
        """The model, if it can tell why."""
        return self.model if isinstance(self.model, Explainer) else None

    @cached_property
    def first_brand(self) -> NDArray[np.int64]:
        """First brand of each item, -1 where there is none."""
        codes = self.bundle.brands.codes
        places = np.minimum(codes.indptr[:-1], max(len(codes.items) - 1, 0))
        brands = codes.items[places] if len(codes.items) else np.full(self.bundle.n_items, -1)
        return np.where(codes.counts > 0, brands, -1)

    def fresh(self, days: float) -> NDArray[np.bool_]:
        """Tell of each item whether it was first seen in so many days before the newest one was."""
        first_seen = self.bundle.first_seen
        return np.asarray((first_seen >= 0) & (first_seen > first_seen.max(initial=-1) - days * SECONDS_PER_DAY))

    def hidden(self, name: str, version: str, scenario: Scenario) -> "Hidden":
        """Return what a scenario hides from everybody; kept for each version of it."""
        found = self._known.get((name, version))
        if found is None:
            if len(self._known) >= SCENARIOS_KEPT:
                self._known = {}
            found = self._known[name, version] = Hidden.of(self, scenario)
        return found

    def warm_up(self) -> None:
        """Derive what the first request would otherwise wait for."""
        _ = self._items_by_label, self._orders, self.first_brand, self.user(""), self.items([""])
        nothing = np.zeros(self.bundle.n_items, dtype=bool)
        self.popular(None, nothing, None, 1)

    @cached_property
    def _items_by_label(self) -> Mapping[str, ItemsByUser]:
        tables: dict[str, ItemsByUser] = {}
        for name in ("brands", "categories"):
            labels: Labels = getattr(self.bundle, name)
            tables[name] = ItemsByUser.from_pairs(labels.codes.items, labels.codes.rows, len(labels.names))
        return tables

    @cached_property
    def _titles(self) -> list[str]:
        titles = self.bundle.titles
        return [titles[item].casefold() for item in range(len(titles))]

    @cached_property
    def _orders(self) -> Mapping[str, Items]:
        return {
            kind: np.argsort(-scores, kind="stable").astype(np.int32) for kind, scores in self.bundle.popular.items()
        }

    def _detail(self, item: int) -> dict[str, Any]:
        bundle = self.bundle
        detail: dict[str, Any] = {"item_id": bundle.item_ids[item]}
        if title := bundle.titles[item]:
            detail["title"] = title
        if brand := bundle.brands.of_item(item):
            detail["brand"] = brand[0]
        if categories := bundle.categories.of_item(item):
            detail["categories"] = categories
        return detail


class Hidden:
    """What a scenario hides from everybody, and the items that it pins.

    Attributes:
        mask: Of each item, whether it is hidden; None where nothing is.
        pins: Item of each place, from 0; none of them hidden.
        lost: Ids that the scenario names and that the model does not know.
    """

    def __init__(self, mask: NDArray[np.bool_] | None, pins: Mapping[int, int], lost: Sequence[str]) -> None:
        self.mask, self.pins, self.lost = mask, pins, lost

    @classmethod
    def of(cls, catalogue: Catalogue, scenario: Scenario) -> "Hidden":
        """Return what a scenario hides in a catalogue."""
        mask = np.zeros(catalogue.bundle.n_items, dtype=bool)
        allowed, lost = catalogue.items(scenario.allow)
        if scenario.allow:
            hide_all_but(mask, allowed)
        for name in ("brands", "categories"):
            if labels := getattr(scenario, name):
                hide_all_but(mask, catalogue.labelled(name, labels))
        denied, _ = catalogue.items(scenario.deny)
        mask[denied] = True
        pins = {pin.place - 1: catalogue.bundle.item_ids.find(pin.item_id) for pin in scenario.pinned}
        lost += [pin.item_id for pin in scenario.pinned if pins[pin.place - 1] is None]
        shown = {place: item for place, item in pins.items() if item is not None and not mask[item]}
        return cls(mask if mask.any() else None, shown, lost)


def hide_all_but(mask: NDArray[np.bool_], items: Indices) -> None:
    """Hide, in place, all items but some."""
    kept = np.zeros(len(mask), dtype=bool)
    kept[items] = True
    mask |= ~kept


def _is_news(event: Event, rating: float, timestamp: int) -> bool:
    return event.rating is not None and event.timestamp >= timestamp and np.float32(event.rating) != rating
