"""Baselines that recommend what many have: popularity, and popularity of late."""

import numpy as np
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
    refits = None
    is_cheap = True
    role = "popular"

    def fit(self, interactions: Interactions, parameters: Parameters) -> SharedOrder:  # noqa: ARG002 - it has none
        """Count the interactions of each item."""
        return _same_for_all(interactions)


class RecentPopularity(ModelKind[PopularityOptions]):
    """Items by their number of interactions, each halved per half-life of its age."""

    name = "recent-popularity"
    options = PopularityOptions
    fitted = SharedOrder
    needs = frozenset({"timestamps"})
    is_baseline = True
    is_impersonal = True
    is_same_for_all = True
    refits = None
    is_cheap = True

    def fit(self, interactions: Interactions, parameters: Parameters) -> SharedOrder:
        """Sum up the interactions of each item, weighted by their age."""
        half_life = PopularityOptions(**parameters).popularity_half_life_days
        return _same_for_all(interactions, weigh_by_age(interactions.timestamp, half_life))


def weigh_by_age(timestamp: Indices, half_life_days: float) -> Floats:
    """Return 0.5 ** (age / half-life) of each interaction, its age counted from the latest of all.

    Args:
        timestamp: Unix seconds of each interaction.
        half_life_days: Days, above 0.

    Raises:
        ValueError: If a timestamp is missing.

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
    age_days = (timestamp.max(initial=0) - timestamp) / SECONDS_PER_DAY
    return np.asarray(0.5 ** (age_days / half_life_days))


def _same_for_all(interactions: Interactions, weights: Floats | None = None) -> SharedOrder:
    scores = np.bincount(interactions.item_idx, weights, minlength=interactions.n_items)
    return SharedOrder(np.ones((interactions.n_users, 1), dtype=np.float32), scores.astype(np.float32)[:, None])
