"""A store of full size that can be served: drawn interactions, a factor model and an item-item model, their bundles."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic import Size, draw_factors, draw_interactions
from models.base import FittedModel
from models.item_item import ItemItemModel
from models.registry import Candidate
from schema.bundle import Bundle, Labels
from schema.items_by_user import ItemsByUser
from schema.string_table import StringTable
from storage import artifacts, layout
from storage.champion import ChampionTerm, promote, read_history
from storage.protocol import Store

N_LISTED = 10
N_BRANDS, N_CATEGORIES = 500, 20
FIRST_SECOND, YEAR = 1_600_000_000, 365 * 86_400
ALS, KNN = "als-implicit", "item-knn"

Texts = Mapping[str, Any]


@dataclass(frozen=True)
class Shop:
    """What is known of people and products, and who asks.

    Attributes:
        size: How many there are.
        histories: Items of each user.
        asking: Users who ask, one for each request; a few ask often, as people do.
        seed: Of all that is drawn.
        shares: Of the requests that ask for a list, for items of a category, and for a basket; they sum to 1.
    """

    size: Size
    histories: ItemsByUser
    asking: NDArray[np.int64]
    seed: int
    shares: tuple[float, ...]

    @classmethod
    def draw(cls, size: Size, n_requests: int, seed: int, shares: tuple[float, ...]) -> "Shop":
        """Return a shop of a size, with a power law of exponent 0.8 for how often users ask."""
        rng = np.random.default_rng(seed)
        histories = ItemsByUser.from_pairs(*draw_interactions(size, seed), size.users)
        weights = rng.permutation(1 / np.arange(1, size.users + 1) ** 0.8)
        return cls(size, histories, rng.choice(size.users, n_requests, p=weights / weights.sum()), seed, shares)

    def fit(self, model: str, seed: int) -> FittedModel:
        """Return a model as large as one that was fitted to the shop: factors, or 100 neighbours of each item."""
        counts = np.bincount(self.histories.items, minlength=self.size.items)
        if model == ALS:
            return draw_factors(self.size, counts, seed)
        rng, n_items = np.random.default_rng(seed), self.size.items
        n_near = min(100, n_items - 1)
        steps = rng.integers(1, n_items // n_near + 1, (n_items, n_near), dtype=np.int32)
        neighbours = (np.arange(n_items, dtype=np.int32)[:, None] + steps.cumsum(axis=1, dtype=np.int32)) % n_items
        similarities = np.sort(rng.random((n_items, n_near), dtype=np.float32) + np.float32(1e-6), axis=1)[:, ::-1]
        indptr = np.arange(n_items + 1, dtype=np.int64) * n_near
        flat = neighbours.astype(np.int32).ravel(), np.ascontiguousarray(similarities).ravel()
        return ItemItemModel(indptr, *flat, self.size.users, n_items)

    def bundle(self, model_id: str, candidate: Candidate, fitted: FittedModel) -> Bundle:
        """Return the bundle of a model; it has lists of the night for those who ask, who are all that counts here."""
        rng, n_items, n = np.random.default_rng(self.seed), self.size.items, len(self.histories.items)
        items, asking = np.arange(n_items), np.unique(self.asking)
        listed = np.full((self.size.users, N_LISTED), -1, dtype=np.int32)
        scores = np.full(listed.shape, -np.inf, dtype=np.float32)
        listed[asking], scores[asking] = fitted.rank(asking, self.histories.take(asking), N_LISTED)
        popular = {"popularity": np.bincount(self.histories.items, minlength=n_items).astype(np.float32)}
        brands, categories = (rng.integers(0, n_labels, n_items) for n_labels in (N_BRANDS, N_CATEGORIES))
        return Bundle(
            about=_describe(model_id, candidate, list(popular)),
            user_ids=StringTable.of(user_id(user) for user in range(self.size.users)),
            item_ids=StringTable.of(item_id(item) for item in range(n_items)),
            histories=self.histories,
            rating=rng.integers(1, 6, n).astype(np.float32),
            timestamp=FIRST_SECOND + rng.integers(0, YEAR, n),
            popular=popular,
            first_seen=FIRST_SECOND + rng.integers(0, YEAR, n_items),
            titles=StringTable.of(f"Product {item} of the synthetic shop" for item in items),
            brands=_labels("Brand", N_BRANDS, brands),
            categories=_labels("Category", N_CATEGORIES, categories),
            lists=(listed, scores),
        )

    def publish(self, store: Store, model: str, model_id: str, seed: int) -> str:
        """Publish a model and its bundle, and return the bundle's id."""
        kind = Candidate(model=model, parameters={}).kind
        tried = dict(next(iter(kind.candidates(kind.options()))))
        candidate = Candidate(model=model, parameters=tried | ({"rank": self.size.rank} if "rank" in tried else {}))
        fitted, bundle_id = self.fit(model, seed), f"{model_id}-{seed:08x}"
        metadata = {"model": model, "label": candidate.label, "parameters": dict(candidate.parameters)}
        with tempfile.TemporaryDirectory() as name:
            fitted.save(Path(name) / kind.folder)
            (Path(name) / layout.METADATA).write_text(json.dumps(metadata), "utf-8")
            parameters = {"model": model, **candidate.parameters}
            self._publish(store, layout.MODELS, model_id, Path(name), parameters, {})
        with tempfile.TemporaryDirectory() as name:
            self.bundle(model_id, candidate, fitted).save(Path(name) / layout.SERVED)
            self._publish(store, layout.BUNDLES, bundle_id, Path(name), {}, {"model": model_id})
        return bundle_id

    def _publish(self, store: Store, kind: str, name: str, folder: Path, parameters: Texts, inputs: Texts) -> None:
        counts = {"n_users": self.size.users, "n_items": self.size.items}
        origin = {"inputs": {"dataset": "0" * 16, **inputs}, "parameters": parameters, "counts": counts}
        artifacts.publish(store, kind, name, folder, code_version="synthetic", **origin)


def make_champion(store: Store, model_id: str) -> None:
    """Move the pointer to a model."""
    promote(store, ChampionTerm(model_id, "2026-01-01T00:00:00+00:00", "a benchmark"), read_history(store))


def user_id(user: int) -> str:
    """Return the outside id of a user."""
    return f"U{user:09d}"


def item_id(item: int) -> str:
    """Return the outside id of an item."""
    return f"B{item:09d}"


def category(number: int) -> str:
    """Return the name of a category."""
    return f"Category {number}"


def _labels(name: str, n_labels: int, codes: NDArray[np.int64]) -> Labels:
    names = StringTable.of(f"{name} {number}" for number in range(n_labels))
    return Labels(names, ItemsByUser.from_pairs(np.arange(len(codes)), codes, len(codes)))


def _describe(model_id: str, candidate: Candidate, popular: list[str]) -> dict[str, Any]:
    return {
        "format": 1,
        "model_id": model_id,
        "model": candidate.model,
        "label": candidate.label,
        "parameters": dict(candidate.parameters),
        "popular": popular,
        "has_ratings": True,
        "has_timestamps": True,
    }
