"""Sentences for findings on time: what a split may know of the future, and how a rolling one was predicted."""

from collections.abc import Callable, Mapping
from typing import Any

from reports.display import format_count, format_part, format_share

Figures = Mapping[str, Any]


def _say_time_travel(figures: Figures, _is_warning: bool) -> str:
    n_same, n_any, n_held = (figures[name] for name in ("n_same_user", "n_found", "n_all"))
    if n_same:
        return (
            f"For {format_part(n_same, n_held)} held-out rows a row of the same user in train is later, and for "
            f"{format_part(n_any, n_held)} one of any user: models learn from what a user did next, which no "
            "recommender can know when it is used."
        )
    if n_any:
        return (
            f"For {format_part(n_any, n_held)} held-out rows a row of another user in train is later, though none of "
            "the same user: models know what became popular only afterwards."
        )
    found = f"No row in train is later than any of the {format_count(n_held)} held-out rows"
    if n_together := figures["n_together"]:
        return f"{found}, but {format_part(n_together, n_held)} have the time of the last row there: no order is known."
    return f"{found}: models learn from the past."


def _say_ties(figures: Figures, _is_warning: bool) -> str:
    n_found, n_all = figures["n_found"], figures["n_all"]
    if not n_found:
        return f"None of the {format_count(n_all)} held-out rows was picked by a coin: each has a moment of its own."
    return (
        f"{format_part(n_found, n_all)} held-out rows share their moment with a row of their user that models learn "
        "from: a coin, and no time, decided which of them is predicted."
    )


def _say_cold_events(figures: Figures, _is_warning: bool) -> str:
    n_found, n_all = figures["n_found"], figures["n_all"]
    if not n_found:
        return f"All {format_count(n_all)} held-out interactions are of users with a history of earlier days."
    return (
        f"{format_part(n_found, n_all)} held-out interactions are of users who had nothing before that day: no figure "
        "counts them; what popularity gets for them is shown apart."
    )


def _say_rolling_fits(figures: Figures, _is_warning: bool) -> str:
    times = ", ".join(f"{label} {format_count(n)}" for label, n in figures.items())
    return (
        f"So many models served in turn in the course of the test part, each with what came before its first day: "
        f"{times}. Where a model ranks by histories, these are always those of the day before."
    )


def _say_time_order(figures: Figures, is_warning: bool) -> str:
    said = (
        f"{format_share(figures['share_with_past'])} of all interactions come after one of the same user of an earlier "
        f"day, and {format_share(figures['share_simultaneous'])} share their second with another one of the same user; "
        f"there are {format_count(figures['n_days'])} different days, of which one has "
        f"{format_share(figures['largest_day'])} of them at most"
    )
    if is_warning:
        return f"{said}: the order in time says little here, and a split at random or leave-last-one more."
    return f"{said}: the order in time can be trusted."


TIME_SENTENCES: dict[str, Callable[[Figures, bool], str]] = {
    "time travel": _say_time_travel,
    "ties": _say_ties,
    "cold events": _say_cold_events,
    "rolling fits": _say_rolling_fits,
    "time order": _say_time_order,
}
