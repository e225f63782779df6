"""Sentences on what an exploration found: the text alternatives of its figures, and what is to be read beside them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from reports.display import EN_DASH, clean_text, format_count, format_number, format_share
from schema.distributions import Side
from schema.exploration import (
    Concentration,
    CoPurchases,
    Core,
    Lifetimes,
    Moments,
    Month,
    RatingSummary,
    RatingYear,
    Season,
    Summary,
)
from schema.outlook import Outlook
from schema.suspects import Suspects

OF_LATE = 12
"""Months that are of late."""
_SUPERLATIVE: dict[Side, str] = {"users": "most active", "items": "most popular"}


def say_day(timestamp: int | None) -> str:
    """Return the day (UTC) of Unix seconds, or a dash.

    Example:
        >>> say_day(1_388_534_399)
        '2013-12-31'
    """
    return EN_DASH if timestamp is None else f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d}"


def say_summary(summary: Summary) -> str:
    """Return how much there is, over which time."""
    span = ""
    if summary.first is not None:
        days = f"{format_count(summary.n_days)} of {format_count(summary.span_days)} days"
        span = f", from {say_day(summary.first)} to {say_day(summary.last)}, on {days}"
    return (
        f"{format_count(summary.n_rows)} rows of {format_count(summary.n_users)} users and "
        f"{format_count(summary.n_items)} items{span}. They are {format_count(summary.n_interactions)} pairs of "
        f"user and item, {format_share(summary.density)} of all that there could be."
    )


def say_ratings(ratings: RatingSummary) -> str:
    """Return the mean rating, its spread and the commonest rating."""
    spread, commonest = ratings.distribution, max(ratings.bars, key=lambda bar: bar.n)
    named = f"{commonest.low:g}" if commonest.low == commonest.high else f"{commonest.low:g} to {commonest.high:g}"
    return (
        f"The mean rating is {spread.mean:.2f}, with a standard deviation of {spread.deviation:.2f}; the commonest, "
        f"{named}, is {format_share(commonest.n / spread.n)} of all."
    )


def say_rating_drift(years: Sequence[RatingYear]) -> str:
    """Return between which means the years lie, and the last beside the first."""
    low, high = min(years, key=lambda year: year.mean), max(years, key=lambda year: year.mean)
    first, last = years[0], years[-1]
    return (
        f"The mean rating of a year lies between {low.mean:.2f} ({low.year}) and {high.mean:.2f} ({high.year}); it was "
        f"{first.mean:.2f} in {first.year} and {last.mean:.2f} in {last.year}."
    )


def say_counts(side: Concentration) -> str:
    """Return the median of the interactions of users, or of items, and the most that one has."""
    spread, once = side.distribution, dict(side.counts).get(1, 0)
    return (
        f"Half of the {side.side} have {format_number(spread.median)} interactions or fewer, one in ten more than "
        f"{format_number(spread.p90)}, and one has {format_number(spread.greatest)}; "
        f"{format_share(once / spread.n)} have a single one."
    )


def say_long_tail(side: Concentration) -> str:
    """Return which shares of the interactions the top users, or items, have, and the Gini coefficient."""
    held = [f"{_percent(top.top)} have {format_share(top.share)}" for top in side.top_shares]
    most = _SUPERLATIVE[side.side]
    return f"Of the {side.side}, the {most} {_list(held)} of all interactions; the Gini coefficient is {side.gini:.2f}."


def say_cores(cores: Sequence[Core]) -> str:
    """Return what the 5-core and the 10-core keep, and the largest k that leaves anything."""
    all_of, left = cores[0], [core for core in cores if core.n_interactions]
    kept = [f"the {core.k}-core keeps {say_core(core, all_of)}" for core in left if core.k in (5, 10)]
    if not left:
        return "There is no interaction."
    end = f"no user and no item is left from k = {left[-1].k + 1} on" if len(left) < len(cores) else ""
    return f"Of the whole, {_list([*kept, *([end] if end else [])])}."


def say_core(core: Core, all_of: Core) -> str:
    """Return the shares of users, items and interactions that a k-core keeps."""
    shares = (
        f"{format_share(getattr(core, f'n_{what}') / getattr(all_of, f'n_{what}'))} of the {what}"
        for what in ("users", "items", "interactions")
    )
    return _list(list(shares))


def say_growth(months: Sequence[Month]) -> str:
    """Return the month of most rows, and the rows of a month of late beside the year before."""
    most = max(months, key=lambda month: month.n_rows)
    late, before = months[-OF_LATE:], months[-2 * OF_LATE : -OF_LATE]
    said = f"Most rows, {format_count(most.n_rows)}, are of {most.month}"
    if not before:
        return f"{said}."
    means = [sum(month.n_rows for month in some) / len(some) for some in (late, before)]
    return (
        f"{said}; the last {len(late)} months have {format_number(round(means[0]))} a month on average, the "
        f"{len(before)} before {format_number(round(means[1]))}."
    )


def say_newcomers(months: Sequence[Month]) -> str:
    """Return which shares of a month's users, items and rows are new, of late."""
    late = months[-OF_LATE:]
    users, items, rows, of_new_users, of_new_items = (
        sum(getattr(month, name) for month in late)
        for name in ("n_users", "n_items", "n_rows", "n_rows_of_new_users", "n_rows_of_new_items")
    )
    new_users, new_items = (sum(getattr(month, f"n_new_{side}") for month in late) for side in ("users", "items"))
    return (
        f"In the last {len(late)} months {_part(new_users, users)} of the users of a month and "
        f"{_part(new_items, items)} of its items are new in it; {_part(of_new_users, rows)} of the rows are of such "
        f"users, whom no model knows by their history, and {_part(of_new_items, rows)} of such items."
    )


