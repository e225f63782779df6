"""How much an interaction counts for implicit ALS, beside others of the same person."""

from typing import Literal

import numpy as np

from schema.arrays import Floats
from schema.histories import Histories

Confidence = Literal["interactions", "ratings", "recency"]
SECONDS_PER_DAY = 86_400


def weigh(histories: Histories, confidence: Confidence, half_life_days: float) -> Floats:
    """Return the weight of each item of histories, 1 for one that lacks what confidence asks for.

    A person's weights depend on the own history alone, so that people who were not trained on are weighed as those who
    were: ratings are divided by the person's mean rating, and days count back from the person's newest interaction, of
    which each half-life halves the weight. A rating that is not above 0 counts as none.

    Example:
        >>> one = Histories.from_columns(np.zeros(3, int), np.arange(3), np.array([2, 4, np.nan]), np.full(3, -1), 1)
        >>> weigh(one, "ratings", 365).round(2).tolist()
        [0.67, 1.33, 1.0]
    """
    rows, n_people = histories.items.rows, len(histories.items.counts)
    weights = np.ones(len(rows))
    if confidence == "ratings":
        is_known = np.isfinite(histories.rating) & (histories.rating > 0)
        known, rating = rows[is_known], histories.rating[is_known].astype(np.float64)
        sums, counts = np.bincount(known, rating, n_people), np.bincount(known, minlength=n_people)
        weights[is_known] = rating * counts[known] / sums[known]
    elif confidence == "recency":
        is_known = histories.timestamp >= 0
        known, timestamp = rows[is_known], histories.timestamp[is_known]
        newest = np.zeros(n_people, dtype=np.int64)
        np.maximum.at(newest, known, timestamp)
        weights[is_known] = 0.5 ** ((newest[known] - timestamp) / SECONDS_PER_DAY / half_life_days)
    return weights
