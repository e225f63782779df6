"""Publish what is served beside a model: ids, histories, popularity, products, lists and where all of it came from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from loguru import logger
from numpy.typing import NDArray
from prefect import task

from models.base import Interactions
from models.registry import impersonal_kinds
from reviews.catalogue import is_sample_user
from reviews.products import Products
from schema.about import FORMAT
from schema.arrays import Indices
from schema.bundle import Bundle, Labels, Lists
from schema.columns import Columns
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from schema.string_table import StringTable
from storage import artifacts, canonical, layout
from storage.inventory import lineage, list_artifacts, newest_bundle
from storage.manifest import Manifest
from storage.protocol import Store
from tasks.attributes import read_raw_products
from tasks.execution import COMPUTE_RETRIES
from tasks.fit import candidate_of
from tasks.model import require_model
from tasks.options import PlaceOptions
from tasks.store import local_file, publish_once, read_table


@task(name="publish bundle", task_run_name="publish bundle of models/{model.id}", **COMPUTE_RETRIES)
def publish_bundle(
    places: PlaceOptions,
    model: Manifest,
    dataset: Manifest,
    recommendations: Manifest | None,
    products: Manifest | None,
) -> Manifest:
    """Publish the bundle of a model, as the newest of that model.

    Args:
        places: The store.
        model: The published model.
        dataset: What it was trained on.
        recommendations: Its nightly lists, if there are any.
        products: The raw products file; without it that of the newest bundle in the store that had one.
    """
    store = places.open_store()
    products = products or _known_products(store)
    optional = {"recommendations": recommendations, "products": products}
    made_from = {"model": model, "dataset": dataset} | {role: one for role, one in optional.items() if one}

    def build(folder: Path) -> dict[str, Any]:
        interactions, popular = read_interactions(places, dataset)
        item_ids = read_table(places, dataset, layout.ITEM_MAP)[Columns.ITEM_ID].to_pylist()
        known = read_raw_products(places, products, set(item_ids)) if products else Products()
        n_users, n_items = interactions.n_users, interactions.n_items
        histories = Histories.from_columns(
            interactions.user_idx, interactions.item_idx, interactions.rating, interactions.timestamp, n_users
        )
        user_ids = read_table(places, dataset, layout.USER_MAP)[Columns.USER_ID].to_pylist()
        about = describe(places, made_from) | {"popular": list(popular)}
        bundle = Bundle(
            about=about | {"is_sample_data": any(map(is_sample_user, user_ids[:1]))},
            user_ids=StringTable.of(user_ids),
            item_ids=StringTable.of(item_ids),
            histories=histories.items,
            rating=histories.rating,
            timestamp=histories.timestamp,
            popular=popular,
            first_seen=find_first(interactions.item_idx, interactions.timestamp, n_items),
            titles=StringTable.of(known.titles.get(one, "") for one in item_ids),
            brands=Labels.of([[known.brands[one]] if one in known.brands else [] for one in item_ids]),
            categories=Labels.of([known.categories.get(one, ()) for one in item_ids]),
            lists=read_lists(places, recommendations, n_users) if recommendations else None,
        )
        bundle.save(folder / layout.SERVED)
        return {"n_users": n_users, "n_items": n_items, "n_titles": len(known.titles)}

    kinds = impersonal_kinds(has_timestamps=bool(dataset.counts["has_timestamps"]))
    published = publish_once(
        places,
        layout.BUNDLES,
        inputs={role: one.id for role, one in made_from.items()},
        parameters={"format": FORMAT},
        build=build,
        uses=[type(kind) for kind in kinds],
        belongs_to=model.id,
    )
    if newest_bundle(store, model.id) != published.id:
        store.renew(published.key)
    return published


@task(name="find bundle", task_run_name="find bundle of models/{model.id}", **COMPUTE_RETRIES)
def require_bundle(places: PlaceOptions, model: Manifest) -> Manifest:
    """Return the newest bundle of a model; if it has none, publish one with the lists that are there."""
    store = places.open_store()
    newest = newest_bundle(store, model.id)
    found = artifacts.find(store, layout.BUNDLES, newest) if newest else None
    if found:
        return found
    _, dataset = require_model(store, model.id)
    lists = _newest(store, layout.RECOMMENDATIONS, "model", model.id)
    return publish_bundle.fn(places, model, dataset, lists, None)


def read_interactions(
    places: PlaceOptions, dataset: Manifest
) -> tuple[Interactions, Mapping[str, NDArray[np.float32]]]:
    """Return interactions, with -1 for a missing timestamp, and the popularity of each item by each kind of it."""
    table = read_table(places, dataset, layout.INTERACTIONS)
    columns = {name: np.asarray(table[name]) for name in (Columns.USER_IDX, Columns.ITEM_IDX)}
    columns[Columns.RATING] = np.asarray(table[Columns.RATING], dtype=np.float32)
    columns[Columns.TIMESTAMP] = np.asarray(table[Columns.TIMESTAMP].fill_null(-1), dtype=np.int64)
    interactions = Interactions.of(dataset.count("n_users"), dataset.count("n_items"), **columns)
    popular = {}
    for kind in impersonal_kinds(has_timestamps=bool(dataset.counts["has_timestamps"])):
        fitted = kind.fit(interactions, next(iter(kind.candidates(kind.options()))))
        nothing = ItemsByUser(np.zeros(2, dtype=np.int64), np.empty(0, dtype=np.int32))
        items, scores = fitted.rank(np.array([0]), nothing, interactions.n_items)
        popular[kind.name] = np.empty(interactions.n_items, dtype=np.float32)
        popular[kind.name][items[0]] = scores[0]
    return interactions, popular


def find_first(item_idx: Indices, timestamp: Indices, n_items: int) -> NDArray[np.int64]:
    """Return the earliest timestamp of each item, -1 where none is known.

    Example:
        >>> find_first(np.array([1, 1, 0]), np.array([5, 3, -1]), n_items=3).tolist()
        [-1, 3, -1]
    """
    never = np.iinfo(np.int64).max
    first = np.full(n_items, never)
    np.minimum.at(first, item_idx, np.where(timestamp < 0, never, timestamp))
    return np.where(first == never, -1, first)


def read_lists(places: PlaceOptions, recommendations: Manifest, n_users: int) -> Lists:
    """Return the items and scores of the lists of all users, best first, filled up with -1 and -inf."""
    shape = n_users, recommendations.count("top_n")
    items, scores = np.full(shape, -1, dtype=np.int32), np.full(shape, -np.inf, dtype=np.float32)
    columns = [Columns.USER_IDX, "rank", Columns.ITEM_IDX, "score"]
    rows: pa.Table = read_table(places, recommendations, layout.LISTS, columns)
    place = np.asarray(rows[Columns.USER_IDX]), np.asarray(rows["rank"]) - 1
    items[place], scores[place] = np.asarray(rows[Columns.ITEM_IDX]), np.asarray(rows["score"])
    return items, scores


def describe(places: PlaceOptions, made_from: Mapping[str, Manifest]) -> dict[str, Any]:
    """Return what `schema.about.About` says of a model and of the data that it was made from."""
    model, dataset, candidate = made_from["model"], made_from["dataset"], candidate_of(made_from["model"])
    path = local_file(places, model, layout.METRICS)
    measured: Any = canonical.decode_object(path.read_bytes(), str(path))
    store = places.open_store()
    ancestors: dict[tuple[str | None, str], Mapping[str, str | None]] = {}
    for role, one in made_from.items():
        for ancestor in lineage(store, one):
            raw_name = None
            if ancestor.kind == layout.RAW and isinstance(ancestor.manifest, Manifest):
                raw_name = ancestor.manifest.files[0].path
            row = {"role": ancestor.role or role, "kind": ancestor.kind or "?", "id": ancestor.id, "name": raw_name}
            ancestors.setdefault((ancestor.kind, ancestor.id), row)
    return {
        "model_id": model.id,
        "model": candidate.model,
        "label": candidate.label,
        "parameters": dict(candidate.parameters),
        "lineage": list(ancestors.values()),
        "counts": dict(dataset.counts),
        "metrics": [row for row in measured["rows"] if row["split"] == "test"],
        "verdicts": {name: measured.get(name) for name in ("guard", "lead")},
        "has_ratings": bool(dataset.counts["has_ratings"]),
        "has_timestamps": bool(dataset.counts["has_timestamps"]),
    }


def _known_products(store: Store) -> Manifest | None:
    """Return the products file of the newest bundle that had one."""
    bundle = _newest(store, layout.BUNDLES, "products")
    found = artifacts.find(store, layout.RAW, bundle.inputs["products"]) if bundle else None
    if bundle and found:
        logger.bind(in_short=True).info(
            "No --products is named: titles, brands and categories are those of {}", bundle.name
        )
    return found


def _newest(store: Store, kind: str, role: str, artifact_id: str | None = None) -> Manifest | None:
    """Return the newest artifact of a kind with an input in a role, or with that one; None if there is none."""
    found = [one.manifest for one in list_artifacts(store, kind) if isinstance(one.manifest, Manifest)]
    made = [one for one in found if role in one.inputs and artifact_id in (None, one.inputs[role])]
    return max(made, key=lambda one: str(store.written_at(one.key)), default=None)
