"""Baselines that predict ratings: the global mean, and damped user and item biases."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.factors import FactorModel


class BiasOptions(BaseModel):
    """How strongly biases of users and items with few ratings are drawn to zero."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item_damping: float = Field(25.0, ge=0, description="bias baseline: ratings of 0 bias added to each item")
    user_damping: float = Field(10.0, ge=0, description="bias baseline: ratings of 0 bias added to each user")


def fit_global_mean(rating: NDArray[np.floating], n_users: int, n_items: int) -> FactorModel:
    """Return the model that predicts the mean rating for every pair; it cannot rank.

    Raises:
        ValueError: If there is no rating, or one is missing.

    Example:
        >>> model = fit_global_mean(np.array([2.0, 5.0]), n_users=1, n_items=1)
        >>> model.predict(np.array([0]), np.array([0])).tolist()
        [3.5]
    """
    users = np.full((n_users, 1), _mean_rating(rating), dtype=np.float32)
    return FactorModel(users, np.ones((n_items, 1), dtype=np.float32))


def fit_bias(
    user_idx: NDArray[np.integer],
    item_idx: NDArray[np.integer],
    rating: NDArray[np.floating],
    n_users: int,
    n_items: int,
    options: BiasOptions,
) -> FactorModel:
    """Return the model that predicts mean + user bias + item bias.

    b_i = sum(r - mean) / (item_damping + n_i), then b_u = sum(r - mean - b_i) / (user_damping + n_u): the
    baseline of Koren, "Factor in the Neighbors" (TKDD 2010), section 2.1. As factors:
    [mean + b_u, 1] · [1, b_i].

    Args:
        user_idx: User of each rating.
        item_idx: Item of each rating.
        rating: Ratings, none missing.
        n_users: Users to make factors for; one without ratings has no bias.
        n_items: Items to make factors for; one without ratings has no bias.
        options: Damping.

    Raises:
        ValueError: If there is no rating, or one is missing.

    Example:
        >>> undamped = BiasOptions(item_damping=0, user_damping=0)
        >>> model = fit_bias(np.array([0, 1]), np.array([0, 1]), np.array([1.0, 5.0]), 2, 2, undamped)
        >>> model.predict(np.array([0, 1]), np.array([0, 1])).tolist()
        [1.0, 5.0]
    """
    mean = _mean_rating(rating)
    item_bias = _damped_mean(item_idx, rating - mean, n_items, options.item_damping)
    user_bias = _damped_mean(user_idx, rating - mean - item_bias[item_idx], n_users, options.user_damping)
    users = np.column_stack([mean + user_bias, np.ones(n_users)])
    items = np.column_stack([np.ones(n_items), item_bias])
    return FactorModel(users.astype(np.float32), items.astype(np.float32))


def _mean_rating(rating: NDArray[np.floating]) -> float:
    if not len(rating) or np.isnan(rating).any():
        raise ValueError(
            f"{int(np.isnan(rating).sum())} of {len(rating)} ratings are missing; expected one or more and "
            "none missing. Fit rankings only (popularity, implicit ALS), or ingest ratings."
        )
    return float(rating.mean(dtype=np.float64))


def _damped_mean(
    index: NDArray[np.integer], values: NDArray[np.floating], n: int, damping: float
) -> NDArray[np.float64]:
    """Return sum(values) / (damping + count) of each index, 0 where there is nothing to divide."""
    total = np.bincount(index, values, minlength=n)
    weight = damping + np.bincount(index, minlength=n)
    return total / np.where(weight > 0, weight, 1.0)
