"""Whether the order of interactions in time can be trusted to say what a user did after what."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.assignment import SECONDS_PER_DAY
from schema.arrays import Indices

LEAST_SHARE = 0.5
LEAST_DAYS = 30
LARGEST_DAY = 0.1


@dataclass(frozen=True)
class TimeOrder:
    """What timestamps say of the order in which users did things.

    Attributes:
        share_simultaneous: Share of rows of which the same user has another at the same second.
        share_with_past: Share of rows of which the same user has another of an earlier day (UTC).
        largest_day: Largest share of rows that one day has.
        n_days: Distinct days.
        span_days: Days from the first to the last, both included.
    """

    share_simultaneous: float
    share_with_past: float
    largest_day: float
    n_days: int
    span_days: int

    @property
    def is_trusted(self) -> bool:
        """Whether most rows can be predicted from an earlier day, and there are days enough to cut the time in three.

        Collected all at once, as by a form or an import, rows have timestamps that say nothing of an order.
        """
        return self.share_with_past >= LEAST_SHARE and self.n_days >= LEAST_DAYS and self.largest_day <= LARGEST_DAY


def judge_time_order(user_idx: Indices, timestamp: Indices) -> TimeOrder:
    """Return what the timestamps (Unix seconds) of some rows say of their order, rows in any order.

    Raises:
        ValueError: If there are no rows.

    Example:
        >>> day = 86_400
        >>> judge_time_order(np.array([0, 0, 0, 1]), np.array([0, 0, 3 * day, day]))
        TimeOrder(share_simultaneous=0.5, share_with_past=0.25, largest_day=0.5, n_days=3, span_days=4)
    """
    if not len(timestamp):
        raise ValueError("there are no rows; expected one or more. Bring interactions with timestamps.")
    day, second = timestamp // SECONDS_PER_DAY, timestamp - timestamp.min()
    moments = np.column_stack([user_idx, second])[np.lexsort((second, user_idx))]
    is_next = np.append(False, (moments[1:] == moments[:-1]).all(axis=1))
    is_simultaneous = is_next | np.append(is_next[1:], False)
    _, n_of_day = np.unique(day, return_counts=True)
    return TimeOrder(
        share_simultaneous=float(is_simultaneous.mean()),
        share_with_past=float(has_past(user_idx, timestamp).mean()),
        largest_day=float(n_of_day.max() / len(day)),
        n_days=len(n_of_day),
        span_days=int(day.max() - day.min()) + 1,
    )


def has_past(user_idx: Indices, timestamp: Indices) -> NDArray[np.bool_]:
    """Return of each row (timestamps in Unix seconds) whether the same user has another of an earlier day (UTC).

    Example:
        >>> has_past(np.array([0, 0, 1]), np.array([0, 86_400, 86_400])).tolist()
        [False, True, False]
    """
    day = timestamp // SECONDS_PER_DAY
    first_day = np.full(user_idx.max(initial=-1) + 1, day.max(initial=0))
    np.minimum.at(first_day, user_idx, day)
    return np.asarray(day > first_day[user_idx])
