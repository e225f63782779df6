"""Look up one user or one item: its history, and who has most in common with it."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from reviews.distributions import bar_ratings
from reviews.indexed import NO_TIME, IndexedReviews
from schema.arrays import Indices
from schema.distributions import Side
from schema.errors import InvalidInput
from schema.look_up import Event, LookUp, Neighbour

MOST_EVENTS = 1000
N_NEIGHBOURS = 10
N_NEAR = 5


def look_up_user(reviews: IndexedReviews, user_id: str, most_events: int = MOST_EVENTS) -> LookUp:
    """Return a user's history, and the users that have most items in common with them.

    Raises:
        InvalidInput: If there is no such user; the message has ids that are like it.
    """
    return _look_up(reviews, "users", user_id, most_events)


def look_up_item(reviews: IndexedReviews, item_id: str, most_events: int = MOST_EVENTS) -> LookUp:
    """Return an item's history, and the items that have most users in common with it.

    Raises:
        InvalidInput: If there is no such item; the message has ids that are like it.
    """
    return _look_up(reviews, "items", item_id, most_events)


def _look_up(reviews: IndexedReviews, side: Side, name: str, most_events: int) -> LookUp:
    ids, others = (reviews.user_ids, reviews.item_ids)[:: 1 if side == "users" else -1]
    at = pc.index(ids, pa.scalar(name, ids.type)).as_py()
    if at < 0:
        raise InvalidInput(_say_missing(side, name, ids))
    rows = reviews.take(_sides(reviews, side)[0] == at)
    own, theirs = _sides(reviews.interactions, side)
    counts = np.bincount(own, minlength=len(ids))
    rated, timed = rows.with_ratings(), rows.with_times()
    by_count, by_cosine = _find_neighbours(own, theirs, counts, at, ids)
    return LookUp(
        side=side,
        id=name,
        n_rows=len(rows),
        n_interactions=int(counts[at]),
        place=int((counts > counts[at]).sum()) + 1,
        mean_rating=None if rated is None else float(np.asarray(rated.ratings).mean(dtype=np.float64)),
        first=None if timed is None else int(np.asarray(timed.timestamps).min()),
        last=None if timed is None else int(np.asarray(timed.timestamps).max()),
        bars=() if rated is None else bar_ratings(np.asarray(rated.ratings)),
        history=_tell(rows, _sides(rows, side)[1], others, most_events),
        by_count=by_count,
        by_cosine=by_cosine,
    )


def _sides(reviews: IndexedReviews, side: Side) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the indices of what was looked up, and those of the other side."""
    both = reviews.user_idx, reviews.item_idx
    return both if side == "users" else (both[1], both[0])


def _tell(rows: IndexedReviews, other_idx: Indices, ids: pa.Array, most: int) -> tuple[Event, ...]:
    """Return the newest rows, the newest first, of one time the last in the file; those without a time come last."""
    times = np.full(len(rows), NO_TIME) if rows.timestamps is None else rows.timestamps
    ratings = np.full(len(rows), np.nan) if rows.ratings is None else rows.ratings
    newest = np.argsort(times, kind="stable")[::-1][:most]
    columns = ids.take(pa.array(other_idx[newest])).to_pylist(), ratings[newest].tolist(), times[newest].tolist()
    return tuple(
        Event(other, None if np.isnan(rating) else rating, None if time == NO_TIME else time)
        for other, rating, time in zip(*columns, strict=True)
    )


def _find_neighbours(
    own: Indices, theirs: Indices, counts: Indices, at: int, ids: pa.Array
) -> tuple[tuple[Neighbour, ...], tuple[Neighbour, ...]]:
    """Return who has most in common, by count and by cosine (Salton and McGill, Introduction to Modern IR, 1983)."""
    is_mine = np.zeros(int(theirs.max()) + 1, dtype=bool)
    is_mine[theirs[own == at]] = True
    n_common = np.bincount(own[is_mine[theirs]], minlength=len(counts))
    n_common[at] = 0
    found = np.flatnonzero(n_common)
    n = n_common[found]
    cosine = n / np.sqrt(counts[at] * counts[found].astype(np.float64))
    orders = np.lexsort((found, -cosine, -n)), np.lexsort((found, -n, -cosine))
    by_count, by_cosine = (
        tuple(
            Neighbour(ids[place].as_py(), n_both, share)
            for place, n_both, share in zip(
                *(values[order[:N_NEIGHBOURS]].tolist() for values in (found, n, cosine)), strict=True
            )
        )
        for order in orders
    )
    return by_count, by_cosine


def _say_missing(side: Side, name: str, ids: pa.Array) -> str:
    near = ", ".join(map(repr, find_near(name, ids)))
    noun = side.removesuffix("s")
    return (
        f"no {noun} has the id {name!r}; there are {len(ids)} {side}{f', such as {near}' if near else ''}. "
        f"Give the id of one of them, as it stands in the file."
    )


def find_near(name: str, ids: pa.Array) -> list[str]:
    """Return up to five ids that are a name but for case and blanks, or else begin with as much of it as any do.

    Example:
        >>> find_near("b0 0a", pa.array(["A1", "B00A", "B00B"])), find_near("A12", pa.array(["A1", "A3", "B1"]))
        (['B00A'], ['A1'])
    """
    plain = pc.utf8_lower(pc.replace_substring_regex(ids, r"\s", ""))
    alike = ids.filter(pc.equal(plain, "".join(name.lower().split())))
    beginnings = (name[:length] for length in range(len(name), 0, -1))
    found = (ids.filter(pc.starts_with(ids, beginning)) for beginning in beginnings)
    near = alike if len(alike) else next((one for one in found if len(one)), ids[:0])
    return [str(one) for one in near[:N_NEAR].to_pylist()]
