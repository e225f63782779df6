"""Scenarios, and the rules by which they arrange what a model has ranked: arrays in, items out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool, StrictFloat, StrictInt, model_validator

from schema.arrays import Indices
from schema.events import Id
from schema.options import FrozenModel
from serving.options import MAX_CANDIDATES, MAX_LABELS, MAX_N

Items = NDArray[np.int32]
Scores = NDArray[np.float32]
Ids = tuple[Id, ...]

LEAST_POOL = 100
POOL_PER_PLACE = 10
POOL_GROWTH = 16


class Pin(FrozenModel):
    """An item that has a place of its own."""

    item_id: Id
    place: StrictInt = Field(ge=1, le=MAX_N, description="From 1.")


class Scenario(FrozenModel):
    """What is recommended in one place, such as a home page or an e-mail.

    Filters, ``deny`` and ``exclude_seen`` are hard: no item that they forbid is ever shown, pinned ones neither.
    """

    description: str = Field("", max_length=500)
    n: StrictInt = Field(10, ge=1, le=MAX_N, description="Items, where a request does not say.")
    exclude_seen: StrictBool = Field(True, description="Leave out what a person has.")
    allow: Ids = Field((), max_length=MAX_CANDIDATES, description="If there are any, only these items.")
    deny: Ids = Field((), max_length=MAX_CANDIDATES, description="Never these items.")
    categories: Ids = Field((), max_length=MAX_LABELS, description="If there are any, only items of one of these.")
    brands: Ids = Field((), max_length=MAX_LABELS, description="If there are any, only items of one of these.")
    max_per_brand: StrictInt | None = Field(
        None, ge=1, le=MAX_N, description="Items of a brand at most (its first brand)."
    )
    pinned: tuple[Pin, ...] = Field((), max_length=MAX_N)
    diversity: StrictFloat = Field(
        0.0, ge=0, le=1, description="Weight of being unlike the items before (maximal marginal relevance)."
    )
    fresh_days: StrictFloat = Field(
        30.0, gt=0, le=36500, description="Days before the newest item in which one is fresh."
    )
    freshness: StrictFloat = Field(0.0, ge=0, le=1, description="Weight of being fresh; the rest is that of the score.")

    @model_validator(mode="after")
    def _pins_once(self) -> Self:
        for name in ("item_id", "place"):
            values = [getattr(pin, name) for pin in self.pinned]
            if len(set(values)) < len(values):
                raise ValueError(f"pinned has the same {name} twice; give each pin its own")
        return self

    @cached_property
    def is_plain(self) -> bool:
        """Whether it changes nothing but leaves out what a person has."""
        return self == Scenario(description=self.description, n=self.n, fresh_days=self.fresh_days)


@dataclass(frozen=True)
class Rules:
    """The soft rules of a scenario, and its pins, in terms of item indices.

    Attributes:
        pins: Item of each place, from 0; none of them forbidden, and none among the candidates.
        brand: First brand of each item, -1 where there is none.
        max_per_brand: Items of a brand at most.
        diversity: Weight of being unlike what was chosen before, 0 to 1.
        similarities: How alike an item is to others; cut off at 0 and 1.
        is_fresh: Of each item.
        freshness: Weight of being fresh, 0 to 1.
    """

    pins: Mapping[int, int] = field(default_factory=dict)
    brand: Indices | None = None
    max_per_brand: int | None = None
    diversity: float = 0.0
    similarities: Callable[[int, Indices], Scores] | None = None
    is_fresh: NDArray[np.bool_] | None = None
    freshness: float = 0.0

    @property
    def reorders(self) -> bool:
        """Whether more candidates than places change what is chosen."""
        return bool(self.diversity or self.freshness)

    def pool(self, n: int) -> int:
        """Return how many candidates to arrange n items from, to begin with."""
        if self.reorders:
            return max(POOL_PER_PLACE * n, LEAST_POOL)
        return n if self.max_per_brand is None else 2 * n


def fill(rank: Callable[[int], tuple[Items, Scores]], n: int, rules: Rules) -> Items:
    """Return n items by the rules, or as many as there are, from as many candidates as that takes.

    Args:
        rank: Returns the k best candidates and their scores, fewer where there are no more.
        n: Items wanted.
        rules: What arranges them.
    """
    k = rules.pool(n)
    while True:
        items, scores = rank(k)
        chosen = arrange(items, scores, n, rules)
        if len(chosen) >= n or len(items) < k:
            return chosen
        k *= POOL_GROWTH


def arrange(items: Items, scores: Scores, n: int, rules: Rules) -> Items:
    """Return up to n of the candidates, with the pins at their places; what ranks higher comes first.

    Each place takes the candidate with the largest ``(1 - diversity) * relevance - diversity * similarity`` among
    those whose brand is not yet full, where similarity is the largest to an item before it (Carbonell and Goldstein,
    SIGIR 1998). Relevance is the score, scaled to 0 to 1 over the candidates and mixed with freshness where there is
    a weight for either. Equal ones keep the order of the candidates.

    Args:
        items: Candidates, best first, none twice.
        scores: Of each of them.
        n: Items wanted.
        rules: What arranges them.
    """
    room = _Room(rules)
    pins = {place: item for place, item in sorted(rules.pins.items()) if place < n and room.take(item)}
    relevance = _relevance(items, scores, rules)
    wanted = n - len(pins)
    chosen = (
        _diverse(items, relevance, list(pins.values()), wanted, room, rules)
        if rules.diversity and rules.similarities
        else _in_order(items, relevance, wanted, room, rules)
    )
    return _with_pins(chosen, pins, n)


class _Room:
    """How many more items each brand may have."""

    def __init__(self, rules: Rules) -> None:
        self.most, self.brand = rules.max_per_brand, rules.brand
        self.taken: dict[int, int] = {}

    def has(self, item: int) -> bool:
        brand = -1 if self.most is None or self.brand is None else int(self.brand[item])
        return brand < 0 or self.taken.get(brand, 0) < (self.most or 0)

    def admits(self, items: Items) -> NDArray[np.bool_]:
        """Tell of each item whether it may still be taken."""
        if self.most is None or self.brand is None:
            return np.ones(len(items), dtype=bool)
        full = [brand for brand, n in self.taken.items() if brand >= 0 and n >= self.most]
        return np.isin(self.brand[items], full, invert=True)

    def take(self, item: int) -> bool:
        if not self.has(item):
            return False
        if self.brand is not None:
            brand = int(self.brand[item])
            self.taken[brand] = self.taken.get(brand, 0) + 1
        return True


def _relevance(items: Items, scores: Scores, rules: Rules) -> NDArray[np.float64]:
    relevance = scores.astype(np.float64)
    if not rules.reorders or not len(items):
        return relevance
    low, high = relevance.min(), relevance.max()
    relevance = (relevance - low) / (high - low) if high > low else np.zeros(len(items))
    if rules.freshness and rules.is_fresh is not None:
        relevance = (1 - rules.freshness) * relevance + rules.freshness * rules.is_fresh[items]
    return relevance


def _in_order(items: Items, relevance: NDArray[np.float64], n: int, room: _Room, rules: Rules) -> list[int]:
    order = np.argsort(-relevance, kind="stable") if rules.reorders else np.arange(len(items))
    chosen: list[int] = []
    for item in items[order].tolist():
        if len(chosen) == n:
            break
        if room.take(item):
            chosen.append(item)
    return chosen


def _diverse(
    items: Items, relevance: NDArray[np.float64], before: list[int], n: int, room: _Room, rules: Rules
) -> list[int]:
    nearest = np.zeros(len(items))
    is_left = room.admits(items)
    chosen: list[int] = []

    def come_near(item: int) -> None:
        np.maximum(nearest, np.clip(rules.similarities(item, items), 0, 1), out=nearest)  # type: ignore[misc]

    for item in before:
        come_near(item)
    while len(chosen) < n and is_left.any():
        value = np.where(is_left, (1 - rules.diversity) * relevance - rules.diversity * nearest, -np.inf)
        place = int(value.argmax())
        item = int(items[place])
        room.take(item)
        chosen.append(item)
        is_left &= room.admits(items)
        is_left[place] = False
        come_near(item)
    return chosen


def _with_pins(chosen: list[int], pins: Mapping[int, int], n: int) -> Items:
    """Return the chosen items with the pins at their places, or at the end where there are too few for that."""
    rest, arranged = iter(chosen), []
    for place in range(n):
        item = pins.get(place)
        item = next(rest, None) if item is None else item
        if item is not None:
            arranged.append(item)
    return np.array(arranged, dtype=np.int32)
