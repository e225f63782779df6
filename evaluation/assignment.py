"""The rules by which each interaction is assigned to train, validation or test.

Each returns an int8 array, one entry per row in the order given: TRAIN, VALIDATION or TEST. None depends on
the order of the rows.
"""

import numpy as np
from numpy.typing import NDArray

from evaluation.csr import pair_keys

TRAIN, VALIDATION, TEST = 0, 1, 2


def leave_last(
    user_idx: NDArray[np.integer],
    item_idx: NDArray[np.integer],
    timestamp: NDArray[np.integer],
    n: int,
    seed: int,
) -> NDArray[np.int8]:
    """Assign the last n rows of each user to test and the n before them to validation.

    A user with fewer than 2 n + 1 rows stays wholly in train. Rows of one user with the same timestamp are
    ordered by a seeded hash of the pair, so that the order of items says nothing of what is held out.

    Example:
        >>> zeros, items, times = np.zeros(4, int), np.arange(4), np.array([40, 10, 30, 20])
        >>> leave_last(zeros, items, times, n=1, seed=42).tolist()
        [2, 0, 1, 0]
    """
    order = np.lexsort((hash_pairs(user_idx, item_idx, seed), timestamp, user_idx))
    counts = np.bincount(user_idx)
    last_position = np.cumsum(counts)[user_idx[order]] - 1
    from_end = last_position - np.arange(len(order))
    has_enough = counts[user_idx[order]] >= 2 * n + 1
    part = np.full(len(order), TRAIN, dtype=np.int8)
    part[order[has_enough & (from_end < 2 * n)]] = VALIDATION
    part[order[has_enough & (from_end < n)]] = TEST
    return part


def split_at_time(
    timestamp: NDArray[np.integer], test_share: float, validation_share: float, test_from: int | None = None
) -> NDArray[np.int8]:
    """Assign all rows from one moment on to test, and the last of the earlier ones to validation.

    Args:
        timestamp: Unix seconds.
        test_share: Where test_from is None, test is the longest stretch of time up to the end that holds at
            most this share of all rows; rows of one second stay together.
        validation_share: The same share for validation, of the rows before test.
        test_from: First second of test.

    Example:
        >>> split_at_time(np.array([1, 2, 3, 4, 5]), test_share=0.2, validation_share=0.25).tolist()
        [0, 0, 0, 1, 2]
    """
    test_from = _start_of_last(timestamp, test_share) if test_from is None else test_from
    is_earlier = timestamp < test_from
    part = np.where(is_earlier, TRAIN, TEST).astype(np.int8)
    if is_earlier.any():
        validation_from = _start_of_last(timestamp[is_earlier], validation_share)
        part[is_earlier & (timestamp >= validation_from)] = VALIDATION
    return part


def split_random(
    user_idx: NDArray[np.integer],
    item_idx: NDArray[np.integer],
    test_share: float,
    validation_share: float,
    seed: int,
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


def hash_pairs(user_idx: NDArray[np.integer], item_idx: NDArray[np.integer], seed: int) -> NDArray[np.uint64]:
    """Return a seeded 64-bit hash of each pair, different for different pairs.

    The mixing function of SplitMix64 (Steele, Lea and Flood, 2014), a bijection of 64-bit numbers.
    """
    mixed = _mix(pair_keys(user_idx, item_idx).view(np.uint64))
    return _mix(mixed ^ _mix(np.array([seed], dtype=np.uint64)))


def _mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _start_of_last(timestamp: NDArray[np.integer], share: float) -> int:
    """Return the first second of the longest stretch up to the end that holds at most share of the rows."""
    ordered = np.sort(timestamp)
    cut = len(ordered) - int(share * len(ordered))
    if cut < len(ordered) and ordered[cut - 1] == ordered[cut]:
        return int(ordered[cut]) + 1
    return int(ordered[cut]) if cut < len(ordered) else int(ordered[-1]) + 1
