"""Tables of an exploration for a reader: rows of text made of the records of `schema.exploration`."""

from collections.abc import Sequence

from reports.display import (
    EN_DASH,
    format_count,
    format_figure,
    format_interval,
    format_number,
    format_share,
    metric_label,
)
from reports.exploration_words import say_day
from reports.tables import TextTable
from schema.distributions import Distribution
from schema.exploration import (
    Concentration,
    CoPurchases,
    Core,
    Lifetimes,
    Moments,
    Month,
    RatingSummary,
    Season,
    Summary,
)
from schema.suspects import Suspects
from schema.verdicts import Guard

_QUANTILES = ("mean", "least", "p10", "p25", "median", "p75", "p90", "p99", "greatest")


def tabulate_summary(summary: Summary) -> TextTable:
    """Return what there is, and what is odd about it, a row each."""
    rows = {
        "rows": summary.n_rows,
        "users": summary.n_users,
        "items": summary.n_items,
        "interactions (different pairs of user and item)": summary.n_interactions,
        "rows that repeat a pair": summary.n_repeated,
        "of these, with the same rating and timestamp": summary.n_identical,
        "rows without a rating": summary.n_without_rating,
        "rows without a timestamp": summary.n_without_timestamp,
        "user ids that are another's but for blanks": summary.n_users_alike,
        "item ids that are another's but for blanks": summary.n_items_alike,
        "days with a row": summary.n_days,
        "days from the first to the last": summary.span_days,
    }
    named = [[name, format_count(n)] for name, n in rows.items()]
    named.append(["share of all pairs that there could be", format_share(summary.density)])
    days = [["first day", say_day(summary.first)], ["last day", say_day(summary.last)]]
    return TextTable(["", ""], named + days)


def tabulate_ratings(ratings: RatingSummary) -> TextTable:
    """Return the rows, the mean and the standard deviation of the ratings of each year, and of all."""
    whole = ratings.distribution
    years = [
        [str(year.year), format_count(year.n_rows), *_decimals(year.mean, year.deviation)] for year in ratings.years
    ]
    rows = [["all", format_count(whole.n), *_decimals(whole.mean, whole.deviation)], *years]
    return TextTable(["year", "rows", "mean rating", "standard deviation"], rows)


def tabulate_distributions(named: dict[str, Distribution]) -> TextTable:
    """Return the mean and the quantiles of each distribution."""
    rows = [
        [name, format_count(one.n), *(_plain(getattr(one, of)) for of in _QUANTILES)] for name, one in named.items()
    ]
    return TextTable(["", "number", *_QUANTILES], rows)


def tabulate_top(side: Concentration) -> TextTable:
    """Return those with most interactions."""
    return TextTable([side.side, "interactions"], [[one.id, format_count(one.n_interactions)] for one in side.top])


def tabulate_tail(sides: Sequence[Concentration]) -> TextTable:
    """Return which share of the interactions the top users and items have, and the Gini coefficient."""
    shares = [f"top {100 * top.top:g} %" for top in sides[0].top_shares]
    rows = [[one.side, *(format_share(top.share) for top in one.top_shares), f"{one.gini:.3f}"] for one in sides]
    return TextTable(["", *shares, "Gini coefficient"], rows)


def tabulate_cores(cores: Sequence[Core]) -> TextTable:
    """Return what each k-core leaves."""
    rows = [[str(core.k), *map(format_count, (core.n_users, core.n_items, core.n_interactions))] for core in cores]
    return TextTable(["k", "users", "items", "interactions"], rows)


def tabulate_yardsticks(guard: Guard) -> TextTable:
    """Return what each yardstick gets by each metric, with its 95 % interval; the one that chooses first."""
    rows = []
    for trial in (guard.wanted, *guard.others):
        cells = (f"{format_figure(one.value)} ({format_interval(one.low, one.high)})" for one in trial.yardsticks)
        rows.append([metric_label(trial.metric), *cells])
    return TextTable(["metric", *(one.name for one in guard.wanted.yardsticks)], rows)


def tabulate_months(months: Sequence[Month]) -> TextTable:
    """Return the rows, users and items of each month, and how many of them are new."""
    names = ("n_rows", "n_users", "n_new_users", "n_items", "n_new_items", "n_rows_of_new_users", "n_rows_of_new_items")
    rows = [[month.month, *(format_count(getattr(month, name)) for name in names)] for month in months]
    return TextTable(["month", *(name.removeprefix("n_").replace("_", " ") for name in names)], rows)


def tabulate_seasons(seasons: Sequence[Season]) -> TextTable:
    """Return the rows of each month of the year, or day of the week, and how they compare with the mean day."""
    rows = [
        [one.name, format_count(one.n_rows), EN_DASH if one.index is None else f"{one.index:.3f}"] for one in seasons
    ]
    return TextTable(["", "rows", "times the mean day"], rows)


def tabulate_lifetimes(lifetimes: Sequence[Lifetimes]) -> TextTable:
    """Return for how many days users and items are active, and how many days pass between one and the next."""
    named = {f"days of {one.side}": one.days for one in lifetimes}
    return tabulate_distributions(named | {f"gaps of {one.side}": one.gaps for one in lifetimes if one.gaps})


def tabulate_links(links: CoPurchases) -> TextTable:
    """Return the pairs of items with most users in common."""
    rows = [[one.item, one.other, format_count(one.n_users), f"{one.cosine:.3f}"] for one in links.strongest]
    return TextTable(["item", "and", "users of both", "cosine"], rows, n_left=2)


def tabulate_moments(moments: Moments) -> TextTable:
    """Return how much order the timestamps hold, a row each."""
    shares = {
        "share their second with another of the user": moments.share_of_shared_second,
        "share their day with another of the user": moments.share_of_shared_day,
        "come after an earlier day of the user": moments.share_with_past,
        "are at midnight": moments.share_at_midnight,
        "are of the day that has most": moments.largest_day,
    }
    return TextTable(["interactions that", "share"], [[name, format_share(share)] for name, share in shares.items()])


def tabulate_tests(tests: Sequence[Suspects]) -> TextTable:
    """Return how many users and items were tested for what, how many chance would show, and how many were found."""
    rows = [
        [f"{one.side}: {one.reason}", format_count(one.n_tested), f"{one.n_expected:.2g}", format_count(one.n_found)]
        for one in tests
    ]
    return TextTable(["", "tested", "by chance", "found"], rows)


def tabulate_suspects(suspects: Suspects) -> TextTable:
    """Return the suspicious users, or items, that chance explains least."""
    rows = [
        [
            one.id,
            *map(format_count, (one.n_suspicious, one.n_interactions)),
            *map(say_day, (one.first, one.last)),
            EN_DASH if one.rating is None else f"{one.rating:.2f}",
            f"{one.n_expected:.1e}",
        ]
        for one in suspects.worst
    ]
    head = [suspects.side, "suspicious", "interactions", "from", "to", "mean rating", "so many by chance"]
    return TextTable(head, rows)


def _decimals(*values: float) -> list[str]:
    return [f"{value:.2f}" for value in values]


def _plain(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 and not float(value).is_integer() else format_number(value)
