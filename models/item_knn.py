"""A baseline that ranks by item neighbours: items that share users with those a user has seen."""

from types import MappingProxyType

import numpy as np
from pydantic import Field

from models.base import Interactions, ModelKind, Parameters
from models.content import ROOM, Room, add_borrowed
from models.cooccurrence import Events
from models.item_item import ItemItemModel
from models.space import Range
from schema.arrays import Floats, Indices
from schema.options import FrozenModel


class ItemKnnOptions(FrozenModel):
    """How many neighbours an item has, how similarities of rare items are shrunk, and how much room new items get."""

    knn_neighbours: int = Field(100, ge=1, description="item neighbours: most similar items kept of each item")
    knn_shrinkage: float = Field(
        10.0,
        ge=0,
        allow_inf_nan=False,
        description="item neighbours: added to the divisor of each similarity, which draws those of rare items to zero",
    )
    knn_room: Room = ROOM


class ItemKnn(ModelKind[ItemKnnOptions]):
    """Links each item to those which share most users with it.

    similarity(i, j) = c_ij / (sqrt(c_i c_j) + shrinkage), where c counts users: the cosine of Sarwar et al.,
    "Item-based collaborative filtering recommendation algorithms" (WWW 2001), shrunk as in Bell and Koren,
    "Improved neighborhood-based collaborative filtering" (KDD Cup 2007), in the form of Ferrari Dacrema et al.,
    "Are we really making much progress?" (RecSys 2019). Equal similarities are ordered by item index. Where the content
    of items is known, new ones borrow links (`models.content.add_borrowed`).
    """

    name = "item-knn"
    refits = 5
    room = "knn_room"
    is_cheap = True
    options = ItemKnnOptions
    fitted = ItemItemModel
    is_automatic = False
    is_baseline = True
    knows_histories_only = True
    folder = "similarities"
    ranges = MappingProxyType(
        {"knn_neighbours": Range(20, 1000, is_log=True, is_integer=True), "knn_shrinkage": Range(0, 200)}
    )

    def fit(self, interactions: Interactions, parameters: Parameters) -> ItemItemModel:
        """Find the neighbours of each item; a pair that is repeated counts once.

        Raises:
            ValueError: If an index is outside the users or items.

        Example:
            >>> interactions = Interactions.of(2, 2, user_idx=[0, 0, 1], item_idx=[0, 1, 1])
            >>> model = ItemKnn().fit(interactions, {"knn_shrinkage": 0})
            >>> model.neighbours.tolist(), round(float(model.strengths[0]), 4)
            ([1, 0], 0.7071)
        """
        options, events = ItemKnnOptions(**parameters), Events.of(interactions, with_times=False)
        n_users_of = events.n_users_of

        def shrink(item: Indices, other: Indices, n_common: Floats) -> Floats:
            return np.asarray(n_common / (np.sqrt(n_users_of[item] * n_users_of[other]) + options.knn_shrinkage))

        found = events.link(np.ones(interactions.n_users), shrink, options.knn_neighbours)
        links = add_borrowed(found, n_users_of, interactions.content, options.knn_room)
        return ItemItemModel(*links, interactions.n_users, interactions.n_items)
