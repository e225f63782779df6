"""Full-catalogue evaluation of anything that recommends: all items are ranked, seen ones left out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.ranking import Scores, contains_pairs, evaluate_ranking
from evaluation.significance import mean_interval
from schema.items_by_user import ItemsByUser
from schema.metric import Metric, MetricRow

DEFAULT_KS = (5, 10, 20)
BLOCK_USERS = 8192


@dataclass(frozen=True)
class UsersToEvaluate:
    """Users with something held out: those with training rows, and those without (cold)."""

    warm: NDArray[np.int64]
    cold: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RankingScores:
    """The metrics of each evaluated user.

    Attributes:
        users: User indices, shape (n).
        scores: Metric -> float64 of shape (n).
    """

    users: NDArray[np.int64]
    scores: Scores

    def mean(self, metric: Metric) -> float:
        """Return the mean over users of a metric."""
        return float(self.scores[metric].mean())

    def rows(
        self, model: str, parameters: Mapping[str, str | int | float | bool | None], split: str
    ) -> list[MetricRow]:
        """Return the mean and the interval of each metric; ValueError if no user was evaluated."""
        return [
            MetricRow(model, parameters, split, *metric, float(values.mean()), *mean_interval(values), len(values))
            for metric, values in self.scores.items()
        ]


def find_users_to_evaluate(seen: ItemsByUser, relevant: ItemsByUser) -> UsersToEvaluate:
    """Return the users with a held-out item, cold ones apart: no model has learnt anything of these.

    Example:
        >>> seen = ItemsByUser.from_pairs(np.array([0]), np.array([1]), n_users=3)
        >>> relevant = ItemsByUser.from_pairs(np.array([0, 2]), np.array([2, 2]), n_users=3)
        >>> users = find_users_to_evaluate(seen, relevant)
        >>> users.warm.tolist(), users.cold.tolist()
        ([0], [2])
    """
    has_relevant, has_seen = relevant.counts > 0, seen.counts > 0
    return UsersToEvaluate(np.flatnonzero(has_relevant & has_seen), np.flatnonzero(has_relevant & ~has_seen))


def evaluate_lists(
    items: NDArray[np.int32],
    users: NDArray[np.int64],
    seen: ItemsByUser,
    relevant: ItemsByUser,
    ks: Sequence[int] = DEFAULT_KS,
    block_users: int = BLOCK_USERS,
) -> RankingScores:
    """Return the ranking metrics of the lists of users, a block of users at a time.

    Args:
        items: Shape (len(users), k_max), best first, unseen only, -1 where none is left; row i is of users[i].
        users: Users to evaluate, as find_users_to_evaluate gives them, or some of them (combine_scores joins).
        seen: Items of all users that may not be recommended.
        relevant: Held-out items of all users.
        ks: Cut-offs.
        block_users: Users at a time.

    Raises:
        ValueError: If held-out items are among the seen ones, or a list has seen or repeated items.
    """
    if not len(users):
        raise ValueError(
            "no user to evaluate; expected users with items both in train and held out. Choose another split."
        )
    blocks = []
    for start in range(0, len(users), block_users):
        rows = slice(start, start + block_users)
        block, theirs = users[rows], relevant.take(users[rows])
        _refuse_leaks(block, items[rows], seen.take(block), theirs)
        blocks.append(RankingScores(block, evaluate_ranking(items[rows], theirs, ks)))
    return combine_scores(blocks)


def rank_held_out(relevant: ItemsByUser, users: NDArray[np.int64], k: int) -> NDArray[np.int32]:
    """Return the lists of an oracle that knows what is held out: shape (len(users), k), -1 after the last.

    Example:
        >>> relevant = ItemsByUser.from_pairs(np.array([0, 0, 1]), np.array([4, 2, 7]), n_users=2)
        >>> rank_held_out(relevant, np.array([1, 0]), k=2).tolist()
        [[7, -1], [2, 4]]
    """
    theirs = relevant.take(users)
    place = np.arange(len(theirs.items)) - np.repeat(theirs.indptr[:-1], theirs.counts)
    row = np.repeat(np.arange(len(users)), theirs.counts)
    items = np.full((len(users), k), -1, dtype=np.int32)
    items[row[place < k], place[place < k]] = theirs.items[place < k]
    return items


def combine_scores(parts: Iterable[RankingScores]) -> RankingScores:
    """Return the scores of the users of all parts, in the order given; the parts share their metrics."""
    parts = list(parts)
    names = parts[0].scores.keys()
    return RankingScores(
        np.concatenate([part.users for part in parts]),
        {name: np.concatenate([part.scores[name] for part in parts]) for name in names},
    )


def _refuse_leaks(users: NDArray[np.int64], items: NDArray[np.int32], seen: ItemsByUser, relevant: ItemsByUser) -> None:
    leaked = np.isin(relevant.keys, seen.keys)
    if leaked.any():
        row, item = divmod(int(relevant.keys[leaked][0]), 1 << 32)
        raise ValueError(
            f"item {item} of user {users[row]} is both in train and held out ({int(leaked.sum())} such "
            "pairs); expected each pair in one part only. Split the interactions again."
        )
    is_seen = contains_pairs(seen, items)
    if is_seen.any():
        row, place = (int(axis[0]) for axis in np.nonzero(is_seen))
        raise ValueError(
            f"user {users[row]} was recommended item {items[row, place]}, which is in their train rows; "
            "expected unseen items only. Leave seen items out of the lists."
        )
