"""Rank items for users in blocks over Dask: for a score, and as the top N of every user, published in part files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from threading import Lock
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from distributed import get_worker, worker_client
from loguru import logger
from numpy.typing import NDArray
from prefect import task

from evaluation.external_lists import Lists
from models.base import FittedModel
from models.registry import Kind
from schema.histories import Histories
from storage import artifacts, layout
from storage.canonical import artifact_id
from storage.code_version import code_version
from storage.manifest import FileEntry, Manifest
from storage.parquet import write_parquet
from tasks.execution import COMPUTE_RETRIES
from tasks.fit import candidate_of, load_model
from tasks.options import PlaceOptions, RecommendOptions
from tasks.store import find_again, find_published, read_parts, read_table, scratch_folder

HISTORY_COLUMNS = ["user_idx", "item_idx", "rating", "timestamp"]
WORTH_SENDING = 1024
READING = Lock()
AGAIN = "Run the same command again."

Source = TypeVar("Source")


@dataclass(frozen=True)
class ListsPart:
    """The lists of one block of users.

    Attributes:
        files: The part file, in the store.
        n_users: Users who got at least one item.
        n_rows: Items that they got between them.
    """

    files: tuple[FileEntry, ...]
    n_users: int
    n_rows: int


def recommendations_id(model: Manifest, options: RecommendOptions) -> str:
    """Return the id of the recommendations that a model gives under these options."""
    parameters = options.model_dump(mode="json")
    return artifact_id(layout.RECOMMENDATIONS, {"model": model.id}, parameters, _code_of(model))


def _code_of(model: Manifest) -> str:
    return code_version(recommend_block, type(candidate_of(model).kind))


@task(name="find recommendations", task_run_name="find recommendations of model {model.id}")
def find_recommendations(places: PlaceOptions, model: Manifest, options: RecommendOptions) -> Manifest | None:
    """Return the recommendations if they are published already."""
    return find_published(places.open_store(), layout.RECOMMENDATIONS, recommendations_id(model, options))


@task(name="recommend", task_run_name="recommend to users from {first_user}", **COMPUTE_RETRIES)
def recommend_block(
    places: PlaceOptions, model: Manifest, dataset: Manifest, options: RecommendOptions, first_user: int
) -> ListsPart:
    """Store the part file of one block of users.

    Columns: user_idx, user_id, rank (from 1), item_idx, item_id, score; by user and rank. Items that a user has
    are left out; a user who has all but a few gets those few.
    """
    kind, ranking = candidate_of(model).kind, load_model(places, model)
    histories = histories_of(read_table(places, dataset, layout.INTERACTIONS, HISTORY_COLUMNS), ranking.n_users)
    users = np.arange(first_user, min(first_user + options.recommend_block_users, ranking.n_users))
    rows = recommended_rows(kind, ranking, users, histories.take(users), options.top_n)
    with scratch_folder(places, layout.RECOMMENDATIONS) as folder:
        lists = folder / layout.LISTS
        lists.mkdir()
        name = f"part-{first_user // options.recommend_block_users:05d}.parquet"
        user_ids, item_ids = (read_table(places, dataset, name) for name in (layout.USER_MAP, layout.ITEM_MAP))
        table = rows.add_column(1, "user_id", user_ids["user_id"].take(rows["user_idx"]))
        table = table.add_column(4, "item_id", item_ids["item_id"].take(rows["item_idx"]))
        write_parquet([table], lists / name, table.schema)
        identity = recommendations_id(model, options)
        files = artifacts.add_files(places.open_store(), layout.RECOMMENDATIONS, identity, folder)
    return ListsPart(files, len(pc.unique(rows["user_idx"])), rows.num_rows)


@task(name="publish recommendations", task_run_name="publish recommendations of model {model.id}", **COMPUTE_RETRIES)
def publish_recommendations(
    places: PlaceOptions, model: Manifest, options: RecommendOptions, parts: Iterable[ListsPart]
) -> Manifest:
    """Make the parts visible as one artifact; its counts are of what was written."""
    parts = tuple(parts)
    n_users = sum(part.n_users for part in parts)
    published = artifacts.seal(
        places.open_store(),
        layout.RECOMMENDATIONS,
        recommendations_id(model, options),
        inputs={"model": model.id},
        parameters=options.model_dump(mode="json"),
        code_version=_code_of(model),
        files=tuple(file for part in parts for file in part.files),
        counts={
            "n_users": n_users,
            "n_users_without_list": model.count("n_users") - n_users,
            "n_rows": sum(part.n_rows for part in parts),
            "top_n": options.top_n,
            "n_parts": len(parts),
        },
    )
    logger.info("recommendations/{} published: lists of {:,} users", published.id, n_users)
    return published


def histories_of(rows: pa.Table, n_users: int) -> Histories:
    """Return the histories of users from interactions: the columns of HISTORY_COLUMNS."""
    user_idx, item_idx, rating = (np.asarray(rows[name]) for name in HISTORY_COLUMNS[:3])
    return Histories.from_columns(user_idx, item_idx, rating, np.asarray(rows["timestamp"].fill_null(-1)), n_users)


def recommended_rows(
    kind: Kind, ranking: FittedModel, users: NDArray[np.int64], histories: Histories, n: int
) -> pa.Table:
    """Return user_idx, rank, item_idx and score of the unseen top n of some users."""
    items, scores = kind.rank_unseen(ranking, users, histories, n)
    is_item = items >= 0
    ranks = np.broadcast_to(np.arange(1, n + 1, dtype=np.int32), items.shape)
    return pa.table(
        {
            "user_idx": np.repeat(users.astype(np.int32), is_item.sum(axis=1)),
            "rank": ranks[is_item],
            "item_idx": items[is_item],
            "score": scores[is_item],
        }
    )


def have_same_lists(
    places: PlaceOptions, served: Sequence[tuple[Manifest, Manifest]], n: int, block_users: int
) -> bool:
    """Tell whether published models, each given with its dataset, give every user the same n items in the same order.

    Users are ranked in blocks, as far as the first block that differs.
    """
    users = [read_table(places, dataset, layout.USER_MAP) for _, dataset in served]
    if not all(one.equals(users[0]) for one in users):
        return False
    lists = (_lists(places, model, dataset, n, block_users) for model, dataset in served)
    return all(one.equals(blocks[0]) for blocks in zip(*lists, strict=True) for one in blocks)


def _lists(places: PlaceOptions, model: Manifest, dataset: Manifest, n: int, block_users: int) -> Iterator[pa.Table]:
    """Yield user_idx and item_id of the unseen top n, best first, of one block of users after the other."""
    kind, ranking = candidate_of(model).kind, load_model(places, model)
    histories = histories_of(read_table(places, dataset, layout.INTERACTIONS, HISTORY_COLUMNS), ranking.n_users)
    item_ids = read_table(places, dataset, layout.ITEM_MAP)["item_id"]
    for users in cut(np.arange(ranking.n_users), block_users):
        rows = recommended_rows(kind, ranking, users, histories.take(users), n)
        yield pa.table({"user_idx": rows["user_idx"], "item_id": item_ids.take(rows["item_idx"])})


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
    is_worth_sending = len(users) > min(block_users, WORTH_SENDING)
    lists = spread(_rank_block, source, partial(cut, users, block_users), k, is_worth_sending=is_worth_sending)
    return np.concatenate(lists) if lists else np.empty((0, k), dtype=np.int32)


def spread(
    rank: Callable[[Source, NDArray[np.int64], int], Lists],
    source: Source,
    blocks_for: Callable[[int], Sequence[NDArray[np.int64]]],
    k: int,
    *,
    is_worth_sending: bool,
) -> Sequence[Lists]:
    """Return the lists of blocks, ranked on the workers of the cluster, or here outside of a task of it.

    Args:
        rank: Returns the lists of length k of a block, from the source.
        source: What is ranked from; it is sent to each worker once.
        blocks_for: Returns the blocks for so many threads.
        k: Length of each list.
        is_worth_sending: False to rank here in any case.
    """
    if not (is_worth_sending and _is_on_a_worker()):
        return [rank(source, block, k) for block in blocks_for(1)]
    with worker_client() as client:
        blocks, sent = blocks_for(sum(client.nthreads().values())), client.scatter(source, broadcast=True, hash=False)
        lists: Sequence[Lists] = client.gather(client.map(rank, [sent] * len(blocks), blocks, k=k, pure=False))
    return lists


@dataclass(frozen=True)
class _Source:
    """Where a worker finds the model, and the items that users have seen."""

    places: PlaceOptions
    split_id: str
    kind: str
    model_id: str
    seen_parts: tuple[str, ...]


def cut(users: NDArray[np.int64], block_users: int, n_threads: int = 1) -> list[NDArray[np.int64]]:
    """Return blocks of nearly equal size, as many for one thread as for another, so that none waits for the last.

    Example:
        >>> [len(block) for block in cut(np.arange(10), block_users=4, n_threads=2)]
        [3, 3, 2, 2]
    """
    n_rounds = -(-len(users) // (block_users * n_threads))
    return np.array_split(users, min(n_rounds * n_threads, len(users))) if len(users) else []


def _rank_block(source: _Source, users: NDArray[np.int64], k: int) -> Lists:
    with READING:  # of the threads of a worker that want the same model, one reads it
        kind, model, histories = _read(source)
    return kind.rank_unseen(model, users, histories.take(users), k)[0]


@lru_cache(maxsize=2)
def _read(source: _Source) -> tuple[Kind, FittedModel, Histories]:
    """Return a model with its kind, and what users have, once for all blocks that a worker gets."""
    model = find_again(source.places.open_store(), source.kind, source.model_id, AGAIN)
    histories = _read_histories(source.places, source.split_id, source.seen_parts)
    return candidate_of(model).kind, load_model(source.places, model), histories


@lru_cache(maxsize=2)
def _read_histories(places: PlaceOptions, split_id: str, seen_parts: tuple[str, ...]) -> Histories:
    """Return what users have, once for all models that are compared."""
    split = find_again(places.open_store(), layout.SPLITS, split_id, AGAIN)
    return histories_of(read_parts(places, split, seen_parts, HISTORY_COLUMNS), split.count("n_users"))


def _is_on_a_worker() -> bool:
    try:
        get_worker()
    except ValueError:
        return False
    return True
