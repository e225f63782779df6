"""What people did with recommendations, for a reader: tables of rates and of A/B tests, and sentences."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from reports.display import EN_DASH, format_count, format_figure, format_interval, format_p_value, format_range
from reports.display import format_share as share_of
from reports.tables import Cell, TextTable
from schema.online import LEAST_ACTIVE, RATES
from schema.verdicts import LEAST_USERS, Finding

RATES_TITLE = "What people did with recommendations; below each rate its 95 % interval"
AB_TITLE = "A/B tests, champion and challenger with different users; p by Welch's test, corrected (Holm)"
TOO_FEW = "too few"

Record = Mapping[str, Any]


def tabulate_rates(record: Record) -> TextTable:
    """Return a row for each model, arm and scenario: counts, and rates with their 95 % intervals."""
    rows = [
        [
            *(row["model_id"], row["arm"] or EN_DASH, row["scenario"]),
            *(format_count(row[name]) for name in ("n_impressions", "n_users")),
            *(_rate(row["rates"][name]) for name in RATES),
        ]
        for row in record["rows"]
    ]
    return TextTable(["model", "arm", "scenario", "impressions", "users", *RATES], rows, n_left=3)


def tabulate_tests(record: Record) -> TextTable:
    """Return a row for each rate of each A/B test, the newest test first; what is shown stands out."""
    found = [(test, one) for test in reversed(record["experiments"]) for one in test["differences"]]
    rows = [
        [
            *(test["name"], share_of(test["share"]), one["rate"]),
            *(_rate(one[arm]) for arm in ("champion", "challenger")),
            (
                format_figure(one["difference"]),
                TOO_FEW if one["low"] is None else format_range(one["low"], one["high"]),
            ),
            EN_DASH if one["p_adjusted"] is None else format_p_value(one["p_adjusted"]),
            one["outcome"] or TOO_FEW,
        ]
        for test, one in found
    ]
    columns = ["test", "share", "rate", "champion", "challenger", "difference", "p", "the challenger is"]
    strong = {number for number, (_, one) in enumerate(found) if one["outcome"] in ("better", "worse")}
    return TextTable(columns, rows, strong, n_left=3)


def online_notes(record: Record) -> Iterator[str]:
    """Yield what is to be known beside the tables."""
    first, last = (f"{datetime.fromtimestamp(record[name], tz=UTC):%Y-%m-%d %H:%M}" for name in ("since", "until"))
    yield (
        f"Impressions from {first} to {last} (UTC); arms that were asked for are left out. Users are the units; too "
        f"few are less than {LEAST_USERS}, weighed by how much they had, or {LEAST_ACTIVE} who did anything."
    )
    for test in record["experiments"]:
        if not test["is_split_right"]:
            yield (
                f"Warning: {test['name']} has {_users(test, 'champion')} users with the champion and "
                f"{_users(test, 'challenger')} with the challenger, which was to have {share_of(test['share'])} "
                f"(p = {test['split_p']:.2g}). Something loses users of one arm, so that the test shows nothing."
            )
        if test["n_strayed"]:
            yield (
                f"Warning: {format_count(test['n_strayed'])} impressions of {test['name']} are left out: their arm is "
                "not that of their user. Do all servers have the same settings?"
            )


def say_online_test(found: Finding) -> str:
    """Return how the challenger did in the A/B test that a promotion asks for."""
    figures: Mapping[str, Any] = found.figures
    if figures["experiment"] is None:
        return (
            "There is no A/B test of the two: serve the challenger to a share of users (API_CHALLENGER, "
            "API_CHALLENGER_SHARE), or promote without --promotion-online require."
        )
    what = f"In the A/B test {figures['experiment']}"
    if not figures["is_split_right"]:
        return f"{what} the arms do not have the users that they should have, so that it shows nothing."
    values = f"{format_figure(figures['challenger'])}, that of the champion {format_figure(figures['champion'])}"
    said = f"{what} click-through of the challenger is {values}, over {format_count(figures['n_users'])} users"
    if not figures["has_enough"]:
        return f"{said}: too few show nothing."
    shown = "is not shown" if found.is_warning else "is shown"
    interval = f"95 % interval of the difference {format_range(figures['low'], figures['high'])}"
    return f"{said}, {interval}: that no more than {share_of(figures['margin_share'])} of the latter is lost {shown}."


def _users(test: Record, arm: str) -> str:
    return format_count(test["differences"][0][arm]["n_users"])


def _rate(found: Record) -> Cell:
    return format_figure(found["value"]), TOO_FEW if found["low"] is None else format_interval(
        found["low"], found["high"]
    )
