"""Baselines that predict ratings: the global mean, and damped user and item biases."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.base import Interactions, ModelKind, NoOptions, Parameters
from models.factors import SharedOrder
from schema.arrays import Floats, Indices
from schema.options import FrozenModel


class BiasOptions(FrozenModel):
    """How strongly biases of users and items with few ratings are drawn to zero."""

    item_damping: float = Field(25.0, ge=0, description="bias baseline: ratings of 0 bias added to each item")
    user_damping: float = Field(10.0, ge=0, description="bias baseline: ratings of 0 bias added to each user")


class GlobalMean(ModelKind[NoOptions]):
    """The mean rating for every pair; its order is that of ties, so it cannot rank."""

    name = "global-mean"
    options = NoOptions
    fitted = SharedOrder
    needs = frozenset({"ratings"})
    is_baseline = True
    predicts_ratings = True
    ranks = False
    is_same_for_all = True

    def fit(self, interactions: Interactions, parameters: Parameters) -> SharedOrder:  # noqa: ARG002 - it has none
        """Average the ratings.

        Raises:
            ValueError: If there is no rating, or one is missing.
        """
        mean = np.full((interactions.n_items, 1), mean_rating(interactions.rating), dtype=np.float32)
        return SharedOrder(np.ones((interactions.n_users, 1), dtype=np.float32), mean)


class Bias(ModelKind[BiasOptions]):
    """Mean plus user bias plus item bias: the baseline of Koren, "Factor in the Neighbors" (TKDD 2010), section 2.1.

    b_i = sum(r - mean) / (item_damping + n_i), then b_u = sum(r - mean - b_i) / (user_damping + n_u). As factors:
    [mean + b_u, 1] · [1, b_i]. A user or item without ratings has no bias.
    """

    name = "bias"
    options = BiasOptions
    fitted = SharedOrder
    needs = frozenset({"ratings"})
    is_baseline = True
    predicts_ratings = True
    is_same_for_all = True

    def fit(self, interactions: Interactions, parameters: Parameters) -> SharedOrder:
        """Average the deviations of each item's ratings from the mean, then of each user's from that.

        Raises:
            ValueError: If there is no rating, or one is missing.
        """
        options = BiasOptions(**parameters)
        user_idx, item_idx, rating = interactions.user_idx, interactions.item_idx, interactions.rating
        mean = mean_rating(rating)
        item_bias = _damped_mean(item_idx, rating - mean, interactions.n_items, options.item_damping)
        left = rating - mean - item_bias[item_idx]
        user_bias = _damped_mean(user_idx, left, interactions.n_users, options.user_damping)
        users = np.column_stack([mean + user_bias, np.ones(interactions.n_users)])
        items = np.column_stack([np.ones(interactions.n_items), item_bias])
        return SharedOrder(users.astype(np.float32), items.astype(np.float32))


def mean_rating(rating: NDArray[np.floating]) -> float:
    """Return the mean of ratings, summed in double precision.

    Raises:
        ValueError: If there is no rating, or one is missing.
    """
    if not len(rating) or np.isnan(rating).any():
        raise ValueError(
            f"{int(np.isnan(rating).sum())} of {len(rating)} ratings are missing; expected one or more and "
            "none missing. Fit rankings only (popularity, implicit ALS), or ingest ratings."
        )
    return float(rating.mean(dtype=np.float64))


def _damped_mean(index: Indices, values: NDArray[np.floating], n: int, damping: float) -> Floats:
    """Return sum(values) / (damping + count) of each index, 0 where there is nothing to divide."""
    total = np.bincount(index, values, minlength=n)
    weight = damping + np.bincount(index, minlength=n)
    return total / np.where(weight > 0, weight, 1.0)