def say_seasons(seasons: Sequence[Season]) -> str:
    """Return the busiest and the quietest month, or day of the week, beside the mean day."""
    known = [(season.index, season.name) for season in seasons if season.index is not None]
    if not known:
        return "There is no whole year or week to compare."
    (most, busiest), (least, quietest) = max(known), min(known)
    return f"{busiest} has {most:.2f} times the rows of a mean day, {quietest} {least:.2f} times."


def say_lifetimes(lifetimes: Lifetimes) -> str:
    """Return how many have a single day, for how long half of them are active, and how often."""
    gaps = lifetimes.gaps
    often = f"; half of their days follow the one before within {_days(gaps.median)}" if gaps else ""
    return (
        f"{format_share(lifetimes.share_of_one_day)} of the {lifetimes.side} have rows of a single day, and half are "
        f"active for {_days(lifetimes.days.median)} or less{often}."
    )


def say_co_purchases(links: CoPurchases) -> str:
    """Return how many items share users with another one, and how the items hang together."""
    shares = [f"{format_share(one.share_of_items)} {one.least_users} or more" for one in links.links]
    asked = f" (of {format_count(links.n_items_asked)} items that were compared)"
    said = f"Of the items, these share users with another one{asked}: {_list(shares)}. Users lead from"
    if links.n_components == 1:
        return f"{said} every item to every other."
    return (
        f"{said} one item to another within {format_count(links.n_components)} groups, of which the largest has "
        f"{format_count(links.largest_component)} items."
    )


def say_linked(links: CoPurchases) -> str:
    """Return with how many others an item shares users."""
    halves = [f"{format_number(one.others.median)} others in {one.least_users} or more" for one in links.links]
    return f"Half of the items share users with so many others or fewer: {_list(halves)}."


def say_moments(moments: Moments) -> str:
    """Return which shares share their second or day with another of the same user, and which have a past."""
    said = (
        f"{format_share(moments.share_of_shared_second)} of the interactions share their second, and "
        f"{format_share(moments.share_of_shared_day)} their day, with another of the same user, so that nobody knows "
        f"which came first; {format_share(moments.share_with_past)} come after an earlier day of their user"
    )
    if moments.share_at_midnight == 1:
        return f"{said}. All are at midnight: the timestamps hold days and no hours."
    return f"{said}."


def say_suspects(suspects: Suspects) -> str:
    """Return how many are suspicious for one reason, how many of them chance would show, and the worst."""
    said = (
        f"{suspects.reason.capitalize()}: {format_count(suspects.n_found)} of {format_count(suspects.n_tested)} "
        f"{suspects.side} tested, where chance alone would show {suspects.n_expected:.2g}"
    )
    if not suspects.worst:
        return f"{said}."
    worst = suspects.worst[0]
    when = f", {say_day(worst.first)} to {say_day(worst.last)}" if worst.first is not None else ""
    return (
        f"{said}; above all {clean_text(worst.id, 40)}, with {format_count(worst.n_suspicious)} of "
        f"{format_count(worst.n_interactions)} interactions{when}."
    )


def say_tried(outlook: Outlook) -> str:
    """Return what the yardsticks are, and on how many users and interactions they were measured."""
    sample = "" if outlook.n_tried == outlook.n_evaluated else f" of {format_count(outlook.n_evaluated)}"
    users, wanted = f"{format_count(outlook.n_tried)}{sample} users", f"{format_count(outlook.n_held_out)} interactions"
    return (
        "What a random scorer, popularity, a weak oracle that knows the answers of every tenth user and an oracle that "
        "knows all get where a training compares models: "
        f"means, with 95\u00a0% intervals, over {users} in validation, of whom {wanted} are to be found."
    )


def _percent(share: float) -> str:
    return f"{100 * share:g}\u00a0%"


def _part(n: int, n_all: int) -> str:
    return format_share(n / n_all if n_all else 0.0)


def _days(days: float) -> str:
    return f"{format_number(days)} day{'' if days == 1 else 's'}"


def _list(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)
