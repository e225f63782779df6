"""Figures of drift for a reader: rows of a table, and sentences."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from reports.display import EN_DASH, format_share
from reports.tables import TextTable
from schema.drift import DriftFigure, Measure, Unit

WITHIN, BEYOND, NOT_LIMITED = "within", "beyond", "for information"
COLUMNS = ("figure", "before", "now", "change", "limit", "verdict")

_UNITS: Mapping[Unit, Callable[[float], str]] = {
    "rows": lambda value: f"{value:,.0f} rows",
    "users": lambda value: f"{value:,.0f} users",
    "items": lambda value: f"{value:,.0f} items",
    "stars": lambda value: f"mean {value:.2f}",
    "rows per user": lambda value: f"mean {value:.2f}",
    "Unix seconds": lambda value: f"{datetime.fromtimestamp(value, tz=UTC):%Y-%m-%d %H:%M}",
    "share": format_share,
}
_MEASURES: Mapping[Measure, Callable[[float], str]] = {
    "times as many": lambda value: f"{value:.3g} times as many",
    "PSI": lambda value: f"PSI {value:.3f}",
    "share": format_share,
    "days": lambda value: f"{value:+,.1f} days",
    "rise of the share": lambda value: f"{100 * value:+.2f} points",
}


def tabulate_drift(figures: Sequence[DriftFigure]) -> TextTable:
    """Return a row for each figure; those beyond their limits stand out."""
    strong = {number for number, figure in enumerate(figures) if figure.is_beyond}
    return TextTable(COLUMNS, [list(_row(figure).values()) for figure in figures], strong, n_left=len(COLUMNS))


def say_beyond(figure: DriftFigure) -> str:
    r"""Return what was found, what was expected, and which flag says so.

    Example:
        >>> ratio = DriftFigure("rows", "rows", 2000, 500, "times as many", 0.25, 0.5, "drift_min_row_ratio")
        >>> print(say_beyond(ratio).replace("; ", ";\n"))
        rows: 2,000 rows before, 500 rows now, 0.25 times as many;
        expected at least 0.5 times as many (--drift-min-row-ratio)
    """
    row = _row(figure)
    flag = f"--{figure.setting.replace('_', '-')}"
    change = f", {row['change']}" if figure.change is not None else ""
    return f"{figure.name}: {row['before']} before, {row['now']} now{change}; expected {row['limit']} ({flag})"


def _row(figure: DriftFigure) -> dict[str, str]:
    show, measure = _UNITS[figure.unit], _MEASURES[figure.measure]
    before, now = (show(value) if value is not None else EN_DASH for value in (figure.before, figure.now))
    change = measure(figure.change) if figure.change is not None else EN_DASH
    return dict(zip(COLUMNS, (figure.name, before, now, change, _limit(figure), _verdict(figure)), strict=True))


def _limit(figure: DriftFigure) -> str:
    if figure.limit is None:
        return EN_DASH
    if figure.measure == "days":
        return f"at most {-figure.limit:,.1f} days earlier"
    return f"{'at least' if figure.is_least else 'at most'} {_MEASURES[figure.measure](figure.limit)}"


def _verdict(figure: DriftFigure) -> str:
    if figure.limit is None:
        return NOT_LIMITED
    return BEYOND if figure.is_beyond else WITHIN
