"""Errors and calibration of predicted ratings."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.ranking import About
from evaluation.significance import ratio_interval
from schema.items_by_user import ItemsByUser
from schema.metric import MetricRow
from schema.scores import CalibrationBin

CALIBRATION_BINS = 10

Predict = Callable[[NDArray[np.integer], NDArray[np.integer]], NDArray[np.floating]]
"""predict(user_idx, item_idx) -> predicted rating of each pair."""


@dataclass(frozen=True, eq=False)
class RatingScores:
    """Sums of errors of each user with a rated row whose user and item are both in train.

    Attributes:
        squared: Sum of squared differences, shape (n_users).
        absolute: Sum of absolute differences, shape (n_users).
        counts: Rows, shape (n_users).
    """

    squared: NDArray[np.float64]
    absolute: NDArray[np.float64]
    counts: NDArray[np.float64]

    @property
    def rmse(self) -> float:
        """Root mean squared error over all rows."""
        return float(np.sqrt(self.squared.sum() / self.counts.sum()))

    @property
    def mae(self) -> float:
        """Mean absolute error over all rows."""
        return float(self.absolute.sum() / self.counts.sum())

    def rows(self, about: About) -> list[MetricRow]:
        """Return RMSE and MAE with their intervals."""
        low, high = np.sqrt(ratio_interval(self.squared, self.counts))
        absolute = ratio_interval(self.absolute, self.counts)
        return [
            MetricRow(*about, "rmse", None, self.rmse, float(low), float(high), len(self.counts)),
            MetricRow(*about, "mae", None, self.mae, *absolute, len(self.counts)),
        ]


def rating_error(
    predict: Predict,
    user_idx: NDArray[np.integer],
    item_idx: NDArray[np.integer],
    rating: NDArray[np.floating],
    seen: ItemsByUser,
) -> RatingScores:
    """Return the errors of predicted ratings on held-out rows, the same rows for every model.

    Rows whose user or item has no row in train (seen) are left out.

    Raises:
        ValueError: If a rating is missing, a prediction is not finite, or no row is left.
    """
    n_missing = int(np.isnan(rating).sum())
    if n_missing:
        raise ValueError(
            f"{n_missing} of {len(rating)} held-out rows have no rating; expected one in each. Evaluate "
            "rankings only, or ingest ratings."
        )
    is_warm = (seen.counts[user_idx] > 0) & np.isin(item_idx, seen.items)
    if not is_warm.any():
        raise ValueError(
            f"none of {len(rating)} held-out rows has both its user and its item in train; expected one or "
            "more. Choose another split."
        )
    users, items = user_idx[is_warm], item_idx[is_warm]
    difference = _differences(predict(users, items), rating[is_warm])
    _, row_user, counts = np.unique(users, return_inverse=True, return_counts=True)
    squared, absolute = (np.bincount(row_user, errors) for errors in (difference**2, np.abs(difference)))
    return RatingScores(squared.astype(np.float64), absolute.astype(np.float64), counts.astype(np.float64))


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


def _differences(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> NDArray[np.float64]:
    if predicted.shape != actual.shape:
        raise ValueError(f"{len(predicted)} predictions for {len(actual)} ratings; expected one of each held-out row.")
    difference = predicted.astype(np.float64) - actual.astype(np.float64)
    if not np.isfinite(difference).all():
        row = int(np.flatnonzero(~np.isfinite(difference))[0])
        raise ValueError(
            f"row {row}: predicted {predicted[row]}, rated {actual[row]}; expected finite numbers. Drop rows "
            "that a model cannot predict from the comparison of all models."
        )
    return difference
