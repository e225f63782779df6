"""One user or one item of the reviews, looked up."""

from dataclasses import dataclass

from schema.distributions import Bar, Side


@dataclass(frozen=True)
class Event:
    """A row of the history of a user (with the item) or of an item (with the user)."""

    id: str
    rating: float | None
    timestamp: int | None


@dataclass(frozen=True)
class Neighbour:
    """Another user with common items, or another item with common users.

    Attributes:
        id: Of the other one.
        n_common: How many both have.
        cosine: n_common by the root of the product of how many each has, in (0, 1].
    """

    id: str
    n_common: int
    cosine: float


@dataclass(frozen=True)
class LookUp:
    """One user or one item: its history and its neighbours.

    Attributes:
        side: What was looked up.
        id: Its id.
        n_rows: Its rows.
        n_interactions: Its items, or users.
        place: Its place by interactions among all, from 1; those with as many have the same.
        mean_rating: Of its rows that have one; None where none has.
        bars: Its rows of each rating, as in RatingSummary.
        first, last: Its earliest and latest timestamp; None where there are none.
        history: Its rows, the newest first; at most so many as were asked for.
        by_count: Those who have most in common with it, the most first, then by cosine, then by id.
        by_cosine: The same, by cosine first.
    """

    side: Side
    id: str
    n_rows: int
    n_interactions: int
    place: int
    mean_rating: float | None
    first: int | None
    last: int | None
    bars: tuple[Bar, ...]
    history: tuple[Event, ...]
    by_count: tuple[Neighbour, ...]
    by_cosine: tuple[Neighbour, ...]
