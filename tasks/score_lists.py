"""How good lists are that no candidate of this run made: recommendations from elsewhere, or a published model's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from loguru import logger
from numpy.typing import NDArray
from prefect import task

import tasks.outside
from evaluation.assess import HeldOut
from evaluation.evaluate import DEFAULT_KS
from evaluation.ranking import contains_pairs
from models.registry import Candidate
from schema.errors import InvalidInput
from schema.items_by_user import pair_keys
from storage import layout
from storage.identity import code_version
from storage.manifest import Manifest
from tasks.choose import Scored
from tasks.execution import COMPUTE_RETRIES
from tasks.measured import Measured, held_out_of
from tasks.options import EvaluationOptions, PlaceOptions
from tasks.outside import find_indices, read_ids
from tasks.rank import Lists, rank_published
from tasks.raw import raw_file
from tasks.score import CODE
from tasks.store import LEARNT, publish_once, read_parts

LISTS_CODE = CODE + code_version(tasks.outside)
PART = "test"


@task(name="score lists", task_run_name="score {candidate.label} on test", **COMPUTE_RETRIES)
def score_lists(
    places: PlaceOptions,
    split: Manifest,
    dataset: Manifest,
    lists: Manifest,
    candidate: Candidate,
    options: EvaluationOptions,
) -> Scored:
    """Publish the metrics of recommendations that were made elsewhere, on the test part of a split.

    Users of the test part without a list count with an empty one. Items that the dataset does not know, and items
    that the user has in train or validation, are taken out of the lists; the manifest counts them.

    Args:
        places: The store.
        split: What is held out.
        dataset: Whose ids the lists name.
        lists: The raw file: user_id, item_id, and rank or score unless the rows are in order.
        candidate: What the lists are called.
        options: Who is evaluated.

    Raises:
        InvalidInput: If the file cannot be read, repeats an item in a list, or knows none of the users.
    """

    def build(folder: Path) -> dict[str, Any]:
        held_out = held_out_of(places, split, LEARNT, read_parts(places, split, (PART,)), options, PART)
        ids = read_ids(raw_file(places, lists))
        user_idx, item_idx = find_indices(places, dataset, ids)
        ranked, counts = arrange(ids, user_idx, item_idx, held_out)
        measured = Measured(folder, candidate, PART)
        measured.take_lists(ranked, held_out)
        return counts | measured.write(held_out)

    scores = publish_once(
        places,
        layout.SCORES,
        inputs={"split": split.id, "lists": lists.id},
        parameters={
            "model": candidate.model,
            "part": PART,
            "ks": list(DEFAULT_KS),
            "evaluate_users": options.evaluate_users,
        },
        code=LISTS_CODE,
        build=build,
    )
    return Scored(candidate, lists, scores)


def arrange(
    ids: pa.Table, user_idx: NDArray[np.int64], item_idx: NDArray[np.int64], held_out: HeldOut
) -> tuple[Lists, dict[str, int]]:
    """Return the list of each evaluated user, and what was taken out.

    Args:
        ids: The rows as they were read, with rank or score unless they are in order.
        user_idx: User of each row, -1 where unknown.
        item_idx: Item of each row, -1 where unknown.
        held_out: Who is evaluated, and what they have seen.

    Raises:
        InvalidInput: If a list repeats an item, or no evaluated user has a list.
    """
    row_of = np.full(len(held_out.seen.indptr) - 1, -1)
    row_of[held_out.users] = np.arange(len(held_out.users))
    row = np.where(user_idx >= 0, row_of[user_idx], -1)
    order = _in_order(ids, row)
    order = order[row[order] >= 0]
    if not len(order):
        raise InvalidInput(
            f"none of the {len(np.unique(np.asarray(ids['user_id'])))} users of the lists is among the "
            f"{len(held_out.users)} that are evaluated; expected lists of the users of the test part. Check that the "
            "ids are those of the reviews."
        )
    is_unknown = item_idx[order] < 0
    order = order[~is_unknown]
    _refuse_repeats(row[order], item_idx[order], ids.take(order))
    is_seen = contains_pairs(held_out.seen.take(held_out.users), _matrix(row[order], item_idx[order], held_out, None))
    place = _places(row[order])
    seen_rows = is_seen[row[order], place]
    kept = order[~seen_rows]
    without = len(held_out.users) - len(np.unique(row[kept]))
    counts = {"n_unknown_items": int(is_unknown.sum()), "n_seen": int(seen_rows.sum()), "n_users_without_list": without}
    logger.info("Lists: {}", ", ".join(f"{name} {value:,}" for name, value in counts.items()))
    return _matrix(row[kept], item_idx[kept], held_out, max(DEFAULT_KS)), counts


def _in_order(ids: pa.Table, row: NDArray[np.int64]) -> NDArray[np.int64]:
    position = np.arange(len(row))
    if "rank" in ids.column_names:
        return np.lexsort((position, ids["rank"].to_numpy(), row))
    if "score" in ids.column_names:
        return np.lexsort((position, -ids["score"].to_numpy(), row))
    return np.argsort(row, kind="stable")


def _places(row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place, from 0, of each entry in its list; entries of one list stand together."""
    _, first, count = np.unique(row, return_index=True, return_counts=True)
    return np.arange(len(row)) - np.repeat(first, count)


def _matrix(row: NDArray[np.int64], item_idx: NDArray[np.int64], held_out: HeldOut, width: int | None) -> Lists:
    place = _places(row)
    wide = int(place.max(initial=0)) + 1 if width is None else width
    lists = np.full((len(held_out.users), wide), -1, dtype=np.int32)
    lists[row[place < wide], place[place < wide]] = item_idx[place < wide]
    return lists


def _refuse_repeats(row: NDArray[np.int64], item_idx: NDArray[np.int64], ids: pa.Table) -> None:
    _, first = np.unique(pair_keys(row, item_idx), return_index=True)
    if len(first) < len(row):
        repeated = np.setdiff1d(np.arange(len(row)), first)[0]
        raise InvalidInput(
            f"the list of user {ids['user_id'][int(repeated)].as_py()!r} has item "
            f"{ids['item_id'][int(repeated)].as_py()!r} more than once; expected each item once. A repeat would count "
            "as a second hit: take repeats out of the lists."
        )


@task(name="score published model", task_run_name="score {model.id} as it is on test", **COMPUTE_RETRIES)
def score_as_is(
    places: PlaceOptions, split: Manifest, model: Manifest, candidate: Candidate, options: EvaluationOptions
) -> Scored:
    """Publish the metrics of a published model as it stands, whatever it learnt from, on the test part of a split.

    Raises:
        InvalidInput: If no user of the test part has rows in train or validation.
    """

    def build(folder: Path) -> dict[str, Any]:
        held_rows = read_parts(places, split, (PART,))
        held_out = held_out_of(places, split, LEARNT, held_rows, options, PART)
        measured = Measured(folder, candidate, PART)
        ranked = rank_published(places, split, model, held_out.users, max(DEFAULT_KS), options.evaluate_block_users)
        measured.take_lists(ranked, held_out)
        if split.counts["has_ratings"]:
            measured.rate(places, model, held_rows, held_out)
        return measured.write(held_out)

    scores = publish_once(
        places,
        layout.SCORES,
        inputs={"split": split.id, "model": model.id},
        parameters={"part": PART, "ks": list(DEFAULT_KS), "evaluate_users": options.evaluate_users},
        code=CODE,
        build=build,
    )
    return Scored(candidate, model, scores)
