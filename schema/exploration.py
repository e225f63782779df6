"""Tables of the exploration of reviews: numbers, texts and tuples of small records, so that each can become JSON.

A row is a review as it was ingested. An interaction is a pair of user and item, however many rows it has: what a
dataset is made of. Days and months are those of UTC; timestamps are Unix seconds. What needs ratings or timestamps is
made of the rows that have one, and is None where none has. `pydantic.TypeAdapter(Exploration)` reads the JSON again.
"""

from dataclasses import dataclass

from schema.distributions import Bar, Distribution, Side
from schema.suspects import Suspects


@dataclass(frozen=True)
class Summary:
    """How many rows, users and items there are, and over which time.

    Attributes:
        n_rows, n_users, n_items: Of the file; none is left out.
        n_interactions: Distinct pairs of user and item.
        n_repeated: Rows of a pair that an earlier row has already: n_rows - n_interactions.
        n_identical: Those of them that have the rating and the timestamp of an earlier row too.
        density: Interactions as a share of all pairs that there could be, in [0, 1].
        n_without_rating, n_without_timestamp: Rows that lack it.
        n_users_alike, n_items_alike: Ids that are another one's but for blanks in them, the first of each left out;
            they count as different users and items, as in a training.
        first, last: Earliest and latest timestamp; None where there are none.
        n_days: Days with a row.
        span_days: Days from the first to the last, both included; 0 where there are no timestamps.
    """

    n_rows: int
    n_users: int
    n_items: int
    n_interactions: int
    n_repeated: int
    n_identical: int
    density: float
    n_without_rating: int
    n_without_timestamp: int
    n_users_alike: int
    n_items_alike: int
    first: int | None
    last: int | None
    n_days: int
    span_days: int


@dataclass(frozen=True)
class RatingYear:
    """Ratings of one calendar year: rows that have one, their mean and their standard deviation (by n), in stars."""

    year: int
    n_rows: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class RatingSummary:
    """Ratings of all rows that have one, in the file's unit.

    Attributes:
        distribution: Of the ratings.
        bars: Rows of each rating, ascending; of 20 ranges of one width where there are more than 20 ratings.
        years: From the first to the last that has any, which shows a drift; empty where there are no timestamps.
    """

    distribution: Distribution
    bars: tuple[Bar, ...]
    years: tuple[RatingYear, ...]


@dataclass(frozen=True)
class NamedCount:
    """An id and its interactions."""

    id: str
    n_interactions: int


@dataclass(frozen=True)
class TopShare:
    """The share of all interactions that the top share of users or items has, rounded up to whole ones."""

    top: float
    n: int
    share: float


@dataclass(frozen=True)
class Concentration:
    """How unevenly interactions are spread over users, or over items: their long tail.

    Attributes:
        side: Whose interactions they are.
        distribution: Interactions of each.
        counts: (interactions, how many users or items have exactly so many), ascending: the whole distribution.
        gini: Gini coefficient in [0, 1): 0 where all have the same number.
        top_shares: Of the top 1, 10 and 20 %.
        top: The ten with most interactions, by id where equal.
    """

    side: Side
    distribution: Distribution
    counts: tuple[tuple[int, int], ...]
    gini: float
    top_shares: tuple[TopShare, ...]
    top: tuple[NamedCount, ...]


@dataclass(frozen=True)
class Core:
    """The k-core: what is left once users and items with fewer than k interactions are dropped until none is left."""

    k: int
    n_users: int
    n_items: int
    n_interactions: int


@dataclass(frozen=True)
class Month:
    """Rows of one calendar month; those without a row are there too, with zeros.

    Attributes:
        month: Year and month, as in 2014-07.
        n_rows: Rows.
        n_users, n_items: Different users and items of these rows.
        n_new_users, n_new_items: Those of them with no row in an earlier month.
        n_rows_of_new_users, n_rows_of_new_items: Rows of these.
    """

    month: str
    n_rows: int
    n_users: int
    n_items: int
    n_new_users: int
    n_new_items: int
    n_rows_of_new_users: int
    n_rows_of_new_items: int


