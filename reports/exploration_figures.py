"""Figures of an exploration, one for each table: matplotlib figures with a text alternative, light or dark in a page.

Each function takes a record of `schema.exploration`, or some of its tables, and the width in inches. A notebook shows
what it returns; `reports.drawing.to_svg` makes it a part of a page.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from reports import exploration_words as words
from reports.display import EN_DASH, clean_text, format_count, format_share
from reports.drawing import (
    ACCENT,
    BASELINE,
    INK,
    MUTED,
    SMALL_INCHES,
    Chart,
    new_axes,
    quiet_counts,
    short_count,
    tick_months,
)
from schema.distributions import Bar, Side
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
)
from schema.suspects import Suspects

HEIGHT = 2.9
_COLOURS: dict[Side, str] = {"users": ACCENT, "items": BASELINE}
_GROUPS = ((1, 1), (2, 2), (3, 5), (6, 10), (11, None))


def plot_distribution(bars: Sequence[Bar], per: str, what: str = "rows", width: float = SMALL_INCHES) -> Chart:
    """Plot how many (of `what`) lie in each range, or have each value, of what they are counted `per`."""
    figure, axes = new_axes(width, HEIGHT)
    labels = [_range(bar.low, bar.high) for bar in bars]
    _draw_bars(axes, labels, [bar.n for bar in bars], [short_count(bar.n) for bar in bars])
    axes.set(xlabel=per)
    quiet_counts(axes)
    values = "; ".join(f"{label}: {format_count(bar.n)}" for label, bar in zip(labels, bars, strict=True))
    figure.alt = f"{what.capitalize()} by {per}. {values}."
    return figure


def plot_ratings(ratings: RatingSummary, width: float = SMALL_INCHES) -> Chart:
    """Plot how many rows have each rating."""
    figure = plot_distribution(ratings.bars, "rating", width=width)
    figure.alt = words.say_ratings(ratings)
    return figure


def plot_rating_drift(years: Sequence[RatingYear], width: float = SMALL_INCHES) -> Chart:
    """Plot the mean rating of each year, with a dot that is larger for more rows."""
    figure, axes = new_axes(width, HEIGHT)
    most = max(year.n_rows for year in years)
    axes.plot([year.year for year in years], [year.mean for year in years], color=ACCENT, linewidth=1.6)
    sizes = [12 + 90 * year.n_rows / most for year in years]
    axes.scatter([year.year for year in years], [year.mean for year in years], s=sizes, color=ACCENT, zorder=3)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(0.08, 0.2)
    axes.set(xlabel="year; larger dots: more rows", ylabel="mean rating")
    figure.alt = words.say_rating_drift(years)
    return figure


def plot_user_activity(activity: Concentration, width: float = SMALL_INCHES) -> Chart:
    """Plot how many users have how many interactions, in ranges that double."""
    return _plot_counts(activity, width)


def plot_item_popularity(popularity: Concentration, width: float = SMALL_INCHES) -> Chart:
    """Plot how many items have how many interactions, in ranges that double."""
    return _plot_counts(popularity, width)


def _plot_counts(side: Concentration, width: float) -> Chart:
    figure, axes = new_axes(width, HEIGHT)
    highest = side.counts[-1][0].bit_length()
    n = [0] * highest
    for count, n_of_it in side.counts:
        n[count.bit_length() - 1] += n_of_it
    labels = [_range(1 << place, (2 << place) - 1) for place in range(highest)]
    _draw_bars(axes, labels, n, [short_count(one) for one in n], colour=_COLOURS[side.side])
    quiet_counts(axes)
    axes.set(xlabel=f"interactions of one of the {side.side}")
    figure.alt = words.say_counts(side)
    return figure


def plot_long_tail(sides: Sequence[Concentration], width: float = SMALL_INCHES) -> Chart:
    """Plot which share of the interactions the top users, and items, have; the diagonal: all have as many."""
    figure, axes = new_axes(width, HEIGHT)
    axes.plot([0, 1], [0, 1], color=BASELINE, linewidth=1, linestyle=(0, (4, 3)))
    for side in sides:
        counts, n = (np.array(column) for column in zip(*reversed(side.counts), strict=True))
        held, of = (np.concatenate([[0], np.cumsum(one)]) for one in (counts * n, n))
        axes.plot(of / of[-1], held / held[-1], color=_COLOURS[side.side], linewidth=2.2, label=side.side)
        points = [(top.n / of[-1], top.share) for top in side.top_shares]
        axes.plot(*zip(*points, strict=True), "o", markersize=4.5, color=_COLOURS[side.side])
    for axis in ("x", "y"):
        _share_axis(axes, axis)
    axes.set(xlabel="share of them, those with most first", ylabel="share of interactions", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, labelcolor=INK, loc="lower right")
    figure.alt = " ".join(map(words.say_long_tail, sides))
    return figure


def plot_cores(cores: Sequence[Core], default: int = 5, width: float = SMALL_INCHES) -> Chart:
    """Plot what the k-core leaves of users, items and interactions, with a line at the k that is taken by default."""
    figure, axes = new_axes(width, HEIGHT)
    styles = {"interactions": (ACCENT, "-", 2.4), "users": (ACCENT, (0, (4, 2)), 1.6), "items": (BASELINE, "-", 1.6)}
    for what, (colour, dashes, linewidth) in styles.items():
        left = [getattr(core, f"n_{what}") for core in cores]
        shares = [one / left[0] if left[0] else 0.0 for one in left]
        axes.plot([core.k for core in cores], shares, color=colour, linestyle=dashes, linewidth=linewidth, label=what)
    axes.axvline(default, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
    _share_axis(axes, "y")
    axes.xaxis.set_major_locator(FixedLocator([1, 5, 10, 15, 20]))
    axes.set(xlabel=f"k; dotted: {default}, the one taken", ylabel="share left", ylim=(0, 1.04))
    axes.legend(frameon=False, labelcolor=INK)
    figure.alt = words.say_cores(cores)
    return figure


def plot_growth(months: Sequence[Month], width: float = SMALL_INCHES) -> Chart:
    """Plot the rows of each month as an area, and the users of each as a line."""
    figure, axes = new_axes(width, HEIGHT)
    axes.stairs([month.n_rows for month in months], fill=True, color=ACCENT, alpha=0.35, label="rows")
    axes.stairs([month.n_users for month in months], color=INK, linewidth=1.2, label="users", baseline=None)
    tick_months(axes, [month.month for month in months])
    quiet_counts(axes)
    axes.set(xlabel="month")
    axes.legend(frameon=False, labelcolor=INK, loc="upper left")
    figure.alt = words.say_growth(months)
    return figure


def plot_newcomers(months: Sequence[Month], width: float = SMALL_INCHES) -> Chart:
    """Plot the share of the users, and of the items, of each month that had no row before it."""
    figure, axes = new_axes(width, HEIGHT)
    for side, colour in _COLOURS.items():
        shares = [getattr(month, f"n_new_{side}") / (getattr(month, f"n_{side}") or math.nan) for month in months]
        axes.stairs(shares, color=colour, linewidth=1.6, label=side, baseline=None)
    tick_months(axes, [month.month for month in months])
    _share_axis(axes, "y")
    axes.set(xlabel="month", ylabel="share that is new", ylim=(0, 1.04))
    axes.legend(frameon=False, labelcolor=INK)
    figure.alt = words.say_newcomers(months)
    return figure


def plot_seasons(seasons: Sequence[Season], width: float = SMALL_INCHES) -> Chart:
    """Plot the rows a day of each month of the year, or day of the week, beside those of the mean day."""
    figure, axes = new_axes(width, HEIGHT)
    indices = [1.0 if season.index is None else season.index for season in seasons]
    bars = axes.bar(range(len(indices)), [index - 1 for index in indices], bottom=1, color=ACCENT, width=0.72)
    axes.bar_label(bars, [f"{index:.2f}" for index in indices], padding=2, color=MUTED, fontsize=8)
    axes.axhline(1, color=MUTED, linewidth=1)
    _name_bars(axes, [season.name[:3] for season in seasons])
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.margins(y=0.15)
    axes.set(ylabel="times the mean day")
    figure.alt = words.say_seasons(seasons)
    return figure


def plot_lifetimes(lifetimes: Sequence[Lifetimes], width: float = SMALL_INCHES) -> Chart:
    """Plot which share of the users, and of the items, is active for how long."""
    figure, axes = new_axes(width, HEIGHT)
    for number, one in enumerate(lifetimes):
        shares = [bar.n / one.days.n for bar in one.bars]
        places = [place + 0.4 * (number - 0.5) for place in range(len(shares))]
        axes.bar(places, shares, color=_COLOURS[one.side], width=0.38, label=one.side)
    labels = [_range(bar.low, bar.high) for bar in lifetimes[0].bars]
    labels[-1] = f"{lifetimes[0].bars[-1].low:g}+"
    _name_bars(axes, labels)
    _share_axis(axes, "y", ends_at_one=False)
    axes.set(xlabel="days from the first to the last", ylabel="share of them")
    axes.legend(frameon=False, labelcolor=INK)
    figure.alt = " ".join(map(words.say_lifetimes, lifetimes))
    return figure


def plot_co_purchases(links: CoPurchases, width: float = SMALL_INCHES) -> Chart:
    """Plot the share of items that share so many users or more with another one."""
    figure, axes = new_axes(width, HEIGHT)
    shares = [one.share_of_items for one in links.links]
    _draw_bars(axes, [f"{one.least_users}+" for one in links.links], shares, list(map(format_share, shares)))
    _share_axis(axes, "y")
    axes.set(xlabel="users shared with another item", ylabel="share of items", ylim=(0, 1.12))
    figure.alt = words.say_co_purchases(links)
    return figure


def plot_linked(links: CoPurchases, width: float = SMALL_INCHES) -> Chart:
    """Plot with how many others items share users: tenth to ninetieth percentile, middle half, median."""
    figure, axes = new_axes(width, HEIGHT)
    for place, one in enumerate(links.links):
        spread = one.others
        axes.plot([spread.p10, spread.p90], [place] * 2, color=ACCENT, linewidth=1.6)
        axes.plot([spread.p25, spread.p75], [place] * 2, color=ACCENT, linewidth=9, alpha=0.35)
        axes.plot([spread.median], [place], "o", color=ACCENT, markersize=7)
    axes.set_yticks(range(len(links.links)), [f"{one.least_users}+ users" for one in links.links])
    axes.set_ylim(len(links.links) - 0.4, -0.6)
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(round(value))))
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="other items that an item is linked to", xlim=(0, None))
    figure.alt = words.say_linked(links)
    return figure


def plot_moments(moments: Moments, width: float = SMALL_INCHES) -> Chart:
    """Plot which share of the interactions has how many of its user at its second, itself included, and on its day."""
    figure, axes = new_axes(width, HEIGHT)
    tables = {"at the same second": (moments.per_second, ACCENT), "on the same day": (moments.per_day, BASELINE)}
    for number, (label, (table, colour)) in enumerate(tables.items()):
        rows = [sum(size * n for size, n in table if low <= size <= (high or size)) for low, high in _GROUPS]
        places = [place + 0.4 * (number - 0.5) for place in range(len(rows))]
        bars = axes.bar(places, [one / moments.n_interactions for one in rows], color=colour, width=0.38, label=label)
        shares = [f"{one / moments.n_interactions:.0%}" if one else "" for one in rows]
        axes.bar_label(bars, shares, padding=2, color=MUTED, fontsize=8)
    _name_bars(axes, [_range(low, high) if high else f"{low}+" for low, high in _GROUPS])
    _share_axis(axes, "y", ends_at_one=False)
    axes.set(xlabel="interactions of one user at once", ylabel="share of interactions")
    axes.margins(y=0.15)
    axes.legend(frameon=False, labelcolor=INK)
    figure.alt = words.say_moments(moments)
    return figure


def plot_suspects(suspects: Suspects, width: float = SMALL_INCHES) -> Chart:
    """Plot how many interactions the worst have, and how many of them are suspicious."""
    shown = suspects.worst[:8]
    figure, axes = new_axes(width, 1.0 + 0.27 * len(shown))
    places = range(len(shown))
    axes.barh(places, [one.n_interactions for one in shown], color=BASELINE, alpha=0.45, height=0.7, label="all")
    axes.barh(places, [one.n_suspicious for one in shown], color=ACCENT, height=0.7, label="suspicious")
    axes.set_yticks(places, [clean_text(one.id, limit=18) for one in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set(xlabel="interactions")
    figure.legend(loc="outside upper right", ncols=2, frameon=False, labelcolor=INK, handlelength=1.2)
    figure.alt = words.say_suspects(suspects)
    return figure


def _draw_bars(
    axes: Axes, labels: Sequence[str], heights: Sequence[float], named: Sequence[str], colour: str = ACCENT
) -> None:
    """Draw bars, each with its value above it and its name below."""
    bars = axes.bar(range(len(labels)), heights, color=colour, width=0.72)
    axes.bar_label(bars, list(named), padding=2, color=MUTED, fontsize=9 if len(labels) < 12 else 7.5)
    _name_bars(axes, labels)
    axes.margins(y=0.12)


def _name_bars(axes: Axes, labels: Sequence[str]) -> None:
    is_crowded = sum(map(len, labels)) + len(labels) > 36
    axes.set_xticks(range(len(labels)), list(labels), rotation=40 if is_crowded else 0, fontsize=9.5)


def _share_axis(axes: Axes, axis: str, *, ends_at_one: bool = True) -> None:
    """Show the values of an axis in percent."""
    one = axes.xaxis if axis == "x" else axes.yaxis
    one.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    one.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]) if ends_at_one else MaxNLocator(4))


def _range(low: float, high: float) -> str:
    ends = (f"{end:g}" if end < 10_000 else short_count(round(end)) for end in (low, high))
    return EN_DASH.join(dict.fromkeys(ends))
