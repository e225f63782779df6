"""Recommend the top N to every user: blocks of users are ranked over Dask, each written as a part file of its own."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from loguru import logger
from prefect import task

from evaluation.assess import items_by_user
from models.base import FittedModel
from schema.items_by_user import ItemsByUser
from storage import artifacts, layout
from storage.code_version import code_version
from storage.identity import artifact_id
from storage.manifest import FileEntry, Manifest
from storage.parquet import write_parquet
from tasks.execution import COMPUTE_RETRIES
from tasks.options import PlaceOptions, RecommendOptions
from tasks.rank import candidate_of, load_model
from tasks.store import read_table, scratch_folder


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
    found = artifacts.find(places.open_store(), layout.RECOMMENDATIONS, recommendations_id(model, options))
    if found:
        logger.info("recommendations/{} is already there: nothing to do", found.id)
    return found


@task(name="recommend", task_run_name="recommend to users from {first_user}", **COMPUTE_RETRIES)
def recommend_block(
    places: PlaceOptions, model: Manifest, dataset: Manifest, options: RecommendOptions, first_user: int
) -> ListsPart:
    """Store the part file of one block of users.

    Columns: user_idx, user_id, rank (from 1), item_idx, item_id, score; by user and rank. Items that a user has
    are left out; a user who has all but a few gets those few.
    """
    ranking = load_model(places, model)
    interactions = read_table(places, dataset, layout.INTERACTIONS, ["user_idx", "item_idx"])
    users = np.arange(first_user, min(first_user + options.recommend_block_users, ranking.n_users))
    seen = items_by_user(interactions, ranking.n_users).take(users)
    rows = recommended_rows(ranking, users, seen, options.top_n)
    with scratch_folder(places, layout.RECOMMENDATIONS) as folder:
        lists = folder / layout.LISTS
        lists.mkdir()
        name = f"part-{first_user // options.recommend_block_users:05d}.parquet"
        table = _with_ids(rows, places, dataset)
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


def recommended_rows(ranking: FittedModel, users: np.ndarray, seen: ItemsByUser, n: int) -> pa.Table:
    """Return user_idx, rank, item_idx and score of the unseen top n of some users."""
    items, scores = ranking.rank(users, seen, n)
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


def _with_ids(rows: pa.Table, places: PlaceOptions, dataset: Manifest) -> pa.Table:
    user_ids = read_table(places, dataset, layout.USER_MAP)["user_id"]
    item_ids = read_table(places, dataset, layout.ITEM_MAP)["item_id"]
    return pa.table(
        {
            "user_idx": rows["user_idx"],
            "user_id": user_ids.take(rows["user_idx"]),
            "rank": rows["rank"],
            "item_idx": rows["item_idx"],
            "item_id": item_ids.take(rows["item_idx"]),
            "score": rows["score"],
        }
    )
