"""Split interactions into train, validation and test; every row goes to one part at most."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.assignment import (
    LEFT_OUT,
    OUTSIDE_CORE,
    SECONDS_PER_DAY,
    TEST,
    TRAIN,
    VALIDATION,
    assign_from_pairs,
    is_in_core,
    leave_last,
    split_at_time,
    split_random,
    split_random_per_user,
    split_rolling,
)
from evaluation.options import SplitCore, SplitMethod, SplitOptions
from evaluation.time_order import LEAST_SHARE, has_past, judge_time_order
from schema.arrays import Indices

NEED_TIMESTAMPS = ("leave-last", "rolling", "time")
CORE_BEFORE_TEST = ("rolling", "time")
"""Figures by these profit from a core of all rows, which knows who goes on; by others both cores gave the same."""
LEAST_LEFT = 0.5
"""Share of the test rows of users with a past that the core before test has to leave, where nobody asks for it."""
OPTIONS_OF_ONE_METHOD: dict[str, SplitMethod] = {
    "leave_last_n": "leave-last",
    "rolling_share": "rolling",
    "rolling_refits": "rolling",
    "split_gap_days": "time",
    "split_until": "time",
    "split_train_file": "files",
    "split_validation_file": "files",
    "split_test_file": "files",
}


@dataclass(frozen=True, eq=False)
class NamedPairs:
    """The pairs that files name for each part, as schema.items_by_user.pair_keys, in any order.

    Attributes:
        train: None where all rows not named for another part are train.
        validation: Keys, int64.
        test: Keys, int64.
    """

    train: NDArray[np.int64] | None
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class PartCounts:
    """What one part holds; cold ones have no row in an earlier part (train, then validation, then test)."""

    n_rows: int
    n_users: int
    n_items: int
    n_cold_users: int
    n_cold_items: int


@dataclass(frozen=True)
class SplitCounts:
    """What a split made of the interactions: its parts, rows in none, and rows that files named for several.

    The core is of all rows or of those before test; n_outside_core of these are outside it.
    """

    method: SplitMethod
    core: SplitCore
    train: PartCounts
    validation: PartCounts
    test: PartCounts
    n_left_out: int = 0
    n_leaked: int = 0
    n_outside_core: int = 0


@dataclass(frozen=True)
class Split:
    """The three parts, each with the columns and the order of the interactions, and their counts.

    Outside are the rows before test that are not in the core: nothing that is tested learns from them.
    """

    train: pa.Table
    validation: pa.Table
    test: pa.Table
    outside: pa.Table
    counts: SplitCounts


def choose_method(interactions: pa.Table, options: SplitOptions) -> SplitMethod:
    """Return the split that options ask for, or else the one that suits the data.

    That is the rolling one where the order of timestamps can be trusted and both parts that are held out have enough to
    evaluate (`share_to_evaluate`), leave-last where there are others, and random where there are none.

    Raises:
        ValueError: If the split needs timestamps that are not there, or an option belongs to another split.
    """
    n_rows, n_missing = interactions.num_rows, interactions["timestamp"].null_count
    method = options.split or ("random" if n_missing == n_rows else "leave-last")
    if options.split is None and n_missing == 0 < n_rows:
        user_idx, timestamp = (np.asarray(interactions[name], dtype=np.int64) for name in ("user_idx", "timestamp"))
        has_enough = share_to_evaluate(user_idx, timestamp, options.rolling_share) >= LEAST_SHARE
        method = "rolling" if has_enough and judge_time_order(user_idx, timestamp).is_trusted else "leave-last"
    _check_options(method, options)
    if method in NEED_TIMESTAMPS and n_missing:
        raise ValueError(
            f"split {method!r} needs a timestamp in each of {n_rows} interactions; {n_missing} have none. Use "
            "--split random, or ingest again with a timestamp column (--columns user=…,item=…,timestamp=…)."
        )
    return method


def share_to_evaluate(user_idx: Indices, timestamp: Indices, rolling_share: float) -> float:
    """Return the share of rows with an earlier day of their user in validation or test of a rolling split, the lesser.

    Of a part without rows it is 0.

    Example:
        >>> day = np.array([1, 2, 3, 4, 4, 5])
        >>> share_to_evaluate(np.array([0, 0, 0, 0, 1, 0]), day * 86_400, rolling_share=0.4)
        0.5
    """
    part, is_known = split_rolling(timestamp, rolling_share), has_past(user_idx, timestamp)
    return min(float(is_known[part == held].mean()) if (part == held).any() else 0.0 for held in (VALIDATION, TEST))


def split_interactions(
    interactions: pa.Table, options: SplitOptions, named: NamedPairs | None = None, *, min_interactions: int = 1
) -> Split:
    """Split interactions (user_idx, item_idx, rating, timestamp; one row per pair) as options say.

    Args:
        interactions: Rows in any order.
        options: How to hold out.
        named: What the files of options name, which split "files" needs.
        min_interactions: The k of the k-core that the interactions are, which that of the rows before test lies in.

    Raises:
        ValueError: If the split needs timestamps or named pairs that are not there, an option belongs to another
            split, a part would be empty, or no user of the test part is in the core.

    Example:
        >>> table = pa.table({"user_idx": [0, 0, 0], "item_idx": [4, 5, 6], "timestamp": [30, 10, 20]})
        >>> split_interactions(table, SplitOptions()).test["item_idx"].to_pylist()
        [4]
    """
    method = choose_method(interactions, options)
    part, n_leaked = _assign(interactions, method, options, named)
    _check_parts(part, method, options)
    core = _leave_out(part, interactions, min_interactions, method, options.split_core)
    train, validation, test, outside = (
        interactions.filter(pa.array(part == one)) for one in (TRAIN, VALIDATION, TEST, OUTSIDE_CORE)
    )
    return Split(train, validation, test, outside, _count_parts(interactions, part, method, core, n_leaked))


def _check_options(method: SplitMethod, options: SplitOptions) -> None:
    for name, owner in OPTIONS_OF_ONE_METHOD.items():
        value = getattr(options, name)
        if value != SplitOptions.model_fields[name].default and method != owner:
            raise ValueError(
                f"{name} is {value}, which only split {owner!r} obeys; the split is {method!r}. Use --split {owner}, "
                f"or leave --{name.replace('_', '-')} out."
            )


def _assign(
    interactions: pa.Table, method: SplitMethod, options: SplitOptions, named: NamedPairs | None
) -> tuple[NDArray[np.int8], int]:
    """Return the part of each row, and how many rows are named for several."""
    user_idx, item_idx = interactions["user_idx"].to_numpy(), interactions["item_idx"].to_numpy()
    if method == "files":
        if named is None:
            raise ValueError(
                "split 'files' has no named pairs; expected those of validation and of test. Name the files with "
                "--split-validation-file and --split-test-file, or use another --split."
            )
        return assign_from_pairs(user_idx, item_idx, named.validation, named.test, named.train)
    if method in NEED_TIMESTAMPS:
        return _assign_by_time(interactions, method, options), 0
    draw = split_random if method == "random" else split_random_per_user
    return draw(user_idx, item_idx, options.test_share, options.validation_share, options.split_seed), 0


def _assign_by_time(interactions: pa.Table, method: SplitMethod, options: SplitOptions) -> NDArray[np.int8]:
    user_idx, item_idx = interactions["user_idx"].to_numpy(), interactions["item_idx"].to_numpy()
    timestamp = interactions["timestamp"].to_numpy()
    if method == "leave-last":
        return leave_last(user_idx, item_idx, timestamp, options.leave_last_n, options.split_seed)
    if method == "rolling":
        return split_rolling(timestamp, options.rolling_share)
    test_from, until = (None if day is None else _unix_seconds(day) for day in (options.split_at, options.split_until))
    gap_seconds = options.split_gap_days * SECONDS_PER_DAY
    return split_at_time(
        timestamp, options.test_share, options.validation_share, test_from, until=until, gap_seconds=gap_seconds
    )


def _unix_seconds(moment: date) -> int:
    """Return the first second of a day, or a moment: in UTC unless it says otherwise."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _check_parts(part: NDArray[np.int8], method: SplitMethod, options: SplitOptions) -> None:
    n_rows = np.bincount(part, minlength=4)
    if n_rows[[TRAIN, VALIDATION, TEST]].all():
        return
    advice = {
        "leave-last": f"each user needs {2 * options.leave_last_n + 1} interactions: lower --leave-last-n, "
        "or use --split random",
        "rolling": "choose another --rolling-share, or use --split leave-last",
        "time": "choose another --split-at or --test-share, or use --split leave-last",
        "random": "choose other shares, or bring more interactions",
        "random-per-user": "choose other shares, or bring users with 3 interactions or more",
        "files": "name pairs of user and item ids that are among the interactions",
    }[method]
    if options.split_gap_days or options.split_until:
        advice += "; --split-gap-days and --split-until leave rows out"
    raise ValueError(
        f"split {method!r} of {len(part)} interactions leaves {n_rows[TRAIN]} for train, "
        f"{n_rows[VALIDATION]} for validation and {n_rows[TEST]} for test ({n_rows[LEFT_OUT]} in no part); expected "
        f"at least one in each. What to do: {advice}."
    )