@dataclass(frozen=True)
class Season:
    """Rows of a month of the year, or of a day of the week.

    Attributes:
        name: As in January or Monday.
        n_rows: Rows of all years.
        index: Rows a day beside the mean day, 1.0 where equal: of months over whole calendar years, each with the same
            weight, of days of the week over whole weeks. None where there is no whole one.
    """

    name: str
    n_rows: int
    index: float | None


@dataclass(frozen=True)
class Seasons:
    """The twelve months of the year and the seven days of the week, from Monday."""

    months: tuple[Season, ...]
    weekdays: tuple[Season, ...]


@dataclass(frozen=True)
class Lifetimes:
    """How long users, or items, are active.

    Attributes:
        side: Whose.
        days: From the first day with a row to the last; 0 for those of one day.
        bars: How many live for 0 days, 1 to 6, 7 to 29, 30 to 89, 90 to 364, 365 to 729, and 730 or more.
        share_of_one_day: Share that has a single day, in [0, 1].
        gaps: Days between one day with a row and the next of the same user or item; None where nobody has two.
    """

    side: Side
    days: Distribution
    bars: tuple[Bar, ...]
    share_of_one_day: float
    gaps: Distribution | None


@dataclass(frozen=True)
class Link:
    """Two items with the users that have both, and their cosine: users of both by the root of the product of each's."""

    item: str
    other: str
    n_users: int
    cosine: float


@dataclass(frozen=True)
class LinkShare:
    """Items that share at least so many users with another, and with how many others each of all items does so."""

    least_users: int
    share_of_items: float
    others: Distribution


@dataclass(frozen=True)
class CoPurchases:
    """Which items have users in common.

    Attributes:
        n_items_asked: Items that were compared with all others: all, or a random sample where all would take too long.
        n_users_of_several: Users with two items or more, who alone link items.
        links: For 1, 2 and 5 users in common; of the items that were asked.
        n_components: Groups of items between which no user leads from one to another.
        largest_component: Items of the largest group.
        strongest: The ten pairs with most users in common, of those with an item that was asked.
    """

    n_items_asked: int
    n_users_of_several: int
    links: tuple[LinkShare, ...]
    n_components: int
    largest_component: int
    strongest: tuple[Link, ...]


@dataclass(frozen=True)
class Moments:
    """How much order the timestamps hold.

    Attributes:
        n_interactions: Interactions with a timestamp, the first of each pair; all shares are of these.
        share_of_shared_second: Share of which the same user has another at the same second.
        share_of_shared_day: The same of the same day.
        share_with_past: Share of which the same user has another of an earlier day.
        share_at_midnight: Share at 00:00:00: where it is 1, timestamps hold days and no hours.
        largest_day: Largest share that one day has.
        n_days: Days with an interaction.
        per_second, per_day: (interactions, how often a user has exactly so many at one second, or on one day),
            ascending.
    """

    n_interactions: int
    share_of_shared_second: float
    share_of_shared_day: float
    share_with_past: float
    share_at_midnight: float
    largest_day: float
    n_days: int
    per_second: tuple[tuple[int, int], ...]
    per_day: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Exploration:
    """Everything that is found in reviews before anything is trained on them.

    Attributes:
        cores: For k = 1 to 20; each lies within the one before.
        months: From the first month to the last; empty where there are no timestamps.
        lifetimes: Of users, then of items; empty where there are no timestamps.
        suspects: One entry for each test that the data allow.
    """

    summary: Summary
    ratings: RatingSummary | None
    activity: Concentration
    popularity: Concentration
    cores: tuple[Core, ...]
    months: tuple[Month, ...]
    seasons: Seasons | None
    lifetimes: tuple[Lifetimes, ...]
    co_purchases: CoPurchases
    moments: Moments | None
    suspects: tuple[Suspects, ...]
