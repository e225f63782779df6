"""Checks for what may make the figures of a split misleading."""

from dataclasses import asdict

import numpy as np

from evaluation.time_order import judge_time_order
from schema.arrays import Indices, sorted_unique
from schema.items_by_user import pair_keys
from schema.verdicts import Comparison, Finding, figures_of

MAX_COLD_SHARE = 0.01
MAX_TIED_SHARE = 0.1
MAX_OVERLAP = 0.9
MAX_ORACLE_SHARE = 0.6


def find_cold_users(n_cold: int, n_test_users: int) -> Finding:
    """Warn when more than MAX_COLD_SHARE of the users with test rows have none to learn from.

    Example:
        >>> find_cold_users(0, 50)
        Finding(name='cold users', is_warning=False, figures={'n_found': 0, 'n_all': 50})
    """
    return _judge_count("cold users", n_cold, n_test_users, MAX_COLD_SHARE)


def find_cold_events(n_cold: int, n_events: int) -> Finding:
    """Warn when more than MAX_COLD_SHARE of the held-out rows of a rolling split are of users without history."""
    return _judge_count("cold events", n_cold, n_events, MAX_COLD_SHARE)


def find_time_order(user_idx: Indices, timestamp: Indices) -> Finding:
    """Warn when the timestamps of all rows say little of their order: `evaluation.time_order`."""
    order = judge_time_order(user_idx, timestamp)
    return Finding("time order", not order.is_trusted, asdict(order))


def find_cold_items(n_cold: int, n_test_items: int) -> Finding:
    """Warn when more than MAX_COLD_SHARE of the items with test rows have none to learn from."""
    return _judge_count("cold items", n_cold, n_test_items, MAX_COLD_SHARE)


def find_leaks(
    train_user_idx: Indices, train_item_idx: Indices, held_user_idx: Indices, held_item_idx: Indices
) -> Finding:
    """Warn when a pair of user and item is both in train and held out; repeated pairs count once.

    Example:
        >>> find_leaks(np.array([0, 0]), np.array([1, 2]), np.array([0, 1]), np.array([2, 2])).is_warning
        True
    """
    held = sorted_unique(pair_keys(held_user_idx, held_item_idx))
    train = pair_keys(train_user_idx, train_item_idx)
    return _judge_count("leaks", int(np.isin(held, train).sum()), len(held))


def find_known_leak(n_leaked: int, n_held: int) -> Finding:
    """Warn when held-out pairs are known to be among what the model learnt from."""
    return _judge_count("known leak", n_leaked, n_held)


def find_mixed_parts(n_mixed: int) -> Finding:
    """Warn when files named pairs for more than one part of a split."""
    return Finding("mixed parts", n_mixed > 0, {"n_found": n_mixed})


def find_time_travel(
    train_user: Indices, train_timestamp: Indices, held_user: Indices, held_timestamp: Indices
) -> Finding:
    """Warn when train holds rows later than a held-out one: of the same user, or else of any user.

    A random split has both kinds, leave-last only the second, a split at a moment neither. Rows of the same
    timestamp are not later; held-out ones of which train has some, and none later, are counted as together. Users are
    dense indices; times are integers of one unit, any.

    Example:
        >>> train = np.array([0, 1]), np.array([10, 40])
        >>> find_time_travel(*train, np.array([0, 1]), np.array([30, 50])).figures
        {'n_same_user': 0, 'n_found': 1, 'n_together': 0, 'n_all': 2}
    """
    never = np.iinfo(np.int64).min
    latest = np.full(max(train_user.max(initial=-1), held_user.max(initial=-1)) + 1, never)
    np.maximum.at(latest, train_user, train_timestamp)
    n_same, last = int((latest[held_user] > held_timestamp).sum()), latest.max(initial=never)
    n_any, n_together = (int(one.sum()) for one in (last > held_timestamp, last == held_timestamp))
    figures = {"n_same_user": n_same, "n_found": n_any, "n_together": n_together, "n_all": len(held_user)}
    return Finding("time travel", n_any > 0, figures)


