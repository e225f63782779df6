"""A tiny store that can be served: a model of any kind, its bundle and the pointer, in milliseconds."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from models.base import FittedModel, Interactions
from models.registry import Candidate
from schema.bundle import Bundle, Labels
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from schema.string_table import StringTable
from storage import artifacts, layout
from storage.canonical import short_digest
from storage.champion import ChampionTerm, promote, read_history
from storage.manifest import Manifest
from storage.opening import open_store
from storage.protocol import Store

N_USERS, N_ITEMS, N_LISTED = 40, 30, 10
CATEGORIES = ("Electronics", "Audio", "Cameras", "Computers")
BRANDS = ("Arbora", "Kestrel", "Nordlys")
USER_IDS = tuple(f"user-{user:02d}" for user in range(N_USERS))
ITEM_IDS = tuple(f"item-{item:02d}" for item in range(N_ITEMS))
FIRST_SECOND = 1_700_000_000
DAY = 86_400


class Sample(NamedTuple):
    """What was published: the store, the ids of model and bundle, and the bundle as it is in memory."""

    store: Store
    model_id: str
    bundle_id: str
    bundle: Bundle


def interactions(seed: int = 7) -> Interactions:
    """Return interactions of two tastes: even users have mostly even items; each user 3 to 8 of them, unrated some."""
    rng = np.random.default_rng(seed)
    users, items = [], []
    for user in range(N_USERS):
        liked = rng.permutation(np.arange(user % 2, N_ITEMS, 2))[: rng.integers(3, 9)]
        users += [user] * len(liked)
        items += sorted(liked.tolist())
    rating = rng.integers(1, 6, len(users)).astype(np.float32)
    timestamp = FIRST_SECOND + DAY * rng.integers(0, 400, len(users))
    columns = {"user_idx": np.array(users), "item_idx": np.array(items), "rating": rating, "timestamp": timestamp}
    return Interactions(N_USERS, N_ITEMS, columns.__getitem__, SimpleNamespace(factorise=factorise))


def factorise(parameters: Mapping[str, Any], _: str) -> tuple[Any, Any]:
    """Return factors of users and items as Spark's alternating least squares finds them: the users' come last."""
    known = interactions()
    rated = np.zeros((N_USERS, N_ITEMS))
    rated[known.user_idx, known.item_idx] = known.rating
    item_factors = np.random.default_rng(1).normal(scale=0.3, size=(N_ITEMS, int(parameters["rank"])))
    for _ in range(3):
        item_factors = _solve(rated.T, _solve(rated, item_factors, parameters), parameters)
    both = _solve(rated, item_factors, parameters), item_factors
    return tuple(np.ascontiguousarray(one, dtype=np.float32) for one in both)  # type: ignore[return-value]


def _solve(rated: Any, others: Any, parameters: Mapping[str, Any]) -> Any:
    """Return the factors of each row: those of Hu et al. for implicit, of Zhou et al. for explicit ALS."""
    is_implicit, alpha = parameters["implicit"], float(parameters["alpha"])
    rows = []
    for row in rated:
        known = others[row > 0]
        left = float(parameters["reg"]) * len(known) * np.eye(others.shape[1])
        left += others.T @ others + alpha * known.T @ known if is_implicit else known.T @ known
        right = (1 + alpha) * known.sum(axis=0) if is_implicit else known.T @ row[row > 0]
        rows.append(np.linalg.solve(left, right) if len(known) else np.zeros(others.shape[1]))
    return np.array(rows)


def candidate(model: str = "als-implicit") -> Candidate:
    """Return a kind of model with the first parameters that its search tries."""
    kind = Candidate(model=model, parameters={}).kind
    return Candidate(model=model, parameters=dict(next(iter(kind.candidates(kind.options())))))


def make_bundle(model_id: str, one: Candidate, fitted: FittedModel | None = None) -> Bundle:
    """Return a bundle of the interactions, with titles, brands, two categories of an item, and lists of a model."""
    known = interactions()
    people = Histories.from_columns(known.user_idx, known.item_idx, known.rating, known.timestamp, N_USERS)
    items = np.arange(N_ITEMS)
    pairs = np.repeat(items, 2), np.column_stack([np.zeros(N_ITEMS, int), 1 + items % 3]).ravel()
    first_seen = np.full(N_ITEMS, np.iinfo(np.int64).max)
    np.minimum.at(first_seen, known.item_idx, known.timestamp)
    first_seen[first_seen == np.iinfo(np.int64).max] = -1
    popular = {
        "popularity": np.bincount(known.item_idx, minlength=N_ITEMS).astype(np.float32),
        "recent-popularity": np.bincount(
            known.item_idx, 0.5 ** ((known.timestamp.max() - known.timestamp) / (90 * DAY)), minlength=N_ITEMS
        ).astype(np.float32),
    }
    row = {"split": "test", "metric": "ndcg", "k": 10, "value": 0.3, "low": 0.2, "high": 0.4, "n_users": N_USERS}
    about = {
        "format": 1,
        "model_id": model_id,
        "model": one.model,
        "label": one.label,
        "parameters": dict(one.parameters),
        "lineage": [
            {"role": "model", "kind": "models", "id": model_id},
            {"role": "dataset", "kind": "datasets", "id": "2222aaaa"},
            {"role": "reviews", "kind": "reviews", "id": "1111aaaa"},
            {"role": "raw", "kind": "raw", "id": "ab" * 32, "name": "sample.json.gz"},
        ],
        "counts": {"n_users": N_USERS, "n_items": N_ITEMS, "n_interactions": len(known.user_idx)},
        "metrics": [
            {"model": one.model, "parameters": dict(one.parameters), **row},
            {"model": "popularity", "parameters": {}, **row, "value": 0.1, "low": 0.05, "high": 0.15},
        ],
        "verdicts": {"guard": None, "lead": None},
        "popular": list(popular),
        "has_ratings": True,
        "has_timestamps": True,
    }
    return Bundle(
        about=about,
        user_ids=StringTable.of(USER_IDS),
        item_ids=StringTable.of(ITEM_IDS),
        histories=people.items,
        rating=people.rating,
        timestamp=people.timestamp,
        popular=popular,
        first_seen=first_seen,
        titles=StringTable.of([f"{BRANDS[item % 3]} product no. {item}" for item in range(N_ITEMS)]),
        brands=Labels(StringTable.of(BRANDS), ItemsByUser.from_pairs(items, items % 3, N_ITEMS)),
        categories=Labels(StringTable.of(CATEGORIES), ItemsByUser.from_pairs(*pairs, N_ITEMS)),
        lists=one.kind.rank_unseen(fitted, np.arange(N_USERS), people, N_LISTED) if fitted else None,
    )


def write_store(
    place: Path | Store,
    model: str = "als-implicit",
    *,
    model_id: str = "6666aaaa",
    has_lists: bool = True,
    is_champion: bool = True,
    **changes: Any,
) -> Sample:
    """Publish a model, its bundle and, if asked, the pointer to it into a store, which may have others already.

    Args:
        place: The store, or the folder of a local one, made if absent.
        model: Name of a kind of the registry.
        model_id: Id of the model.
        has_lists: Whether the bundle has nightly lists.
        is_champion: Whether the model becomes the champion.
        changes: Fields of the bundle that are to be something else.
    """
    if isinstance(place, Path):
        place.mkdir(parents=True, exist_ok=True)
    store = open_store(str(place)) if isinstance(place, Path) else place
    one = candidate(model)
    fitted = one.kind.fit(interactions(), one.parameters)
    bundle = replace(make_bundle(model_id, one, fitted if has_lists else None), **changes)
    publish_model(store, model_id, one, fitted)
    published = publish_bundle(store, bundle)
    if is_champion:
        promote(store, ChampionTerm(model_id, "2026-01-01T00:00:00+00:00", "a test"), read_history(store))
    return Sample(store, model_id, published.id, bundle)


def publish_model(store: Store, model_id: str, one: Candidate, fitted: FittedModel) -> Manifest:
    """Publish a fitted model as a training does, less what is not served."""
    with tempfile.TemporaryDirectory() as name:
        fitted.save(Path(name) / one.kind.folder)
        metadata = {"model": one.model, "label": one.label, "parameters": dict(one.parameters)}
        (Path(name) / layout.METADATA).write_text(json.dumps(metadata))
        return artifacts.publish(
            store,
            layout.MODELS,
            model_id,
            Path(name),
            inputs={"dataset": "2222aaaa"},
            parameters={"model": one.model, **one.parameters, "select_by": "ndcg_10", "test_scores": []},
            code_version="0.1.0+abc",
            counts={"n_users": fitted.n_users, "n_items": fitted.n_items},
        )


def publish_bundle(store: Store, bundle: Bundle, salt: str = "") -> Manifest:
    """Publish a bundle of a model under an id that depends on what is in it."""
    with tempfile.TemporaryDirectory() as name:
        bundle.save(Path(name) / layout.SERVED)
        content = b"".join(path.read_bytes() for path in sorted(Path(name).glob("*/*")))
        model_id = str(bundle.about["model_id"])
        return artifacts.publish(
            store,
            layout.BUNDLES,
            f"{model_id}-{short_digest(content + salt.encode())[:8]}",
            Path(name),
            inputs={"model": model_id, "dataset": "2222aaaa"},
            parameters={},
            code_version="0.1.0+abc",
            counts={"n_users": bundle.n_users, "n_items": bundle.n_items},
        )
