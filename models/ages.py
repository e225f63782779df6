"""Weights of a history by age."""

import numpy as np
from numpy.typing import NDArray

from schema.arrays import order_by
from schema.histories import Histories

SECONDS_PER_DAY = 86_400
UNKNOWN = -1


def count_later_moments(row: NDArray[np.int64], timestamp: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many distinct moments of the same row are later than each event; those of one moment have no order.

    Args:
        row: Row of each event, ascending.
        timestamp: Unix seconds of each event, -1 where there is none, which is before all others.

    Example:
        >>> count_later_moments(np.array([0, 0, 0, 1]), np.array([30, 10, 30, 5])).tolist()
        [0, 1, 0, 0]
    """
    order = order_by(row, timestamp)
    rows, times = row[order], timestamp[order]
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (rows[1:] != rows[:-1]) | (times[1:] != times[:-1])
    moment = np.cumsum(is_new)
    later = np.empty(len(order), dtype=np.int64)
    later[order] = moment[np.searchsorted(rows, rows, side="right") - 1] - moment
    return later


def weigh_histories(histories: Histories, decay: float, half_life_days: float) -> NDArray[np.float32]:
    """Return decay^position * 2^(-days / half_life_days) of each item of each history.

    The position is the number of later moments of the same person, and days are those before the newest of them. Items
    of one moment are simultaneous and weigh the same; one without a time weighs 1.

    Args:
        histories: What is known of people; a row's weights depend on nothing but the row.
        decay: Above 0, at most 1; 1 for no decay.
        half_life_days: Days, above 0; infinite for no decay.

    Example:
        >>> from schema.items_by_user import ItemsByUser
        >>> items = ItemsByUser(np.array([0, 3]), np.array([4, 5, 6], np.int32))
        >>> histories = Histories.of(items)._replace(timestamp=np.array([0, 86_400, -1]))
        >>> weigh_histories(histories, decay=0.5, half_life_days=1.0).tolist()
        [0.25, 1.0, 1.0]
    """
    timestamp = histories.timestamp
    if decay == 1 and np.isinf(half_life_days):
        return np.ones(len(timestamp), dtype=np.float32)
    row = histories.items.rows
    newest = np.full(len(histories.items.counts), UNKNOWN, dtype=np.int64)
    np.maximum.at(newest, row, timestamp)
    days = (newest[row] - timestamp) / SECONDS_PER_DAY
    weights = decay ** count_later_moments(row, timestamp) * 2.0 ** (-days / half_life_days)
    return np.where(timestamp == UNKNOWN, 1, weights).astype(np.float32)
