"""Which interactions to learn from, to choose by and to test on; every row goes to exactly one part."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from evaluation.assignment import TEST, TRAIN, VALIDATION, leave_last, split_at_time, split_random

SplitMethod = Literal["leave-last", "time", "random"]


class SplitOptions(BaseModel):
    """How to hold interactions out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: SplitMethod | None = Field(
        None,
        description="leave-last: the last interactions of each user; time: all from a moment on; random: any "
        "rows. Left out: leave-last where there are timestamps, else random",
    )
    leave_last_n: int = Field(
        1, ge=1, description="leave-last: interactions per user in the test part, and as many in validation"
    )
    split_at: date | None = Field(
        None,
        description="time: first day (UTC) of the test part; left out: as test_share says",
    )
    test_share: float = Field(0.2, gt=0, lt=1, description="time and random: share of all rows in the test part")
    validation_share: float = Field(
        0.2, gt=0, lt=1, description="time and random: share of the rows outside test in the validation part"
    )
    split_seed: int = Field(42, ge=0, description="random rows, and the order of rows with the same timestamp")


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
    """What a split made of the interactions."""

    method: SplitMethod
    train: PartCounts
    validation: PartCounts
    test: PartCounts


@dataclass(frozen=True)
class Split:
    """The three parts, each with the columns and the order of the interactions, and their counts."""

    train: pa.Table
    validation: pa.Table
    test: pa.Table
    counts: SplitCounts


def choose_method(interactions: pa.Table, options: SplitOptions) -> SplitMethod:
    """Return the split that options ask for, or the one that suits the data.

    Raises:
        ValueError: If the split needs timestamps that are not there.
    """
    n_rows, n_missing = interactions.num_rows, interactions["timestamp"].null_count
    method = options.split or ("leave-last" if n_missing < n_rows else "random")
    if method != "random" and n_missing:
        raise ValueError(
            f"split {method!r} needs a timestamp in each of {n_rows} interactions; {n_missing} have none. Use "
            "--split random, or ingest again with a timestamp column (--columns user=…,item=…,timestamp=…)."
        )
    return method


def split_interactions(interactions: pa.Table, options: SplitOptions) -> Split:
    """Split interactions (user_idx, item_idx, rating, timestamp; one row per pair) as options say.

    Raises:
        ValueError: If the split needs timestamps that are not there, or a part would be empty.

    Example:
        >>> table = pa.table({"user_idx": [0, 0, 0], "item_idx": [4, 5, 6], "timestamp": [30, 10, 20]})
        >>> split_interactions(table, SplitOptions()).test["item_idx"].to_pylist()
        [4]
    """
    method = choose_method(interactions, options)
    part = _assign(interactions, method, options)
    _check_parts(part, method, options)
    train, validation, test = (interactions.filter(pa.array(part == p)) for p in (TRAIN, VALIDATION, TEST))
    return Split(train, validation, test, _count_parts(interactions, part, method))


def _assign(interactions: pa.Table, method: SplitMethod, options: SplitOptions) -> NDArray[np.int8]:
    user_idx, item_idx = interactions["user_idx"].to_numpy(), interactions["item_idx"].to_numpy()
    if method == "random":
        return split_random(user_idx, item_idx, options.test_share, options.validation_share, options.split_seed)
    timestamp = interactions["timestamp"].to_numpy()
    if method == "leave-last":
        return leave_last(user_idx, item_idx, timestamp, options.leave_last_n, options.split_seed)
    test_from = None if options.split_at is None else _unix_seconds(options.split_at)
    return split_at_time(timestamp, options.test_share, options.validation_share, test_from)


def _unix_seconds(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _check_parts(part: NDArray[np.int8], method: SplitMethod, options: SplitOptions) -> None:
    n_rows = np.bincount(part, minlength=3)
    if n_rows.all():
        return
    advice = {
        "leave-last": f"each user needs {2 * options.leave_last_n + 1} interactions: lower --leave-last-n, "
        "or use --split random",
        "time": "choose another --split-at or --test-share, or use --split leave-last",
        "random": "choose other shares, or bring more interactions",
    }[method]
    raise ValueError(
        f"split {method!r} of {len(part)} interactions leaves {n_rows[TRAIN]} for train, "
        f"{n_rows[VALIDATION]} for validation and {n_rows[TEST]} for test; expected at "
        f"least one in each. What to do: {advice}."
    )


def _count_parts(interactions: pa.Table, part: NDArray[np.int8], method: SplitMethod) -> SplitCounts:
    user_idx, item_idx = interactions["user_idx"].to_numpy(), interactions["item_idx"].to_numpy()
    train, validation, test = (_count_part(user_idx, item_idx, part, p) for p in (TRAIN, VALIDATION, TEST))
    return SplitCounts(method, train, validation, test)


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
