"""Baselines that recommend what many have: popularity, and popularity of late."""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.base import Interactions, ModelKind, NoOptions, Parameters
from models.factors import SharedOrder
from schema.arrays import Floats, Indices
from schema.options import FrozenModel

SECONDS_PER_DAY = 86_400


class PopularityOptions(FrozenModel):
    """How recent popularity forgets."""

    popularity_half_life_days: float = Field(
        90.0, gt=0, description="recent popularity: age in days at which an interaction counts half"
    )


class Popularity(ModelKind[NoOptions]):
    """Items by their number of interactions, the same for everybody."""

    name = "popularity"
    options = NoOptions
    fitted = SharedOrder
    is_baseline = True
    is_impersonal = True
    is_same_for_all = True
    role = "popular"

    def fit(self, interactions: Interactions, parameters: Parameters) -> SharedOrder:  # noqa: ARG002 - it has none
        """Count the interactions of each item."""
        return _same_for_all(count_interactions(interactions.item_idx, interactions.n_items), interactions.n_users)


class RecentPopularity(ModelKind[PopularityOptions]):
    """Items by their number of interactions, each halved per half-life of its age."""

    name = "recent-popularity"
    options = PopularityOptions
    fitted = SharedOrder
    needs = frozenset({"timestamps"})
    is_baseline = True
    is_impersonal = True
    is_same_for_all = True

    def fit(self, interactions: Interactions, parameters: Parameters) -> SharedOrder:
        """Sum up the interactions of each item, weighted by their age."""
        half_life = PopularityOptions(**parameters).popularity_half_life_days
        weights = weigh_by_age(interactions.timestamp, half_life)
        return _same_for_all(
            count_interactions(interactions.item_idx, interactions.n_items, weights), interactions.n_users
        )


def count_interactions(
    item_idx: Indices, n_items: int, weights: NDArray[np.floating] | None = None
) -> NDArray[np.number]:
    """Return the number of interactions of each item, or the sum of their weights.

    Example:
        >>> count_interactions(np.array([1, 1, 0]), n_items=3).tolist()
        [1, 2, 0]
    """
    return np.bincount(item_idx, weights, minlength=n_items)


def weigh_by_age(timestamp: Indices, half_life_days: float) -> Floats:
    """Return 0.5 ** (age / half-life) of each interaction, its age counted from the latest of all.

    Args:
        timestamp: Unix seconds of each interaction.
        half_life_days: Days, above 0.

    Raises:
        ValueError: If a timestamp is missing or half_life_days is not above 0.

    Example:
        >>> weigh_by_age(np.array([0, 10, 5]) * 86_400, half_life_days=5).tolist()
        [0.25, 1.0, 0.5]
    """
    if not np.isfinite(timestamp).all():
        raise ValueError(
            f"{int((~np.isfinite(timestamp)).sum())} of {len(timestamp)} interactions have no timestamp; "
            "recent popularity needs Unix seconds in each. Use popularity, or ingest again with timestamps "
            "kept."
        )
    if half_life_days <= 0:
        raise ValueError(f"half-life is {half_life_days} days; expected a number above 0, such as 90.")
    age_days = (timestamp.max(initial=0) - timestamp) / SECONDS_PER_DAY
    return np.asarray(0.5 ** (age_days / half_life_days))


def _same_for_all(scores: NDArray[np.number], n_users: int) -> SharedOrder:
    return SharedOrder(np.ones((n_users, 1), dtype=np.float32), scores.astype(np.float32)[:, None])
