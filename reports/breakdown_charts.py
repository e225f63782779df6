"""Scores by segment of users and items, and by rolling window: the rows of their tables, and their charts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from reports.display import clean_text, format_metric, metric_label
from reports.drawing import (
    ACCENT,
    BASELINE,
    INK,
    MUTED,
    NARROW_INCHES,
    POINTS,
    WIDE_INCHES,
    draw_whisker,
    face,
    label_limit,
    name_rows,
    new_axes,
    spread_apart,
    to_svg,
)
from reports.findings import find_primary
from reports.report_input import PRIMARY, ScoredModel, WindowScores
from schema.metric import MetricRow
from schema.scores import SegmentScore

_MARKERS = "osv^PX"


@dataclass(frozen=True)
class SegmentRow:
    """One segment: its users, and the score of each model in the order asked for; None where it has none."""

    segment: str
    n_users: int
    scores: tuple[SegmentScore | None, ...]


@dataclass(frozen=True)
class SegmentGroup:
    """The segments that part the items or the users in one way, such as by activity."""

    name: str
    rows: tuple[SegmentRow, ...]


def group_segments(scores: Mapping[str, Sequence[SegmentScore]], labels: Sequence[str]) -> list[SegmentGroup]:
    """Return the NDCG@10 of these models by group and segment, in the order in which they were measured.

    Example:
        >>> score = SegmentScore("activity", "light", PRIMARY, 0.1, 0.0, 0.2, n_users=7)
        >>> [(group.name, group.rows[0].n_users) for group in group_segments({"als": [score]}, ["als"])]
        [('Activity', 7)]
    """
    found = {(label, one.group, one.segment): one for label in labels for one in scores[label] if one.metric == PRIMARY}
    groups: dict[str, list[SegmentRow]] = {}
    for group, segment in dict.fromkeys((group, segment) for _, group, segment in found):
        row = tuple(found.get((label, group, segment)) for label in labels)
        groups.setdefault(group, []).append(SegmentRow(segment, max(one.n_users for one in row if one), row))
    return [SegmentGroup(group[:1].upper() + group[1:], tuple(rows)) for group, rows in groups.items()]


def draw_segments(groups: Sequence[SegmentGroup], labels: Sequence[str], name: str, width: float = WIDE_INCHES) -> str:
    """Draw scores by segment with their 95 % intervals, the segments of a group together; "" if there are none.

    The first label is that of the chosen model, the second that of the baseline it is held against, drawn hollow.
    """
    if not groups or not labels:
        return ""
    lines = [line for group in groups for line in ((group.name, None), *((row.segment, row) for row in group.rows))]
    figure, axes = new_axes(width, 1.15 + 0.3 * len(lines))
    for number, label in enumerate(labels):
        colour, marker = ((ACCENT, "D"), (BASELINE, "o"))[min(number, 1)]
        shift = 0.32 * (number - (len(labels) - 1) / 2)
        for place, (_, row) in enumerate(lines):
            if row and (one := row.scores[number]):
                draw_whisker(axes, place + shift, (one.low, one.value, one.high), colour, marker, not number)
        axes.plot([], [], marker=marker, color=colour, label=clean_text(label, limit=40), **face(not number, colour))
    names = [clean_text(name, limit=label_limit(width)) for name, _ in lines]
    name_rows(axes, names, [row is None for _, row in lines])
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6 if width > NARROW_INCHES else 3))
    axes.set_xlabel(metric := metric_label(PRIMARY))
    columns = 2 if width > NARROW_INCHES else 1
    figure.legend(
        loc="outside upper left", ncols=columns, frameon=False, labelcolor=INK, fontsize=POINTS, handlelength=1.6
    )
    said = "; ".join(f"{clean_text(group.name)}, {_say(row, labels)}" for group in groups for row in group.rows)
    return to_svg(figure, name, f"{metric} on test by segment: {said}.")


def _say(row: SegmentRow, labels: Sequence[str]) -> str:
    pairs = zip(labels, row.scores, strict=True)
    values = ", ".join(f"{clean_text(label)} {format_metric(one.value if one else None)}" for label, one in pairs)
    return f"{clean_text(row.segment)}: {values}"


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
    said = "; ".join(
        f"{clean_text(row.model.label)} " + ", ".join(format_metric(one.value if one else None) for one in row.scores)
        for row in rows
    )
    return to_svg(figure, name, f"{metric_label(PRIMARY)} by window, oldest first: {said}.")


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
