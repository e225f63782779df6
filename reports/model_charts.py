"""Charts that hold models against each other: on validation, by paired differences, and by what coverage costs."""

import math
from collections.abc import Sequence
from typing import Literal

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
    to_svg,
)
from reports.findings import find_primary, rank_models
from reports.report_input import PRIMARY, ScoredModel
from schema.metric import Metric, MetricRow
from schema.verdicts import Comparison

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
    labels = [clean_text(model.label, limit=34) for model, _ in drawn]
    name_rows(axes, labels, [model.is_chosen for model, _ in drawn])
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
    names = [clean_text(one.against, limit=label_limit(width)) for one in comparisons]
    name_rows(axes, names, [False] * len(names))
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
            label, (x, y), xytext=shift, textcoords="offset points", va="center", ha=_side(shift[0]),
            color=INK if model.is_chosen else MUTED, fontsize=POINTS,
            fontweight="bold" if model.is_chosen else "normal",
            arrowprops={"arrowstyle": "-", "color": BASELINE, "linewidth": 0.6} if math.hypot(*shift) > 20 else None,
        )  # fmt: skip
        note.set_in_layout(False)


def _side(shift: float) -> Literal["left", "center", "right"]:
    if shift == 0:
        return "center"
    return "left" if shift > 0 else "right"
