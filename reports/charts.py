"""Charts that hold models against each other, for a wide and a narrow page."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.display import clean_text, format_difference, format_metric, format_range, format_share, metric_label
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
    place_labels,
    spread_apart,
    to_svg,
)
from reports.findings import SegmentGroup, SegmentRow, WindowRow, find_primary, rank_models
from reports.report_input import PRIMARY, ScoredModel
from schema.metric import Metric, MetricRow
from schema.verdicts import Comparison

_MARKERS = "osv^PX"
MOST_DRAWN = 24


def draw_candidates(models: Sequence[ScoredModel], name: str, width: float = WIDE_INCHES) -> str:
    """Draw each model's validation NDCG@10 as a dot with its 95 % interval, best on top.

    Baselines are hollow, the chosen model is a filled diamond. Of very many models the best are drawn,
    and every baseline, so that what the chosen model is held against never drops out.
    """
    drawn = _most_telling(models)
    figure, axes = new_axes(width, 0.75 + 0.34 * max(len(drawn), 1))
    for row, (model, score) in enumerate(drawn):
        colour = BASELINE if model.is_baseline else ACCENT
        marker, size = ("D", 8) if model.is_chosen else ("o", 7)
        ends = (score.low, score.value, score.high)
        draw_whisker(axes, row, ends, colour, marker, not model.is_baseline, size)
    name_rows(axes, [clean_text(model.label, limit=34) for model, _ in drawn], [model.is_chosen for model, _ in drawn])
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5 if width > NARROW_INCHES else 3))
    label = metric_label(PRIMARY)
    axes.set_xlabel(f"{label} on validation")
    values = "; ".join(f"{clean_text(model.label)} {format_metric(score.value)}" for model, score in drawn)
    return to_svg(figure, name, f"{label} on validation with 95 % intervals, best first: {values}.")


def _most_telling(models: Sequence[ScoredModel]) -> list[tuple[ScoredModel, MetricRow]]:
    scored = [(model, row) for model in rank_models(models) if (row := find_primary(model))]
    kept = [pair for place, pair in enumerate(scored) if _is_pinned(pair[0]) or place < MOST_DRAWN]
    while len(kept) > MOST_DRAWN and (spare := [pair for pair in kept if not _is_pinned(pair[0])]):
        kept.remove(spare[-1])
    return kept


def _is_pinned(model: ScoredModel) -> bool:
    return model.is_baseline or model.is_chosen


def draw_differences(comparisons: Sequence[Comparison], name: str, width: float = WIDE_INCHES) -> str:
    """Draw each paired difference as a dot with its 95 % interval around 0, in the order given; "" if there is none.

    A dot is filled where a difference was shown, and hollow where none was.
    """
    if not comparisons:
        return ""
    figure, axes = new_axes(width, 0.8 + 0.36 * len(comparisons))
    axes.axvline(0, color=MUTED, linewidth=1.2)
    for row, one in enumerate(comparisons):
        is_shown = one.outcome in ("better", "worse")
        draw_whisker(axes, row, (one.low, one.difference, one.high), ACCENT if is_shown else BASELINE, "o", is_shown)
    name_rows(axes, [clean_text(one.against, label_limit(width)) for one in comparisons], [False] * len(comparisons))
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(6 if width > NARROW_INCHES else 3))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "\u2212") if value else "0")
    )
    label = metric_label(comparisons[0].metric)
    joint = ", " if width > NARROW_INCHES else "\n"
    axes.set_xlabel(f"difference in {label}{joint}right of 0: chosen is better")
    values = "; ".join(
        f"{clean_text(one.against)} {format_difference(one.difference)} ({format_range(one.low, one.high)})"
        for one in comparisons
    )
    return to_svg(figure, name, f"Difference in {label} to each baseline, with 95 % intervals: {values}.")


def draw_tradeoff(models: Sequence[ScoredModel], name: str, width: float = WIDE_INCHES) -> str:
    """Draw coverage@10 against NDCG@10, one labelled point for each model measured in both; "" if there is none."""
    points = [
        (model, coverage.value, score.value)
        for model in models
        if (coverage := model.find(Metric("coverage", PRIMARY.k))) and (score := model.find(PRIMARY))
        if math.isfinite(coverage.value) and math.isfinite(score.value)
    ]
    if not points:
        return ""
    figure, axes = new_axes(width, 4.2 if width > NARROW_INCHES else 4.0)
    for model, x, y in points:
        colour = BASELINE if model.is_baseline else ACCENT
        axes.plot([x], [y], marker="D" if model.is_chosen else "o", markersize=8, color=colour, linestyle="none",
                  **face(not model.is_baseline, colour))  # fmt: skip
    axes.margins(0.12)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, axis="both")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.xaxis.set_major_locator(MaxNLocator(6 if width > NARROW_INCHES else 4))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    joint = " " if width > NARROW_INCHES else "\n"
    axes.tick_params("x", pad=8)
    axes.set(xlabel=f"share of the catalogue{joint}recommended to anybody", ylabel=metric_label(PRIMARY))
    _label_points(figure, axes, points, label_limit(width))
    values = "; ".join(f"{clean_text(m.label)} {format_share(x)} and {format_metric(y)}" for m, x, y in points)
    return to_svg(figure, name, f"Coverage and {metric_label(PRIMARY)} on test: {values}.")


def _label_points(figure: Figure, axes: Axes, points: Sequence[tuple[ScoredModel, float, float]], limit: int) -> None:
    figure.draw_without_rendering()
    scale = figure.dpi / 72
    pixels = [axes.transData.transform((x, y)) for _, x, y in points]
    left, bottom, right, top = (float(end) / scale for end in axes.get_window_extent().extents)
    labels = [clean_text(model.label, limit=limit) for model, _, _ in points]
    spots = [(float(x) / scale, float(y) / scale) for x, y in pixels]
    shifts = place_labels(spots, labels, (left, bottom, right, top))
    for (model, x, y), label, shift in zip(points, labels, shifts, strict=True):
        note = axes.annotate(
            label, (x, y), xytext=shift, textcoords="offset points", ha=_side(shift[0]), **_lettering(model.is_chosen),
            arrowprops={"arrowstyle": "-", "color": BASELINE, "linewidth": 0.6} if math.hypot(*shift) > 20 else None,
        )  # fmt: skip
        note.set_in_layout(False)


def _lettering(is_chosen: bool) -> dict[str, Any]:
    weight = "bold" if is_chosen else "normal"
    return {"va": "center", "color": INK if is_chosen else MUTED, "fontsize": POINTS, "fontweight": weight}


def _side(shift: float) -> Literal["left", "center", "right"]:
    if shift == 0:
        return "center"
    return "left" if shift > 0 else "right"


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
    name_rows(axes, [clean_text(name, label_limit(width)) for name, _ in lines], [row is None for _, row in lines])
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
            **_lettering(is_chosen),
            arrowprops={"arrowstyle": "-", "color": BASELINE, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 3},
        )  # fmt: skip
