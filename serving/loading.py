"""Load a published model and its bundle to be served: every byte verified, arrays memory-mapped, sizes compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.base import Explainer, FittedModel, HistoryRanker
from models.registry import NAME_ONLY, Candidate, Kind
from schema.bundle import Bundle
from schema.errors import CorruptObject, InvalidInput, ObjectNotFound, RecommenderError
from schema.histories import Histories
from storage import artifacts, layout
from storage.inventory import newest_bundle
from storage.manifest import Manifest
from storage.protocol import Store

WARM_USERS, WARM_ITEMS = 8, 10


@dataclass(frozen=True, eq=False)
class Served:
    """A model that is served, with all that is served beside it: one snapshot, which never changes.

    Attributes:
        model_id: Id of the published model.
        bundle_id: Id of its bundle.
        kind: What its kind says of itself.
        model: The model, memory-mapped.
        bundle: Ids, histories, products and lists, memory-mapped.
    """

    model_id: str
    bundle_id: str
    kind: Kind
    model: FittedModel
    bundle: Bundle

    def histories_of(self, users: slice) -> Histories:
        """Return what is known of users that stand one after the other."""
        start, stop, _ = users.indices(self.bundle.n_users)
        indptr, items = self.bundle.histories
        own = slice(int(indptr[start]), int(indptr[stop]))
        table = type(self.bundle.histories)(indptr[start : stop + 1] - own.start, items[own])
        return Histories(table, self.bundle.rating[own], self.bundle.timestamp[own])


def load(store: Store, model_id: str, cache: Path) -> Served:
    """Return a published model with its newest bundle, ready to answer.

    Args:
        store: Where both are.
        model_id: Id of the model.
        cache: Folder for copies of what is not in local files, which processes may share.

    Raises:
        InvalidInput: If there is no such model, it has no bundle, or its kind is not known here.
        CorruptObject: If either is not what its manifest says, or they do not fit one another.
        OutOfSpace: If the cache's disk is full.
    """
    bundle_id = newest_bundle(store, model_id)
    model, packed = artifacts.find(store, layout.MODELS, model_id), None
    if bundle_id:
        packed = artifacts.find(store, layout.BUNDLES, bundle_id)
    if model is None:
        raise InvalidInput(f"{store.uri} has no model {model_id!r}. Name one that it has, or train one.")
    if packed is None:
        raise InvalidInput(
            f"{model.name} has no bundle, which is what is served beside it. Make one with 'python flows/recommend.py "
            f"--model {model_id}'."
        )
    bundle = _load_bundle(store, packed, model, cache)
    candidate = Candidate(model=bundle.about["model"], parameters=bundle.about["parameters"])
    if candidate.kind is NAME_ONLY:
        raise InvalidInput(
            f"{model.name} is of the kind {candidate.model[:80]!r}, which this version of the program does not know. "
            "Serve it with the version that made it."
        )
    folder = _verified(store, model, candidate.kind.folder, cache)
    with _refused(model.name):
        fitted = candidate.kind.load(folder, candidate.parameters)
        _check_sizes(fitted, bundle)
    served = Served(model_id, packed.id, candidate.kind, fitted, bundle)
    with _refused(model.name):
        warm_up(served)
    return served


def warm_up(served: Served) -> None:
    """Ask a model for a few lists, so that no request is the first, and see that the answers are items with scores.

    Raises:
        ValueError: If they are not.
    """
    model, bundle = served.model, served.bundle
    users = np.arange(min(WARM_USERS, bundle.n_users))
    histories = served.histories_of(slice(len(users)))
    ranked = [model.rank(users, histories.items, WARM_ITEMS)]
    if isinstance(model, HistoryRanker):
        ranked.append(model.rank_histories(histories, histories.items, WARM_ITEMS))
    for items, scores in ranked:
        is_item = items >= 0
        if items.shape != (len(users), WARM_ITEMS) or items.max(initial=-1) >= bundle.n_items:
            raise ValueError(f"it ranks items of shape {items.shape}, up to {items.max(initial=-1)}; expected its own.")
        if not np.isfinite(scores[is_item]).all():
            raise ValueError("it gives items scores that are NaN or infinite; expected numbers.")
    if isinstance(model, Explainer) and len(users):
        model.explain(served.histories_of(slice(1)), np.arange(min(WARM_ITEMS, bundle.n_items)))


def _load_bundle(store: Store, packed: Manifest, model: Manifest, cache: Path) -> Bundle:
    folder = _verified(store, packed, layout.SERVED, cache)
    with _refused(packed.name):
        bundle = Bundle.load(folder)
        said = {"model_id": bundle.about["model_id"], "model": bundle.about["model"]}
        expected = {"model_id": model.id, "model": model.parameters.get("model")}
        if said != expected or packed.inputs.get("model") != model.id:
            raise ValueError(f"it says that it is for {said}; expected {expected}. Make it again.")
    return bundle


def _verified(store: Store, manifest: Manifest, name: str, cache: Path) -> Path:
    """Return a local folder that holds what a manifest says, the files of a local store looked at too."""
    try:
        folder = artifacts.checkout(store, manifest, name, cache)
    except ObjectNotFound as error:
        raise CorruptObject(f"{manifest.name} cannot be loaded: {error}") from error
    if not folder.is_relative_to(cache):
        for path in folder.rglob("*"):
            if path.is_file():
                artifacts.check_digest(str(path), path, artifacts.entry(manifest, f"{name}/{path.relative_to(folder)}"))
    return folder


def _check_sizes(model: FittedModel, bundle: Bundle) -> None:
    found, expected = (model.n_users, model.n_items), (bundle.n_users, bundle.n_items)
    if found != expected:
        raise ValueError(f"it is for {found} users and items; its bundle has {expected}. Make the bundle again.")


@contextmanager
def _refused(name: str) -> Iterator[None]:
    """Turn whatever goes wrong with files that anybody may have made into a refusal of what they are."""
    try:
        yield
    except RecommenderError:
        raise
    except Exception as error:  # made to deceive, a file may raise anything
        raise CorruptObject(f"{name} cannot be served: {type(error).__name__}: {error}") from error
