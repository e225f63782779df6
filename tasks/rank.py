"""The lists of many users, ranked in blocks side by side: on every worker of the cluster that the task runs on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from threading import Lock

import numpy as np
from distributed import get_worker, worker_client
from numpy.typing import NDArray

from evaluation.assess import items_by_user
from evaluation.external_lists import Lists
from models.base import FittedModel
from models.registry import Candidate
from schema.errors import ObjectNotFound
from schema.items_by_user import ItemsByUser
from storage import artifacts, layout
from storage.manifest import Manifest
from tasks.options import PlaceOptions
from tasks.store import local_file, read_parts

WORTH_SENDING = 1024
READING = Lock()
NOT_OF_THE_CANDIDATE = frozenset(
    {"model", "parts", "keep_spark_model", "select_by", "validation_scores", "test_scores", "curve_scores"}
)


def candidate_of(model: Manifest) -> Candidate:
    """Return the candidate that a fitted or published model is a fit of."""
    parameters = {name: value for name, value in model.parameters.items() if name not in NOT_OF_THE_CANDIDATE}
    return Candidate(model=str(model.parameters["model"]), parameters=parameters)


def load_model(places: PlaceOptions, model: Manifest) -> FittedModel:
    """Return a fitted or published model, memory-mapped."""
    kind = candidate_of(model).kind
    return kind.load(local_file(places, model, kind.folder))


def rank_users(
    places: PlaceOptions,
    split: Manifest,
    model: Manifest,
    seen_parts: tuple[str, ...],
    users: NDArray[np.int64],
    k: int,
    block_users: int,
) -> Lists:
    """Return the k best unseen items of each user, ranked in blocks on the workers of the cluster.

    What workers send back are the lists alone. Each holds the model (memory-mapped), the seen items and one block of
    scores (64 MiB). Outside of a task of the cluster, and for few users, the blocks are ranked here.

    Args:
        places: The store.
        split: Where the seen items are.
        model: A fitted or published model.
        seen_parts: Parts of the split whose items users have seen.
        users: User indices, shape (n).
        k: Length of each list.
        block_users: Users of one block.

    Returns:
        Item indices, shape (n, k), best first; -1 where none is left.
    """
    source = _Source(places, split.id, model.kind, model.id, seen_parts)
    if len(users) <= min(block_users, WORTH_SENDING) or not _is_on_a_worker():
        lists: Sequence[Lists] = [_rank_block(source, k, block) for block in _blocks(users, block_users)]
    else:
        with worker_client() as client:
            blocks = _blocks(users, block_users, n_threads=sum(client.nthreads().values()))
            lists = client.gather(client.map(partial(_rank_block, source, k), blocks, pure=False))
    return np.concatenate(lists) if lists else np.empty((0, k), dtype=np.int32)


@dataclass(frozen=True)
class _Source:
    """Where a worker finds the model, and the items that users have seen."""

    places: PlaceOptions
    split_id: str
    kind: str
    model_id: str
    seen_parts: tuple[str, ...]


def _blocks(users: NDArray[np.int64], block_users: int, n_threads: int = 1) -> list[NDArray[np.int64]]:
    """Return blocks of nearly equal size, as many for one thread as for another, so that none waits for the last.

    Example:
        >>> [len(block) for block in _blocks(np.arange(10), block_users=4, n_threads=2)]
        [3, 3, 2, 2]
    """
    n_rounds = -(-len(users) // (block_users * n_threads))
    return np.array_split(users, n_rounds * n_threads) if len(users) else []


def _rank_block(source: _Source, k: int, users: NDArray[np.int64]) -> Lists:
    model, seen = _read(source)
    return model.rank(users, seen.take(users), k)[0]


def _read(source: _Source) -> tuple[FittedModel, ItemsByUser]:
    with READING:  # of the threads of a worker that want the same model, one reads it
        return _read_once(source)


@lru_cache(maxsize=2)
def _read_once(source: _Source) -> tuple[FittedModel, ItemsByUser]:
    """Return a model and the items that users have seen, once for all blocks that a worker gets."""
    split = _found(source.places, layout.SPLITS, source.split_id)
    model = _found(source.places, source.kind, source.model_id)
    rows = read_parts(source.places, split, source.seen_parts, ["user_idx", "item_idx"])
    return load_model(source.places, model), items_by_user(rows, split.count("n_users"))


def _found(places: PlaceOptions, kind: str, artifact_id: str) -> Manifest:
    found = artifacts.find(places.open_store(), kind, artifact_id)
    if found is None:
        raise ObjectNotFound(f"{places.store_uri} has no {kind}/{artifact_id} any more; run the same command again.")
    return found


def _is_on_a_worker() -> bool:
    try:
        get_worker()
    except ValueError:
        return False
    return True
