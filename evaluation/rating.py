"""Errors of predicted ratings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.significance import ratio_interval
from schema.items_by_user import ItemsByUser
from schema.metric import MetricRow

Predict = Callable[[NDArray[np.integer], NDArray[np.integer]], NDArray[np.floating]]
"""predict(user_idx, item_idx) -> predicted rating of each pair."""


def rmse(predicted: Sequence[float] | NDArray[np.floating], actual: Sequence[float] | NDArray[np.floating]) -> float:
    """Return the root of the mean squared difference, in the unit of the ratings.

    Raises:
        ValueError: If the two are empty or of different lengths.

    Example:
        >>> rmse([4.0, 2.0], [5.0, 2.0]) == 0.5 ** 0.5
        True
    """
    return float(np.sqrt(np.mean(_differences(predicted, actual) ** 2)))


def mae(predicted: Sequence[float] | NDArray[np.floating], actual: Sequence[float] | NDArray[np.floating]) -> float:
    """Return the mean absolute difference, in the unit of the ratings; errors as in rmse.

    Example:
        >>> mae([4.0, 2.0], [5.0, 2.0])
        0.5
    """
    return float(np.mean(np.abs(_differences(predicted, actual))))


@dataclass(frozen=True, eq=False)
class RatingScores:
    """Sums of errors of each user with a rated row whose user and item are both in train.

    Attributes:
        squared: Sum of squared differences, shape (n_users).
        absolute: Sum of absolute differences, shape (n_users).
        counts: Rows, shape (n_users).
        n_cold_rows: Rows left out, since their user or item has no row in train.
    """

    squared: NDArray[np.float64]
    absolute: NDArray[np.float64]
    counts: NDArray[np.float64]
    n_cold_rows: int

    @property
    def rmse(self) -> float:
        """Root mean squared error over all rows."""
        return float(np.sqrt(self.squared.sum() / self.counts.sum()))

    @property
    def mae(self) -> float:
        """Mean absolute error over all rows."""
        return float(self.absolute.sum() / self.counts.sum())

    def rows(
        self, model: str, parameters: Mapping[str, str | int | float | bool | None], split: str
    ) -> list[MetricRow]:
        """Return RMSE and MAE with their intervals."""
        low, high = np.sqrt(ratio_interval(self.squared, self.counts))
        about = (model, parameters, split)
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

    Rows whose user or item has no row in train (seen) are left out and counted.

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
    return _sum_by_user(users, difference, n_cold_rows=int((~is_warm).sum()))


def _sum_by_user(user_idx: NDArray[np.integer], difference: NDArray[np.float64], n_cold_rows: int) -> RatingScores:
    _, row_user, counts = np.unique(user_idx, return_inverse=True, return_counts=True)
    return RatingScores(
        squared=np.bincount(row_user, difference**2).astype(np.float64),
        absolute=np.bincount(row_user, np.abs(difference)).astype(np.float64),
        counts=counts.astype(np.float64),
        n_cold_rows=n_cold_rows,
    )


def _differences(
    predicted: Sequence[float] | NDArray[np.floating], actual: Sequence[float] | NDArray[np.floating]
) -> NDArray[np.float64]:
    if len(predicted) != len(actual) or not len(actual):
        raise ValueError(
            f"{len(predicted)} predictions for {len(actual)} ratings; expected as many, and one or more. "
            "Predict each held-out row once."
        )
    difference = np.asarray(predicted, dtype=np.float64) - np.asarray(actual, dtype=np.float64)
    if not np.isfinite(difference).all():
        row = int(np.flatnonzero(~np.isfinite(difference))[0])
        raise ValueError(
            f"row {row}: predicted {predicted[row]}, rated {actual[row]}; expected finite numbers. Drop rows "
            "that a model cannot predict from the comparison of all models."
        )
    return difference
