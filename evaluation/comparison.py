"""Two models on the same users: the difference of their means, how sure it is, and what to call it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from evaluation.intervals import mean_interval
from schema.metric import Metric

ALPHA = 0.05
ROUNDING = 1e-12
"""Two values whose distance is within this share of the larger are the same value, summed in another order."""

Outcome = Literal["better", "worse", "no difference shown"]


@dataclass(frozen=True)
class Comparison:
    """A model held against another on the same users.

    Attributes:
        model: Name of the model.
        against: Name of the other model.
        metric: The metric that both are measured by.
        difference: Mean over users of model - against.
        low: Lower end of its 95 % interval, by the paired bootstrap over users (percentiles).
        high: Upper end of that interval.
        p_value: Of the two-sided paired t-test that the mean difference is 0.
        p_adjusted: The same, corrected for the family of comparisons that it was made among (Holm).
        n_users: Users counted.
        lower_is_better: Whether the metric is an error.
    """

    model: str
    against: str
    metric: Metric
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    n_users: int
    lower_is_better: bool = False

    @property
    def verdict(self) -> Outcome:
        """Better or worse where p_adjusted < ALPHA and the interval excludes 0; else no difference is shown."""
        is_shown = self.p_adjusted < ALPHA and (self.low > 0 or self.high < 0)
        if not is_shown:
            return "no difference shown"
        return "better" if (self.difference < 0) == self.lower_is_better else "worse"


def compare_paired(
    model: str,
    against: str,
    metric: Metric,
    values: NDArray[np.float64],
    other_values: NDArray[np.float64],
    *,
    lower_is_better: bool = False,
) -> Comparison:
    """Compare two models by one value of each user; p_adjusted is p_value until adjust is called.

    Args:
        model: Name of the model.
        against: Name of the other model.
        metric: The metric.
        values: The model's values, shape (n).
        other_values: The other's values of the same users in the same order, shape (n).
        lower_is_better: Whether the metric is an error.

    Raises:
        ValueError: If the values are not of the same users, there are none, or some are not finite.

    Example:
        >>> hits, other_hits = np.array([1.0, 1, 1, 0, 1, 1]), np.array([0.0, 0, 0, 0, 0, 1])
        >>> result = compare_paired("als", "popularity", Metric("hit_rate", 10), hits, other_hits)
        >>> round(result.difference, 4), round(result.p_value, 4), result.verdict
        (0.6667, 0.025, 'better')
    """
    _check_values(model, values, against, other_values)
    is_same = np.isclose(values, other_values, rtol=ROUNDING, atol=0)
    differences = np.where(is_same, 0.0, values - other_values)
    low, high = mean_interval(differences)
    p_value = _paired_t_test(differences)
    return Comparison(
        model=model,
        against=against,
        metric=metric,
        difference=float(differences.mean()),
        low=low,
        high=high,
        p_value=p_value,
        p_adjusted=p_value,
        n_users=len(differences),
        lower_is_better=lower_is_better,
    )


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values corrected for testing all of them at once, in the order given (Holm, 1979).

    The i-th smallest of m is multiplied by m - i + 1, is never below the one before it, and is at most 1.

    Raises:
        ValueError: If a p-value is outside 0 to 1 or is not a number.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values are {p.tolist()}; expected numbers from 0 to 1. Leave out tests that failed.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def adjust(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons in the same order, with p_adjusted corrected over the whole family (Holm)."""
    adjusted = holm([comparison.p_value for comparison in comparisons])
    return [replace(comparison, p_adjusted=float(p)) for comparison, p in zip(comparisons, adjusted, strict=True)]


def format_figure(value: float) -> str:
    """Return a figure with four decimals, or with two significant digits where these would leave little of it.

    Example:
        >>> format_figure(0.79791), format_figure(-0.0000214), format_figure(0.0)
        ('0.7979', '-0.000021', '0.0000')
    """
    if value == 0 or abs(value) >= 0.001:
        return f"{value:.4f}"
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def _paired_t_test(differences: NDArray[np.float64]) -> float:
    """Return the two-sided p; 1 for one user, and 1 or 0 where all users differ by the same (0 or not)."""
    if len(differences) == 1:
        return 1.0
    if differences.min() == differences.max():
        return float(differences[0] == 0)
    t = differences.mean() / (differences.std(ddof=1) / np.sqrt(len(differences)))
    return float(2 * stdtr(len(differences) - 1, -abs(t)))


def _check_values(model: str, values: NDArray[np.float64], against: str, other: NDArray[np.float64]) -> None:
    if values.ndim != 1 or values.shape != other.shape or not len(values):
        raise ValueError(
            f"values of {model!r} have the shape {values.shape} and those of {against!r} {other.shape}; expected "
            "one value of each for the same users, one user or more. Evaluate both models on the same users."
        )
    n_bad = int((~np.isfinite(values)).sum() + (~np.isfinite(other)).sum())
    if n_bad:
        raise ValueError(
            f"{n_bad} values of {model!r} and {against!r} are not finite; expected a number for each user. "
            "Leave out users for whom the metric has no value, for both models."
        )
