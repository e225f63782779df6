"""Rolling windows: how each model did in every one of them, how much that moved, and the chart of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from reports.display import clean_text, format_metric, metric_label
from reports.findings import find_primary
from reports.label_places import POINTS, spread_apart
from reports.quality_figures import NARROW_INCHES, WIDE_INCHES, face, to_plain_svg
from reports.report_input import PRIMARY, ScoredModel, WindowScores
from reports.svg import ACCENT, BASELINE, INK, MUTED, new_axes
from schema.metric import MetricRow

_MARKERS = "osv^PX"


@dataclass(frozen=True)
class WindowRow:
    """A model's NDCG@10 by window (None where it was not measured), its mean and standard deviation.

    The standard deviation is that of a sample (n - 1), None for fewer than two windows.
    """

    model: ScoredModel
    scores: tuple[MetricRow | None, ...]
    mean: float | None
    spread: float | None


def compare_windows(windows: Sequence[WindowScores]) -> list[WindowRow]:
    """Return one row for each model of any window, the highest mean first."""
    models = {model.label: model for window in reversed(windows) for model in window.models}
    rows = [_window_row(model, windows) for model in models.values()]
    return sorted(rows, key=lambda row: (math.inf if row.mean is None else -row.mean, row.model.label))


def _window_row(model: ScoredModel, windows: Sequence[WindowScores]) -> WindowRow:
    found = [next((one for one in window.models if one.label == model.label), None) for window in windows]
    scores = tuple(None if one is None else find_primary(one) for one in found)
    values = [score.value for score in scores if score is not None]
    mean = float(np.mean(values)) if values else None
    return WindowRow(model, scores, mean, float(np.std(values, ddof=1)) if len(values) > 1 else None)


def draw_windows(rows: Sequence[WindowRow], labels: Sequence[str], name: str, width: float = WIDE_INCHES) -> str:
    """Draw each model's NDCG@10 through the windows as a line with its name at the end; "" without rows.

    The chosen model has the strong line with diamonds; the others are grey and differ by their marks.
    """
    if not rows:
        return ""
    is_wide = width > NARROW_INCHES
    limits = (28, 24) if is_wide else (15, 8)
    figure, axes = new_axes(width, 3.2 if is_wide else 3.0)
    ends = [end for number, row in enumerate(rows) if (end := _draw_line(axes, row, number, limits[0]))]
    axes.set_xticks(range(len(labels)), [clean_text(label, limit=limits[1]) for label in labels])
    if sum(map(len, labels)) > (80 if is_wide else 26):
        axes.tick_params("x", rotation=25)
    axes.set_xlim(-0.25 if is_wide else -0.6, len(labels) - 0.9)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel(metric_label(PRIMARY))
    _label_ends(axes, ends)
    said = "; ".join(f"{clean_text(row.model.label)} {_say(row)}" for row in rows)
    return to_plain_svg(figure, name, f"{metric_label(PRIMARY)} by window, oldest first: {said}.")


def _say(row: WindowRow) -> str:
    return ", ".join(format_metric(score.value if score else None) for score in row.scores)


def _draw_line(axes: Axes, row: WindowRow, number: int, limit: int) -> tuple[float, str, bool] | None:
    is_chosen = row.model.is_chosen
    values = [math.nan if score is None else score.value for score in row.scores]
    colour, marker = (ACCENT, "D") if is_chosen else (BASELINE, _MARKERS[number % len(_MARKERS)])
    axes.plot(
        range(len(values)), values, color=colour, marker=marker, markersize=7, linewidth=2.4 if is_chosen else 1.3,
        zorder=3 if is_chosen else 2, **face(is_chosen, colour),
    )  # fmt: skip
    drawn = [value for value in values if math.isfinite(value)]
    return (drawn[-1], clean_text(row.model.label, limit=limit), is_chosen) if drawn else None


def _label_ends(axes: Axes, ends: Sequence[tuple[float, str, bool]]) -> None:
    """Write names right of the axes, each at its line's end, pushed apart where they would touch."""
    top = axes.get_ylim()[1]
    places = spread_apart([value / top for value, _, _ in ends], gap=0.085)
    for place, (value, label, is_chosen) in zip(places, ends, strict=True):
        axes.annotate(
            label, (1, value / top), xytext=(1.03, place), xycoords="axes fraction", textcoords="axes fraction",
            va="center", color=INK if is_chosen else MUTED, fontsize=POINTS,
            fontweight="bold" if is_chosen else "normal",
            arrowprops={"arrowstyle": "-", "color": BASELINE, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3},
        )  # fmt: skip