def _leave_out(
    part: NDArray[np.int8], interactions: pa.Table, k: int, method: SplitMethod, wanted: SplitCore | None
) -> SplitCore:
    """Put the rows of train and validation that are not in their k-core outside it; return which core it is now."""
    if method == "files" or (wanted or ("before-test" if method in CORE_BEFORE_TEST else "all")) == "all":
        return "all"
    user_idx, item_idx = interactions["user_idx"].to_numpy(), interactions["item_idx"].to_numpy()
    before = np.flatnonzero((part == TRAIN) | (part == VALIDATION))
    tested = user_idx[part == TEST]
    n_known = np.isin(tested, user_idx[before]).sum()
    is_inside = is_in_core(user_idx[before], item_idx[before], k)
    n_train, n_validation = ((part[before[is_inside]] == one).sum() for one in (TRAIN, VALIDATION))
    n_left = np.isin(tested, user_idx[before[is_inside]]).sum()
    is_enough = n_train and n_validation and n_left >= min(n_known, 1)
    if wanted is None and not (is_enough and n_left >= LEAST_LEFT * n_known):
        return "all"
    if not is_enough:
        raise ValueError(
            f"the {k}-core of the {len(before)} rows before the test part leaves {n_train} for train and "
            f"{n_validation} for validation, and {n_left} of the {len(tested)} rows for test are of its users; "
            "expected at least one each. Take it of all rows (--split-core all, which flatters), or lower "
            "--min-interactions."
        )
    part[before[~is_inside]] = OUTSIDE_CORE
    return "before-test"


def _count_parts(
    interactions: pa.Table, part: NDArray[np.int8], method: SplitMethod, core: SplitCore, n_leaked: int
) -> SplitCounts:
    user_idx, item_idx = interactions["user_idx"].to_numpy(), interactions["item_idx"].to_numpy()
    train, validation, test = (_count_part(user_idx, item_idx, part, p) for p in (TRAIN, VALIDATION, TEST))
    n_left_out, n_outside_core = (int((part == one).sum()) for one in (LEFT_OUT, OUTSIDE_CORE))
    return SplitCounts(method, core, train, validation, test, n_left_out, n_leaked, n_outside_core)


def _count_part(
    user_idx: NDArray[np.int32], item_idx: NDArray[np.int32], part: NDArray[np.int8], number: int
) -> PartCounts:
    inside, earlier = part == number, part < number
    users, items = np.unique(user_idx[inside]), np.unique(item_idx[inside])
    is_cold = number != TRAIN
    return PartCounts(
        n_rows=int(inside.sum()),
        n_users=len(users),
        n_items=len(items),
        n_cold_users=int(is_cold and (~np.isin(users, user_idx[earlier])).sum()),
        n_cold_items=int(is_cold and (~np.isin(items, item_idx[earlier])).sum()),
    )
