"""EASE: each item regressed on all others, or on its nearest where there are too many, from who has what."""

from types import MappingProxyType
from typing import Literal

import numpy as np
from pydantic import Field, PositiveInt

from models.base import Interactions, ModelKind, Parameters
from models.content import ROOM, Room, add_borrowed
from models.cooccurrence import Direction, Events
from models.item_item import NOT_AGED, Ages, ItemItemModel
from models.item_regression import Regression
from models.paths import Links, stack
from models.space import Range
from schema.options import FrozenModel

MEGABYTE = 1_000_000


class EaseOptions(FrozenModel):
    """What EASE is fitted with, and up to which size as a whole."""

    ease_reg: float = Field(
        30.0, gt=0, allow_inf_nan=False, description="EASE: regularisation, in units of the mean weight of an item"
    )
    ease_dropout: float = Field(
        0.5, ge=0, lt=1, description="EASE: share of each history that is dropped in learning, on average"
    )
    ease_user_damping: float = Field(0.35, ge=0, le=4, description="EASE: power of 1 / n of a user with n items")
    ease_source_damping: float = Field(
        0.3, ge=0, le=4, description="EASE: power of 1 / n of the item that a link starts at, with n users"
    )
    ease_target_damping: float = Field(
        0.15, ge=0, le=4, description="EASE: power of 1 / n of the item that a link leads to, with n users"
    )
    ease_neighbours: PositiveInt = Field(200, description="EASE: strongest links kept of each item")
    ease_memory_mb: PositiveInt = Field(
        1000,
        description="EASE: memory in megabytes for matrices of all pairs of items; with more items than fit, each is "
        "regressed on its nearest alone",
    )
    ease_nearest: PositiveInt = Field(300, description="EASE: how many those are")
    ease_user_items: PositiveInt = Field(
        1000, description="EASE: newest items of a user that count; its pairs grow with their square"
    )
    ease_time: Literal["auto", "off"] = Field(
        "auto", description="EASE: auto uses the times of events where all have one, off never does"
    )
    ease_backward: float = Field(
        0.5, ge=0, le=1, description="EASE, with times: how much a pair counts against the order of its events"
    )
    ease_gap_decay: float = Field(
        0.9, gt=0, le=1, description="EASE, with times: factor of a pair for each moment between its events"
    )
    ease_decay: float = Field(
        0.7, gt=0, le=1, description="EASE, with times: factor of an item of a history for each later moment"
    )
    ease_half_life_days: float = Field(
        365.0, gt=0, allow_inf_nan=False, description="EASE, with times: days in which it loses half of what it counts"
    )
    ease_room: Room = ROOM


class Ease(ModelKind[EaseOptions]):
    """Links each item to others by the ridge regression of it on them, the link to itself held at 0.

    With G_ij the sum over the users u of i and j of n_u^-user_damping, P the inverse of G + L and L diagonal, of
    reg * mean(G_kk) + dropout / (1 - dropout) * G_ii, it is B = P C - P diag(c), where c is such that the diagonal of B
    is 0; the columns of B are what history items say of a target. Where C is G, that is B_ij = -P_ij / P_jj: EASE
    (Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019), with the L of EDLAE (Steck, "Autoencoders
    that don't overfit towards the identity", NeurIPS 2020). With times, C counts pairs in the order of their events
    (`models.cooccurrence.Direction`), as Choi et al. regress later items on earlier ones ("Session-aware linear
    item-item models", WWW 2021), and a history is weighted by age. Links are B_ij n_i^-source_damping
    n_j^-target_damping, negative ones among them; the strongest of each i by size are kept.

    Items that nobody has are left out, of the mean as well.

    With too many items for their matrices, each item is regressed on its nearest alone: those of the largest G_ij^2 /
    ((G + L)_ii (G + L)_jj), as of Steck, "Markov random fields for collaborative filtering" (NeurIPS 2019).

    Where the content of items is known, new ones borrow links (`models.content.add_borrowed`).
    """

    name = "ease"
    options = EaseOptions
    fitted = ItemItemModel
    groups = frozenset({"blend"})
    is_automatic = False
    cost = 3
    knows_histories_only = True
    folder = "links"
    room = "ease_room"
    shown = ("ease_reg", "ease_dropout")
    ranges = MappingProxyType(
        {
            "ease_reg": Range(2, 200, is_log=True),
            "ease_dropout": Range(0, 0.8),
            "ease_user_damping": Range(0, 1),
            "ease_source_damping": Range(0, 0.6),
            "ease_target_damping": Range(0, 0.5),
            "ease_decay": Range(0.4, 1),
        }
    )

    def fit(self, interactions: Interactions, parameters: Parameters) -> ItemItemModel:
        """Regress each item on others; of a pair that is repeated, the latest counts.

        Raises:
            ValueError: If an index is outside the users or items.

        Example:
            >>> interactions = Interactions.of(3, 3, user_idx=[0, 0, 1, 1, 2, 2], item_idx=[0, 1, 0, 1, 0, 2])
            >>> model = Ease().fit(interactions, {"ease_reg": 0.1, "ease_dropout": 0, "ease_time": "off"})
            >>> bool(model.strengths.min() < 0 < model.strengths.max())
            True
        """
        given = EaseOptions(**parameters)
        events = Events.of(interactions, with_times=given.ease_time == "auto").newest(given.ease_user_items)
        is_timed = events.timestamp is not None
        links = _regress(events, given)
        links = add_borrowed(links, events.n_users_of, interactions.content, given.ease_room)
        ages = Ages(given.ease_decay, given.ease_half_life_days) if is_timed else NOT_AGED
        return ItemItemModel(*links, interactions.n_users, interactions.n_items, ages)


def _regress(events: Events, given: EaseOptions) -> Links:
    """Return the links of items that anybody has; others have none."""
    had = np.flatnonzero(events.n_users_of)
    if not len(had):
        return stack([])._replace(indptr=np.zeros(events.n_items + 1, dtype=np.int64))
    regression = Regression.of(
        events.number_items(had),
        user_weight=np.maximum(events.n_items_of, 1.0) ** -given.ease_user_damping,
        reg=given.ease_reg,
        dropout=given.ease_dropout,
        dampings=(given.ease_source_damping, given.ease_target_damping),
        direction=None if events.timestamp is None else Direction(given.ease_backward, given.ease_gap_decay),
    )
    if regression.n_bytes <= given.ease_memory_mb * MEGABYTE:
        found = regression.solve(given.ease_neighbours)
    else:
        found = regression.solve_locally(given.ease_nearest, given.ease_neighbours)
    n_links = np.zeros(events.n_items, dtype=np.int64)
    n_links[had] = np.diff(found.indptr)
    return Links(np.append(0, np.cumsum(n_links)), had[found.targets].astype(np.int32), found.weights)
