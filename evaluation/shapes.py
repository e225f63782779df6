"""Shapes of one model's results: how scores spread over users, and how predicted ratings hold."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from schema.scores import CalibrationBin, HistogramBin

EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
CALIBRATION_BINS = 10


def spread_of_scores(values: NDArray[np.float64]) -> list[HistogramBin]:
    """Return how many users get nothing, and how many a score in each fifth of the range.

    Args:
        values: One score of each user, from 0 to 1, shape (n_users).

    Example:
        >>> [users for _, _, users in spread_of_scores(np.array([0.0, 0.0, 0.3, 1.0]))]
        [2, 0, 1, 0, 0, 1]
    """
    counts, _ = np.histogram(values[values > 0], bins=EDGES)
    bins = zip(pairwise(EDGES), counts, strict=True)
    return [
        HistogramBin(0.0, 0.0, int((values <= 0).sum())),
        *(HistogramBin(low, high, int(n_users)) for (low, high), n_users in bins),
    ]


def calibrate(predicted: NDArray[np.float64], actual: NDArray[np.float64]) -> list[CalibrationBin]:
    """Return mean predicted and actual ratings of ten groups of rows of nearly equal size, by predicted rating.

    Args:
        predicted: Predicted rating of each row, shape (n_rows).
        actual: Its rating, shape (n_rows).

    Example:
        >>> [one] = calibrate(np.array([4.0]), np.array([5.0]))
        >>> one.n_rows, one.mean_predicted, one.mean_actual
        (1, 4.0, 5.0)
    """
    order = np.argsort(predicted, kind="stable")
    return [
        CalibrationBin(
            float(predicted[rows[0]]),
            float(predicted[rows[-1]]),
            len(rows),
            float(predicted[rows].mean()),
            float(actual[rows].mean()),
        )
        for rows in np.array_split(order, CALIBRATION_BINS)
        if len(rows)
    ]