def find_ties(learnt_user: Indices, learnt_timestamp: Indices, held_user: Indices, held_timestamp: Indices) -> Finding:
    """Warn when more than MAX_TIED_SHARE of the held-out rows share their moment with one of their user to learn from.

    Which of these was held out, a seeded hash decided, and no time: of leave-last, which cuts within users.

    Example:
        >>> find_ties(np.array([0, 1]), np.array([10, 10]), np.array([0, 1]), np.array([10, 20])).figures
        {'n_found': 1, 'n_all': 2}
    """
    _, moment = np.unique(np.concatenate([learnt_timestamp, held_timestamp]), return_inverse=True)
    learnt = pair_keys(learnt_user, moment[: len(learnt_user)])
    is_tied = np.isin(pair_keys(held_user, moment[len(learnt_user) :]), learnt)
    return _judge_count("ties", int(is_tied.sum()), len(held_user), MAX_TIED_SHARE)


def find_small_split(comparison: Comparison) -> Finding:
    """Warn when a difference as large as the one found is more than this many users are likely to show.

    The smallest difference that is shown at 95 % in 4 of 5 such splits, `Comparison.smallest`, is None where it cannot
    be told, of one user.
    """
    smallest = comparison.smallest if comparison.n_users > 1 else None
    is_small = smallest is None or abs(comparison.difference) < smallest
    return Finding("small split", is_small, {**figures_of(comparison), "smallest": smallest})


def find_copy(name: str, overlap: float) -> Finding:
    """Warn when a model's top 10 are nearly popularity's; overlap is a share, as overlap_at_k gives it.

    Example:
        >>> find_copy("als", 0.25).is_warning, find_copy("als", 0.95).is_warning
        (False, True)
    """
    return Finding("copy of popularity", overlap >= MAX_OVERLAP, {"model": name, "overlap": overlap})


def find_chance(comparison_with_random: Comparison) -> Finding:
    """Warn when a model is not shown to be better than the random scorer that it is compared with."""
    return Finding("chance", comparison_with_random.outcome != "better", figures_of(comparison_with_random))


def find_too_good(value: float, popularity: float, oracle: float) -> Finding:
    """Warn when a model makes MAX_ORACLE_SHARE or more of the way from popularity to an oracle; higher is better.

    Popularity cannot know what is held out of a user. So on easy data, of which popularity alone gets most, neither it
    nor what is a little better is suspect.

    Example:
        >>> find_too_good(0.05, 0.02, 1.0).is_warning, find_too_good(0.7, 0.02, 1.0).is_warning
        (False, True)
        >>> find_too_good(0.77, 0.77, 1.0).is_warning
        False
    """
    figures = {"value": value, "popularity": popularity, "oracle": oracle}
    return Finding("too good", value >= popularity + MAX_ORACLE_SHARE * (oracle - popularity), figures)


def overlap_at_k(items: Indices, other_items: Indices, k: int) -> float:
    """Return the mean share of items that two lists of the same user have in common, by the longer of the two.

    Args:
        items: Lists of shape (n_users, k_max), each item once, -1 where nothing is left.
        other_items: Lists of the same users in the same order, of any width.
        k: Cut-off, at least 1. Users with two empty lists are left out.

    Returns:
        A share in [0, 1].

    Raises:
        ValueError: If k < 1, the users differ in number, or nobody has a list.

    Example:
        >>> overlap_at_k(np.array([[1, 2], [3, 4]]), np.array([[2, 1], [5, 4]]), k=2)
        0.75
    """
    if k < 1 or len(items) != len(other_items):
        raise ValueError(
            f"k is {k}, with lists of {len(items)} and {len(other_items)} users; expected k of 1 or more and lists "
            "of the same users. Recommend to the same users with both models."
        )
    top, other_top = items[:, :k], other_items[:, :k]
    together = np.sort(np.hstack([top, other_top]), axis=1)
    n_common = ((together[:, 1:] == together[:, :-1]) & (together[:, 1:] >= 0)).sum(axis=1)
    n_longer = np.maximum((top >= 0).sum(axis=1), (other_top >= 0).sum(axis=1))
    if not n_longer.any():
        raise ValueError(f"all lists of {len(items)} users are empty; expected one with an item. Recommend first.")
    return float((n_common[n_longer > 0] / n_longer[n_longer > 0]).mean())


def _judge_count(name: str, n_found: int, n_all: int, max_share: float = 0.0) -> Finding:
    return Finding(name, n_found / n_all > max_share, {"n_found": n_found, "n_all": n_all})
