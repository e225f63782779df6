"""Item graph: items linked by the users they share, in the order of time where it is known."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Literal

import numpy as np
from pydantic import Field

from models.base import Interactions, ModelKind, Parameters
from models.content import ROOM, Room, add_borrowed
from models.cooccurrence import Direction, Events
from models.engine import Spark
from models.item_item import NOT_AGED, Ages, ItemItemModel
from models.paths import Links
from models.space import Range, Space
from schema.arrays import Floats, Indices
from schema.options import FrozenModel


class ItemGraphOptions(FrozenModel):
    """How many links an item has, whether times count, and how much room new items get."""

    graph_neighbours: int = Field(200, ge=1, description="item graph: strongest links kept of each item")
    graph_time: Literal["auto", "off"] = Field(
        "auto", description="item graph: auto uses the times of events where all have one, off never does"
    )
    graph_user_items: int = Field(
        1000, ge=1, description="item graph: newest items of a user that count; its pairs grow with their square"
    )
    graph_engine: Literal["local", "spark"] = Field(
        "local",
        description="item graph: what finds the links, this machine or Spark, for more interactions than it can hold; "
        "refits within a part of a rolling split are made on this machine all the same",
    )
    graph_room: Room = ROOM


TIME_ONLY = frozenset({"backward", "gap_decay", "decay"})
TIMED = {"user_damping": 0.2, "power": 1.1, "source_damping": 0.75, "target_damping": 0.45}


class ItemGraphParameters(FrozenModel):
    """Parameters of a candidate; where times count, the defaults of `TIMED` take the place of these.

    Attributes:
        neighbours: Strongest links kept of each item.
        time: "auto" uses the times of events where all have one, "off" never does.
        user_items: Newest items of a user that count, of one moment those of lowest index.
        engine: "spark" has Spark find the links, where it is given; strengths are the same to 1e-6.
        user_damping: Power of 1 / n of a user with n items.
        power: Power of the sum over shared users.
        source_damping: Power of 1 / n of the item that a link starts at.
        target_damping: Power of 1 / n of the item that it leads to.
        backward: How much a link back in time counts, beside one forward.
        gap_decay: How much a pair of events counts for each moment between them.
        decay: How much an item of a history counts for each later moment.
        half_life_days: Age at which it counts half of that.
        room: What links are multiplied by that new items borrow by their content.
    """

    neighbours: int = Field(200, ge=1)
    time: Literal["auto", "off"] = "auto"
    user_items: int = Field(1000, ge=1)
    engine: Literal["local", "spark"] = "local"
    user_damping: float = Field(0.35, ge=0, le=4)
    power: float = Field(1.4, gt=0, le=4)
    source_damping: float = Field(0.45, ge=0, le=4)
    target_damping: float = Field(0.15, ge=0, le=4)
    backward: float = Field(0.4, ge=0, le=1)
    gap_decay: float = Field(0.85, gt=0, le=1)
    decay: float = Field(0.65, gt=0, le=1)
    half_life_days: float = Field(365.0, gt=0)
    room: Room = ROOM


class ItemGraph(ModelKind[ItemGraphOptions]):
    """Links items by the users they share, and ranks by the links of a history.

    W_ij = (sum over the users u of i and j of n_u^-user_damping)^power * n_i^-source_damping * n_j^-target_damping,
    where n counts the items of a user and the users of an item; the strongest of each i are kept. The score of j is the
    sum of W_ij over the items i of a history. Power 1 and dampings 1, 1 and beta give RP3beta (Paudel et al.,
    "Updatable, accurate, diverse, and scalable recommendations for interactive applications", ACM TiiS 2017).

    With times, a link counts in the order of its events (`models.cooccurrence.Direction`) and an item of a history by
    its age (`models.ages.weigh_histories`). Where the content of items is known, new ones borrow links
    (`models.content.add_borrowed`).
    """

    name = "item-graph"
    options = ItemGraphOptions
    fitted = ItemItemModel
    groups = frozenset({"graph", "blend"})
    knows_histories_only = True
    refits = 5
    room = "room"
    is_cheap = True
    folder = "links"
    ranges = MappingProxyType(
        {
            "user_damping": Range(0, 0.8),
            "power": Range(0.8, 1.8),
            "source_damping": Range(0.2, 1),
            "target_damping": Range(0, 0.7),
            "backward": Range(0.1, 1),
            "gap_decay": Range(0.6, 1),
            "decay": Range(0.4, 1),
        }
    )

    def space(self, options: ItemGraphOptions, *, has_timestamps: bool) -> Space:
        """Return what a search draws: of time, only where it counts, around what is usual there."""
        is_timed = has_timestamps and options.graph_time == "auto"
        usual = ItemGraphParameters(**(TIMED if is_timed else {})).model_dump()
        drawn = {name: one for name, one in self.ranges.items() if is_timed or name not in TIME_ONLY}
        return {name: replace(one, usual=usual[name]) for name, one in drawn.items()}

    def candidates(self, options: ItemGraphOptions) -> Iterable[Parameters]:
        """Yield the one with the usual parameters."""
        yield {name.removeprefix("graph_"): value for name, value in options.model_dump().items()}

    def fit(self, interactions: Interactions, parameters: Parameters) -> ItemItemModel:
        """Link each item to others; of a pair that is repeated, the latest counts.

        Raises:
            ValueError: If an index is outside the users or items.

        Example:
            >>> columns = {"user_idx": [0, 0, 1, 1], "item_idx": [0, 1, 1, 2], "timestamp": [10, 20, 10, 20]}
            >>> model = ItemGraph().fit(Interactions.of(2, 3, **columns), {"backward": 0.1})
            >>> model.similarities(1, np.array([0, 2])).astype(float).round(2).tolist()
            [0.08, 1.0]
        """
        asked = ItemGraphParameters(**parameters)
        with_times = asked.time == "auto"
        link: Callable[[ItemGraphParameters], tuple[Links, Indices]]
        if asked.engine == "spark" and interactions.spark:
            is_timed = with_times and interactions.spark.has_times()
            link = partial(_link_by_spark, interactions.spark, is_timed)
        else:
            events = Events.of(interactions, with_times=with_times).newest(asked.user_items)
            is_timed = events.timestamp is not None
            link = partial(_link, events)
        chosen = ItemGraphParameters(**{**TIMED, **parameters}) if is_timed else asked
        ages = Ages(chosen.decay, chosen.half_life_days) if is_timed else NOT_AGED
        links, n_users_of = link(chosen)
        links = add_borrowed(links, n_users_of, interactions.content, chosen.room)
        return ItemItemModel(*links, interactions.n_users, interactions.n_items, ages)


def _link_by_spark(spark: Spark, is_timed: bool, chosen: ItemGraphParameters) -> tuple[Links, Indices]:
    shown = chosen.model_dump(exclude={"time", "engine", "decay", "half_life_days", "room"})
    indptr, items, strengths, n_users_of = spark.link({"is_timed": is_timed, **shown})
    return Links(indptr, items, strengths), n_users_of


def _link(events: Events, chosen: ItemGraphParameters) -> tuple[Links, Indices]:
    """Return the links, and the number of users of each item."""
    n_users_of = np.maximum(events.n_users_of, 1.0)
    source, target = n_users_of**-chosen.source_damping, n_users_of**-chosen.target_damping

    def damp(item: Indices, other: Indices, shared: Floats) -> Floats:
        return np.asarray(shared**chosen.power * source[item] * target[other])

    user_weight = np.maximum(events.n_items_of, 1.0) ** -chosen.user_damping
    direction = None if events.timestamp is None else Direction(chosen.backward, chosen.gap_decay)
    return events.link(user_weight, damp, chosen.neighbours, direction), events.n_users_of
