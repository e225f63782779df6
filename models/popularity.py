"""Baselines that rank without knowing the user: popularity, recent popularity and chance."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.factors import FactorModel

SECONDS_PER_DAY = 86_400
RANDOM_RANK = 16


class PopularityOptions(BaseModel):
    """How recent popularity forgets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    popularity_half_life_days: float = Field(
        90.0, gt=0, description="recent popularity: age in days at which an interaction counts half"
    )


def fit_popularity(item_idx: NDArray[np.integer], n_users: int, n_items: int) -> FactorModel:
    """Return the model that scores each item by its number of interactions.

    Example:
        >>> fit_popularity(np.array([1, 1, 0]), n_users=1, n_items=3).item_factors.ravel().tolist()
        [1.0, 2.0, 0.0]
    """
    return _same_for_all(np.bincount(item_idx, minlength=n_items), n_users)


def fit_recent_popularity(
    item_idx: NDArray[np.integer],
    timestamp: NDArray[np.integer],
    n_users: int,
    n_items: int,
    half_life_days: float,
) -> FactorModel:
    """Return the model that scores each item by its interactions, each halved per half-life of its age.

    Score = sum of 0.5 ** (age / half-life), age counted from the latest interaction of all.

    Args:
        item_idx: Item of each interaction.
        timestamp: Unix seconds of each interaction.
        n_users: Users to make factors for.
        n_items: Items to make factors for.
        half_life_days: Days, above 0.

    Raises:
        ValueError: If a timestamp is missing or half_life_days is not above 0.

    Example:
        >>> times = np.array([0, 0, 10, 10]) * 86_400
        >>> model = fit_recent_popularity(np.array([0, 0, 1, 2]), times, 1, 3, half_life_days=5)
        >>> model.item_factors.ravel().tolist()
        [0.5, 1.0, 1.0]
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
    return _same_for_all(np.bincount(item_idx, 0.5 ** (age_days / half_life_days), minlength=n_items), n_users)


def draw_random_model(n_users: int, n_items: int, seed: int) -> FactorModel:
    """Return a model of chance: seeded random directions, so that no item is favoured.

    Example:
        >>> draw_random_model(n_users=2, n_items=3, seed=42).item_factors.shape
        (3, 16)
    """
    generator = np.random.default_rng(seed)
    users = generator.standard_normal((n_users, RANDOM_RANK), dtype=np.float32)
    items = generator.standard_normal((n_items, RANDOM_RANK), dtype=np.float32)
    return FactorModel(users, items / np.linalg.norm(items, axis=1, keepdims=True))


def _same_for_all(scores: NDArray[np.number], n_users: int) -> FactorModel:
    return FactorModel(np.ones((n_users, 1), dtype=np.float32), scores.astype(np.float32)[:, None])
