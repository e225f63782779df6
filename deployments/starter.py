"""A kind of model to begin with: items by how many have them, where a user with few items counts more."""

from types import MappingProxyType

import numpy as np
from pydantic import Field

from models.base import Interactions, ModelKind, Parameters
from models.factors import SharedOrder
from models.space import Range
from schema.options import FrozenModel


class StarterOptions(FrozenModel):
    """How much less users with many items count."""

    starter_damping: float = Field(0.5, ge=0, le=1, description="starter: power of 1 / n of a user with n items")


class Starter(ModelKind[StarterOptions]):
    """Items by the sum over their users of (1 / n) ** damping, for a user with n items; the same for everybody."""

    name = "starter"
    options = StarterOptions
    fitted = SharedOrder
    is_automatic = False
    is_same_for_all = True
    shown = ("starter_damping",)
    ranges = MappingProxyType({"starter_damping": Range(0, 1)})

    def fit(self, interactions: Interactions, parameters: Parameters) -> SharedOrder:
        """Sum up what the users of each item count."""
        damping = StarterOptions(**parameters).starter_damping
        n_held = np.bincount(interactions.user_idx, minlength=interactions.n_users)
        weights = n_held[interactions.user_idx] ** -damping
        scores = np.bincount(interactions.item_idx, weights, minlength=interactions.n_items)
        return SharedOrder(np.ones((interactions.n_users, 1), np.float32), scores.astype(np.float32)[:, None])
