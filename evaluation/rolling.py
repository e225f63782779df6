"""Hold out the events of a stretch of time, each to be predicted from what was known before its day (UTC).

Every event is one prediction among all items that its user did not have before that day; the figures are means over
events, and the intervals are over users, whose events stay together. Events of one day are predicted by the same list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.assess import HeldOut, first_timestamps, items_by_user, sample_users
from evaluation.assignment import SECONDS_PER_DAY
from evaluation.ranking import Scores, evaluate_lists, rank_held_out
from evaluation.significance import linearise
from schema.arrays import Indices, places_within
from schema.histories import Histories
from schema.items_by_user import ItemsByUser, pair_keys


@dataclass(frozen=True, eq=False)
class Events(HeldOut):
    """The events of a part of a rolling split, numbered by time; users and cold are numbers of events.

    Attributes:
        rows: What is ever known, by time: the columns of the interactions, those of the part included.
        user: User of each event, shape (n_events).
        query: Day and user of each event: a row of the three that follow, which are by day and user.
        query_user: Shape (n_queries).
        query_day: Days since 1970, shape (n_queries).
        histories: Items that the user of each query had before its day.
        history_rows: Row of ``rows`` that each of ``histories.items`` is from.
    """

    rows: pa.Table
    user: NDArray[np.int64]
    query: NDArray[np.int64]
    query_user: NDArray[np.int64]
    query_day: NDArray[np.int64]
    histories: ItemsByUser
    history_rows: NDArray[np.int64]

    @property
    def counts(self) -> dict[str, int]:
        """Users and events to evaluate, and users and events without history; a user with both is no cold one."""
        cold_users = np.setdiff1d(self.user[self.cold], self.user[self.query_has_history[self.query]])
        return {
            "n_users": len(np.unique(self.user[self.users])),
            "n_warm_users": self.n_warm,
            "n_cold_users": len(cold_users),
            "n_events": len(self.users),
            "n_cold_events": len(self.cold),
        }

    @cached_property
    def known(self) -> Histories:
        """What the user of each query had before its day."""
        rows = self.rows.select(["rating", "timestamp"]).take(self.history_rows)
        rating, timestamp = np.asarray(rows["rating"], dtype=np.float32), np.asarray(rows["timestamp"], dtype=np.int64)
        return Histories(self.histories, rating, timestamp)

    @property
    def query_has_history(self) -> NDArray[np.bool_]:
        """Whether the user of each query had anything before its day."""
        return self.histories.counts > 0

    @property
    def one_list_each(self) -> NDArray[np.int64]:
        """Places of the last list of each user."""
        _, from_end = np.unique(self.user[self.users][::-1], return_index=True)
        return np.asarray(len(self.users) - 1 - from_end)

    @property
    def history_lengths(self) -> NDArray[np.int64]:
        """Items that are left out of each list because its user had them before the day."""
        return self.histories.counts[self.query[self.users]]

    @property
    def first_timestamps(self) -> NDArray[np.int64] | None:
        """Unix seconds of the first row of each list's user before the part."""
        return None if self.first_timestamp is None else self.first_timestamp[self.user[self.users]]

    def evaluate(self, items: NDArray[np.int32], ks: Sequence[int], users: NDArray[np.int64] | None = None) -> Scores:
        """Return the metrics of a list for each event to evaluate, or for those given."""
        events = self.users if users is None else users
        return evaluate_lists(items, events, self.histories, self.relevant, ks, self.query[events])

    def owners_of(self, users: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the users of some events."""
        return self.user[users]

    def rank_by_oracle(self, k: int) -> NDArray[np.int32]:
        """Return the lists of an oracle that knows the events of each day: one list for all that a user does then."""
        of_day = ItemsByUser.from_pairs(self.query, self.relevant.items, len(self.query_user))
        return rank_held_out(of_day, self.query[self.users], k)

    def by_user(self, scores: Scores) -> tuple[pa.Table, Scores]:
        """Return the users with their number of events, and one value of each by metric: `linearise`."""
        owner = self.user[self.users]
        users, n_events = np.unique(owner, return_counts=True)
        table = pa.table({"user_idx": users.astype(np.int32), "n_events": n_events.astype(np.int64)})
        return table, {metric: linearise(values, owner) for metric, values in scores.items()}


def hold_out_events(
    learnt: pa.Table, held_out: pa.Table, n_users: int, n_items: int, most_users: int | None = None
) -> Events:
    """Return the events of a part, with what was known before the day of each.

    Args:
        learnt: Rows of days before the part: user_idx, item_idx, rating and timestamp, none null.
        held_out: Rows of the part, with the same columns.
        n_users: Users of the dataset.
        n_items: Items of the dataset.
        most_users: Evaluate a seeded sample of so many users where more have an event with a history.
    """
    rows = pa.concat_tables([learnt, held_out])
    keys = [(name, "ascending") for name in ("timestamp", "user_idx", "item_idx")]
    rows = rows.sort_by(keys)
    user, item = (np.asarray(rows[name], dtype=np.int64) for name in ("user_idx", "item_idx"))
    day = np.asarray(rows["timestamp"], dtype=np.int64) // SECONDS_PER_DAY
    first_day = int(day.min())
    day -= first_day
    is_event = np.arange(len(day)) >= learnt.num_rows
    query_keys, query = np.unique(pair_keys(day[is_event], user[is_event]), return_inverse=True)
    query_day, query_user = query_keys >> 32, query_keys & 0xFFFFFFFF
    histories, history_rows = _known_before(user, item, day, query_user, query_day)
    is_warm = (histories.counts > 0)[query]
    warm, cold = np.flatnonzero(is_warm), np.flatnonzero(~is_warm)
    warm_users = np.unique(user[is_event][warm])
    kept = np.isin(user[is_event][warm], sample_users(warm_users, most_users))
    each = np.arange(len(query) + 1)
    return Events(
        seen=items_by_user(learnt, n_users),
        relevant=ItemsByUser(each, item[is_event].astype(np.int32)),
        users=warm[kept],
        cold=cold,
        n_items=n_items,
        first_timestamp=first_timestamps(learnt, n_users),
        n_warm=len(warm_users),
        rows=rows,
        user=user[is_event],
        query=query,
        query_user=query_user,
        query_day=query_day + first_day,
        histories=histories,
        history_rows=history_rows,
    )


def refit_days(timestamp: Indices, n: int | None) -> NDArray[np.int64]:
    """Return the days, since 1970, from which n models serve in turn, at equal distances in days that have events.

    Args:
        timestamp: Unix seconds of the events.
        n: At least 1; None, or as many as there are days, for a model of each day.

    Example:
        >>> refit_days(np.array([5, 1, 3, 4, 4]) * 86_400, n=2).tolist()
        [1, 4]
    """
    days = np.unique(timestamp // SECONDS_PER_DAY)
    n = len(days) if n is None else min(n, len(days))
    return np.asarray(days[np.arange(n) * len(days) // n])


def _known_before(
    user: Indices, item: Indices, day: Indices, query_user: Indices, query_day: Indices
) -> tuple[ItemsByUser, NDArray[np.int64]]:
    """Return the items that the user of each query has in rows of earlier days, counted from 0, and these rows."""
    by_user = np.lexsort((day, user))
    keys = pair_keys(user[by_user], day[by_user])
    start, stop = (
        np.searchsorted(keys, pair_keys(query_user, until)) for until in (np.zeros_like(query_day), query_day)
    )
    query, known = np.repeat(np.arange(len(start)), stop - start), np.repeat(start, stop - start)
    rows = by_user[known + places_within(stop - start)]
    order = np.lexsort((item[rows], query))
    return ItemsByUser.from_pairs(query, item[rows], len(query_user)), rows[order]
