"""Errors and calibration of predicted ratings."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evaluation.ranking import About
from evaluation.significance import reach_of
from schema.arrays import Floats, Indices
from schema.items_by_user import ItemsByUser
from schema.metric import CalibrationBin, MetricRow

CALIBRATION_BINS = 10
_MOST_REACH = 50.0  # of a logarithm: with two users the interval has no end worth naming, but a finite one

Predict = Callable[[Indices, Indices], NDArray[np.floating]]
"""predict(user_idx, item_idx) -> predicted rating of each pair."""


def rating_errors(
    predict: Predict,
    user_idx: Indices,
    item_idx: Indices,
    rating: NDArray[np.floating],
    seen: ItemsByUser,
    about: About,
) -> list[MetricRow]:
    """Return RMSE and MAE over held-out rows, the same rows for every model, with their intervals over users.

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
    _, row_user, n_rows = np.unique(users, return_inverse=True, return_counts=True)
    counts = n_rows.astype(np.float64)
    squared, absolute = (np.bincount(row_user, e).astype(np.float64) for e in (difference**2, np.abs(difference)))
    low, high = np.sqrt(positive_ratio_interval(squared, counts))
    rmse, mae = float(np.sqrt(squared.sum() / counts.sum())), float(absolute.sum() / counts.sum())
    return [
        MetricRow(*about, "rmse", None, rmse, float(low), float(high), len(counts)),
        MetricRow(*about, "mae", None, mae, *positive_ratio_interval(absolute, counts), len(counts)),
    ]


def positive_ratio_interval(numerator: Floats, denominator: Floats) -> tuple[float, float]:
    """Return the interval of sum(numerator) / sum(denominator), where neither is below 0, over users.

    By Student's t on the logarithm of the ratio, with the jackknife's standard error (Cochran, Sampling Techniques,
    1977, 6.17). Its degrees of freedom are those of the users who decide it (Kish, Survey Sampling, 1965): where few
    users have most of the sum, resampled users give intervals that are too narrow and too low.

    Args:
        numerator: Shape (n_users).
        denominator: Shape (n_users), above 0.

    Example:
        >>> [round(end, 2) for end in positive_ratio_interval(np.arange(1.0, 41.0), np.ones(40))]
        [17.0, 24.72]
    """
    total = float(denominator.sum())
    ratio, shares = float(numerator.sum()) / total, denominator / total
    if not ratio or shares.max() == 1:
        return ratio, ratio
    pulls = ((numerator - ratio * denominator) / (1 - shares)) ** 2
    if not pulls.any():
        return ratio, ratio
    error = float(np.sqrt(pulls.sum() * (1 - 1 / len(pulls)))) / total
    n_effective = float(pulls.sum() ** 2 / (pulls**2).sum())
    factor = float(np.exp(min(reach_of(n_effective) * error / ratio, _MOST_REACH)))
    return ratio / factor, ratio * factor


def calibrate(predicted: Floats, actual: Floats) -> list[CalibrationBin]:
    """Return mean predicted and actual ratings of ten groups of rows of nearly equal size, by predicted rating.

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


def _differences(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> Floats:
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
