"""Rules that assign each interaction to train, validation or test.

Each returns an int8 array, one entry per row in the order given: TRAIN, VALIDATION or TEST, or LEFT_OUT for a
row in no part; OUTSIDE_CORE takes the place of the first two outside the k-core. None depends on the order of the rows.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from schema.arrays import Indices, mix
from schema.items_by_user import pair_keys

TRAIN, VALIDATION, TEST, LEFT_OUT, OUTSIDE_CORE = 0, 1, 2, 3, 4
SMALL_HISTORY = 10
SECONDS_PER_DAY = 86_400
ROUNDING = 1e-9  # so that 8 * (0.3 / 0.4), a little below 6 as floating-point numbers go, is 6


def leave_last(user_idx: Indices, item_idx: Indices, timestamp: Indices, n: int, seed: int) -> NDArray[np.int8]:
    """Assign the last n rows of each user to test and the n before them to validation.

    A user with fewer than 2 n + 1 rows stays wholly in train. Rows of one user with the same timestamp are
    ordered by a seeded hash of the pair, so that the order of items says nothing of what is held out.

    Example:
        >>> zeros, items, times = np.zeros(4, int), np.arange(4), np.array([40, 10, 30, 20])
        >>> leave_last(zeros, items, times, n=1, seed=42).tolist()
        [2, 0, 1, 0]
    """
    order = np.lexsort((hash_pairs(user_idx, item_idx, seed), timestamp, user_idx))
    counts, from_end = _places(user_idx[order])
    has_enough = counts >= 2 * n + 1
    part = np.full(len(order), TRAIN, dtype=np.int8)
    part[order[has_enough & (from_end < 2 * n)]] = VALIDATION
    part[order[has_enough & (from_end < n)]] = TEST
    return part


def split_at_time(
    timestamp: Indices,
    test_share: float,
    validation_share: float,
    test_from: int | None = None,
    *,
    until: int | None = None,
    gap_seconds: int = 0,
) -> NDArray[np.int8]:
    """Assign all rows from one moment on to test, and the last of the earlier ones to validation.

    With a gap, rows within gap_seconds before the first moment of test, and before that of validation, are
    left out: choosing happens under the same conditions as testing.

    Args:
        timestamp: Unix seconds.
        test_share: Where test_from is None, test is the longest stretch of time up to the end that holds at
            most this share of all rows before until; rows of one second stay together.
        validation_share: The same share for validation, of the rows before test and its gap.
        test_from: First second of test.
        until: First second after test; rows from then on are left out.
        gap_seconds: At least 0.

    Example:
        >>> split_at_time(np.array([1, 2, 3, 4, 5]), test_share=0.2, validation_share=0.25).tolist()
        [0, 0, 0, 1, 2]
        >>> split_at_time(np.array([1, 2, 3, 4, 5, 6, 7]), 0.2, 0.5, until=7, gap_seconds=1).tolist()
        [0, 3, 1, 1, 3, 2, 3]
    """
    is_inside = timestamp < until if until is not None else np.ones(len(timestamp), dtype=bool)
    test_from = _start_of_last(timestamp[is_inside], test_share) if test_from is None else test_from
    part = np.full(len(timestamp), LEFT_OUT, dtype=np.int8)
    part[is_inside & (timestamp >= test_from)] = TEST
    is_earlier = is_inside & (timestamp < test_from - gap_seconds)
    validation_from = _start_of_last(timestamp[is_earlier], validation_share)
    part[is_earlier & (timestamp >= validation_from)] = VALIDATION
    part[is_earlier & (timestamp < validation_from - gap_seconds)] = TRAIN
    return part


def split_rolling(timestamp: Indices, share: float) -> NDArray[np.int8]:
    """Assign the rows of the last days (UTC) to test and those of the days before them to validation.

    Each is the longest stretch of whole days that holds at most this share of all rows.

    Args:
        timestamp: Unix seconds.
        share: Above 0.

    Example:
        >>> split_rolling(np.array([1, 2, 3, 4, 4]) * 86_400 + 7, share=0.4).tolist()
        [0, 1, 1, 2, 2]
    """
    day, part = timestamp // SECONDS_PER_DAY, np.full(len(timestamp), TRAIN, dtype=np.int8)
    n_each = int(share * len(timestamp) + ROUNDING)
    test_from = _start_of_last_rows(np.sort(day), n_each)
    part[day >= _start_of_last_rows(np.sort(day[day < test_from]), n_each)] = VALIDATION
    part[day >= test_from] = TEST
    return part


def rolling_windows(timestamp: Indices, n_windows: int, test_share: float) -> list[tuple[int, int]]:
    """Return the test parts of n_windows successive time splits: first second, first second after, oldest first.

    Each window holds int(test_share * n) of the n rows, the newest ends with the last row, and each begins where
    the one before it ends; where rows of one second would be torn apart, they go to the earlier window. Use each
    as ``split_at_time(..., test_from=first, until=after)``.

    Args:
        timestamp: Unix seconds, in any order.
        n_windows: At least 1.
        test_share: Share of all rows in each window, above 0.

    Raises:
        ValueError: If n_windows < 1, a window would be empty, or no row is before the first window.

    Example:
        >>> rolling_windows(np.array([10, 20, 30, 40, 50]), n_windows=2, test_share=0.2)
        [(40, 50), (50, 51)]
    """
    ordered, n_each = np.sort(timestamp), int(test_share * len(timestamp))
    starts = [_start_of_last_rows(ordered, n_each * n) for n in range(max(n_windows, 0), -1, -1)]
    n_before = np.searchsorted(ordered, starts)
    if n_windows < 1 or n_before[0] == 0 or (np.diff(n_before) == 0).any():
        raise ValueError(
            f"{n_windows} windows of {n_each} rows each (test_share {test_share}) do not fit into {len(ordered)} "
            f"rows of {len(np.unique(ordered))} different seconds; expected at least one window, a row in each and "
            "one before the first. Ask for fewer windows, or for another share."
        )
    return list(pairwise(starts))


def split_random(
    user_idx: Indices, item_idx: Indices, test_share: float, validation_share: float, seed: int
) -> NDArray[np.int8]:
    """Assign round(test_share * n) rows to test and round(validation_share * rest) of the rest to validation.

    Rows are drawn from the whole table by a seeded hash of the pair, whoever the user: some users have no row
    in train.

    Example:
        >>> sorted(split_random(np.arange(10), np.arange(10), 0.2, 0.25, seed=42).tolist())
        [0, 0, 0, 0, 0, 0, 1, 1, 2, 2]
    """
    order = np.argsort(hash_pairs(user_idx, item_idx, seed))
    n_test = round(test_share * len(order))
    n_validation = round(validation_share * (len(order) - n_test))
    part = np.full(len(order), TRAIN, dtype=np.int8)
    part[order[: n_test + n_validation]] = VALIDATION
    part[order[:n_test]] = TEST
    return part


def split_random_per_user(
    user_idx: Indices, item_idx: Indices, test_share: float, validation_share: float, seed: int
) -> NDArray[np.int8]:
    """Assign the last rows of each user, shuffled by a seeded hash of the pair, to validation and then to test.

    Of a user with n rows, held = int((test_share + validation_share) * n) are held out: the first int(held * ratio)
    of them for validation, the rest for test, where ratio = validation_share / (test_share + validation_share). A
    user with fewer than 10 rows has one in each instead, and with fewer than 3 stays wholly in train.

    With both shares at 0.1 this is the protocol of the MMRec tables (Zhou, "MMRec: Simplifying multimodal
    recommendation", 2023): int(0.2 * n) held out, half of them (rounded down) for validation.

    Raises:
        ValueError: If a share is not above 0, or both together are not below 1.

    Example:
        >>> sorted(split_random_per_user(np.zeros(15, int), np.arange(15), 0.1, 0.1, seed=42).tolist())[-4:]
        [0, 1, 2, 2]
    """
    share = test_share + validation_share
    if not (test_share > 0 and validation_share > 0 and share < 1):
        raise ValueError(
            f"test_share {test_share} and validation_share {validation_share} are {share} of each user's rows; "
            "expected each above 0, and less than 1 together. Lower one."
        )
    order = np.lexsort((hash_pairs(user_idx, item_idx, seed), user_idx))
    counts, from_end = _places(user_idx[order])
    n_held = (counts * share + ROUNDING).astype(np.int64)
    n_test = n_held - (n_held * (validation_share / share) + ROUNDING).astype(np.int64)
    is_small = counts < SMALL_HISTORY
    n_held[is_small], n_test[is_small] = np.where(counts[is_small] < 3, 0, [[2], [1]])
    part = np.full(len(order), TRAIN, dtype=np.int8)
    part[order[from_end < n_held]] = VALIDATION
    part[order[from_end < n_test]] = TEST
    return part


def assign_from_pairs(
    user_idx: Indices,
    item_idx: Indices,
    validation_keys: NDArray[np.int64],
    test_keys: NDArray[np.int64],
    train_keys: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int8], int]:
    """Assign the rows whose pairs are named for a part to it.

    A pair named for two parts is a leak, and goes to the earlier one: train, then validation, then test.

    Args:
        user_idx: User of each row.
        item_idx: Item of each row.
        validation_keys: schema.items_by_user.pair_keys of the pairs named for validation, in any order.
        test_keys: Those named for test.
        train_keys: Those named for train; rows named for no part are left out. Where None, such rows are train.

    Returns:
        The parts, and the number of rows named for two or three.

    Example:
        >>> users, items = np.zeros(3, int), np.array([4, 5, 6])
        >>> part, n_leaked = assign_from_pairs(users, items, np.array([5]), np.array([5, 6]))
        >>> part.tolist(), n_leaked
        ([0, 1, 2], 1)
    """
    keys = pair_keys(user_idx, item_idx)
    part = np.full(len(keys), TRAIN if train_keys is None else LEFT_OUT, dtype=np.int8)
    n_named = np.zeros(len(keys), dtype=np.int8)
    for number, named in ((TEST, test_keys), (VALIDATION, validation_keys), (TRAIN, train_keys)):
        if named is not None:
            is_named = np.isin(keys, named)
            part[is_named] = number
            n_named += is_named
    return part, int((n_named > 1).sum())


def is_in_core(user_idx: Indices, item_idx: Indices, k: int) -> NDArray[np.bool_]:
    """Return which rows are in the k-core: the largest part in which each user and each item has k rows or more.

    Rows of which one has few are dropped until none is left (Seidman, Social Networks, 1983); what stays does not
    depend on the order.

    Example:
        >>> is_in_core(np.array([0, 0, 1, 1, 2]), np.array([4, 5, 4, 5, 5]), k=2).tolist()
        [True, True, True, True, False]
    """
    left = np.arange(len(user_idx))
    while True:
        is_kept = np.ones(len(left), dtype=bool)
        for index in (user_idx[left], item_idx[left]):
            is_kept &= np.bincount(index)[index] >= k
        if is_kept.all():
            break
        left = left[is_kept]
    is_in = np.zeros(len(user_idx), dtype=bool)
    is_in[left] = True
    return is_in


def hash_pairs(user_idx: Indices, item_idx: Indices, seed: int) -> NDArray[np.uint64]:
    """Return a seeded 64-bit hash of each pair, different for different pairs.

    SplitMix64 (Steele, Lea and Flood, 2014), a bijection of 64-bit numbers.
    """
    mixed = mix(pair_keys(user_idx, item_idx).view(np.uint64))
    return mix(mixed ^ mix(np.array([seed], dtype=np.uint64)))


def _places(users_in_order: Indices) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the number of rows of each row's user and how many of them follow it; rows grouped by user."""
    counts = np.bincount(users_in_order)
    last_position = np.cumsum(counts)[users_in_order] - 1
    return counts[users_in_order], last_position - np.arange(len(users_in_order))


def _start_of_last(timestamp: Indices, share: float) -> int:
    """Return the first second of the longest stretch up to the end that holds at most share of the rows."""
    return _start_of_last_rows(np.sort(timestamp), int(share * len(timestamp)))


def _start_of_last_rows(ordered: Indices, n_last: int) -> int:
    """Return the first second of the longest stretch up to the end that holds at most n_last rows."""
    if not len(ordered):
        return 0
    cut = len(ordered) - n_last
    if cut >= len(ordered):
        return int(ordered[-1]) + 1
    return int(ordered[max(cut, 0)]) + int(cut > 0 and ordered[cut - 1] == ordered[cut])
