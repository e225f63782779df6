"""Recommendations that were made elsewhere, arranged as the lists of the users that are evaluated."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.assess import HeldOut
from evaluation.ranking import contains_pairs
from schema.arrays import places_within
from schema.errors import InvalidInput
from schema.items_by_user import pair_keys

Lists = NDArray[np.int32]


def arrange(
    ids: pa.Table, user_idx: NDArray[np.int64], item_idx: NDArray[np.int64], held_out: HeldOut, k: int
) -> tuple[Lists, dict[str, int]]:
    """Return the first k items of each evaluated user, unseen ones only, and what was taken out.

    Args:
        ids: The rows as they were read: user_id, item_id, and rank or score unless they are in order.
        user_idx: User of each row, -1 where unknown.
        item_idx: Item of each row, -1 where unknown.
        held_out: Who is evaluated, and what they have seen.
        k: Length of each list.

    Returns:
        Item indices, shape (len(held_out.users), k), -1 after the last one, and the counts n_unknown_items, n_seen and
        n_users_without_list.

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
    place = _places(row[order])
    listed = _matrix(row[order], place, item_idx[order], (len(held_out.users), int(place.max(initial=0)) + 1))
    is_seen = contains_pairs(held_out.seen.take(held_out.users), listed)[row[order], place]
    kept = order[~is_seen]
    counts = {
        "n_unknown_items": int(is_unknown.sum()),
        "n_seen": int(is_seen.sum()),
        "n_users_without_list": len(held_out.users) - len(np.unique(row[kept])),
    }
    return _matrix(row[kept], _places(row[kept]), item_idx[kept], (len(held_out.users), k)), counts


def _in_order(ids: pa.Table, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows list by list, each best first; rows of equal rank or score as they were read."""
    if "rank" in ids.column_names:
        return np.lexsort((ids["rank"].to_numpy(), row))
    if "score" in ids.column_names:
        return np.lexsort((-ids["score"].to_numpy(), row))
    return np.argsort(row, kind="stable")


def _places(row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place, from 0, of each entry in its list; entries of one list stand together."""
    return places_within(np.unique_counts(row).counts)


def _matrix(
    row: NDArray[np.int64], place: NDArray[np.int64], item_idx: NDArray[np.int64], shape: tuple[int, int]
) -> Lists:
    lists = np.full(shape, -1, dtype=np.int32)
    is_inside = place < shape[1]
    lists[row[is_inside], place[is_inside]] = item_idx[is_inside]
    return lists


def _refuse_repeats(row: NDArray[np.int64], item_idx: NDArray[np.int64], ids: pa.Table) -> None:
    _, first = np.unique(pair_keys(row, item_idx), return_index=True)
    if len(first) < len(row):
        repeated = int(np.setdiff1d(np.arange(len(row)), first)[0])
        raise InvalidInput(
            f"the list of user {ids['user_id'][repeated].as_py()!r} has item {ids['item_id'][repeated].as_py()!r} more "
            "than once; expected each item once. A repeat would count as a second hit: take repeats out of the lists."
        )
