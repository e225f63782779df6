"""The history of one person: made, and read, item by item."""

from collections.abc import Iterator, Mapping

import numpy as np

from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from serving.rules import Items


def one_row(items: Items) -> ItemsByUser:
    """Return items as those of one person."""
    return ItemsByUser(np.array([0, len(items)], dtype=np.int64), items)


def known_parts(history: Histories) -> Iterator[tuple[int, tuple[float, int]]]:
    """Yield each item of the history of one person with its rating and time."""
    parts = zip(history.rating.tolist(), history.timestamp.tolist(), strict=True)
    yield from zip(history.items.items.tolist(), parts, strict=True)


def history_of(known: Mapping[int, tuple[float, int]]) -> Histories:
    """Return the history of one person from the rating and the time of each item."""
    ordered = sorted(known.items())
    return Histories(
        one_row(np.array([item for item, _ in ordered], dtype=np.int32)),
        np.array([rating for _, (rating, _) in ordered], dtype=np.float32),
        np.array([time for _, (_, time) in ordered], dtype=np.int64),
    )


NOTHING = history_of({})
