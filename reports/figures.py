"""The report's charts, each from a handful of numbers to one inline SVG."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from reports.display import clean_text, format_count, format_metric, format_share, metric_label
from reports.findings import rank_models
from reports.report_input import PRIMARY, ScoredModel
from reports.svg import ACCENT, BASELINE, INK, MUTED, SURFACE, new_axes, to_svg
from schema.metric import MetricRow

MOST_DRAWN = 24
MOST_TICKS = 6
WIDE_INCHES, NARROW_INCHES, SMALL_INCHES = 10.4, 4.2, 4.6


def draw_candidates(models: Sequence[ScoredModel], name: str, width: float = WIDE_INCHES) -> str:
    """Draw each model's validation NDCG@10 as a dot with its 95 % interval, best on top.

    Baselines are hollow, the chosen model is a filled diamond. Of very many models the best are drawn,
    and every baseline, so that what the chosen model is held against never drops out.
    """
    drawn = _most_telling(models)
    figure, axes = new_axes(width, 0.75 + 0.34 * max(len(drawn), 1))
    for row, (model, score) in enumerate(drawn):
        _draw_dot(axes, row, model, score)
    axes.set_yticks(range(len(drawn)), [clean_text(model.label, limit=34) for model, _ in drawn])
    for tick, (model, _) in zip(axes.get_yticklabels(), drawn, strict=True):
        tick.set_color(INK if model.is_chosen else MUTED)
        tick.set_fontweight("bold" if model.is_chosen else "normal")
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5 if width > NARROW_INCHES else 3))
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    label = metric_label(PRIMARY)
    axes.set_xlabel(f"{label} on validation")
    values = "; ".join(f"{clean_text(model.label)} {format_metric(score.value)}" for model, score in drawn)
    return to_svg(figure, name, f"{label} on validation with 95 % intervals, best first: {values}.")


def _most_telling(models: Sequence[ScoredModel]) -> list[tuple[ScoredModel, MetricRow]]:
    scored = [
        (model, row)
        for model in rank_models(models)
        if (row := model.find(PRIMARY)) is not None and math.isfinite(row.value)
    ]
    kept = [pair for place, pair in enumerate(scored) if _is_pinned(pair[0]) or place < MOST_DRAWN]
    while len(kept) > MOST_DRAWN and (spare := [pair for pair in kept if not _is_pinned(pair[0])]):
        kept.remove(spare[-1])
    return kept


def _is_pinned(model: ScoredModel) -> bool:
    return model.is_baseline or model.is_chosen


def _draw_dot(axes: Axes, row: int, model: ScoredModel, score: MetricRow) -> None:
    colour = BASELINE if model.is_baseline else ACCENT
    axes.plot([score.low, score.high], [row, row], color=colour, linewidth=2, solid_capstyle="round")
    axes.plot(
        [score.value],
        [row],
        marker="D" if model.is_chosen else "o",
        markersize=8 if model.is_chosen else 7,
        markerfacecolor=SURFACE if model.is_baseline else colour,
        markeredgecolor=colour,
        markeredgewidth=1.6,
    )


def draw_bars(counts: Sequence[tuple[str, int]], name: str, what: str, per: str) -> str:
    """Draw counts as bars, one for each label, with the counts above them.

    Args:
        counts: (label, count), in the order to draw.
        name: Prefix of the SVG's ids.
        what: What is counted, such as "interactions".
        per: What the labels are, such as "rating".
    """
    figure, axes = new_axes(SMALL_INCHES, 2.7)
    positions = range(len(counts))
    bars = axes.bar(positions, [count for _, count in counts], color=ACCENT, width=0.72)
    axes.bar_label(bars, [_short(count) for _, count in counts], padding=2, color=MUTED, fontsize=9.5)
    axes.set_xticks(positions, [label for label, _ in counts], rotation=35 if len(counts) > 8 else 0)
    axes.set_xlabel(per)
    _quiet_counts(axes)
    axes.margins(y=0.12)
    values = "; ".join(f"{label}: {format_count(count)}" for label, count in counts)
    return to_svg(figure, name, f"{what.capitalize()} by {per}. {values}.")


def draw_months(months: Sequence[tuple[str, int]], name: str) -> str:
    """Draw interactions per month as a stepped area from the first month to the last."""
    figure, axes = new_axes(SMALL_INCHES, 2.7)
    axes.stairs([count for _, count in months], fill=True, color=ACCENT)
    ticks = _month_ticks([month for month, _ in months])
    axes.set_xticks([place + 0.5 for place, _ in ticks], [label for _, label in ticks])
    axes.set_xlabel("month")
    _quiet_counts(axes)
    (first, _), (last, _) = months[0], months[-1]
    peak, most = max(months, key=lambda pair: pair[1])
    alt = f"Interactions per month, {first} to {last}; the most, {format_count(most)}, in {peak}."
    return to_svg(figure, name, alt)


def _month_ticks(months: Sequence[str]) -> list[tuple[int, str]]:
    """Return at most six places to label: each January's year if there are three, else months."""
    januaries = [(place, month[:4]) for place, month in enumerate(months) if month.endswith("-01")]
    ticks = januaries if len(januaries) >= 3 else list(enumerate(months))
    return ticks[:: math.ceil(len(ticks) / MOST_TICKS)]


def draw_popularity(curve: Sequence[tuple[float, float]], name: str) -> str:
    """Draw what share of the interactions the most popular items hold, with the diagonal for comparison."""
    figure, axes = new_axes(SMALL_INCHES, 2.7)
    axes.plot([0, 1], [0, 1], color=BASELINE, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot([x for x, _ in curve], [y for _, y in curve], color=ACCENT, linewidth=2.2)
    share = share_of_top(curve)
    axes.plot([0.2], [share], marker="o", markersize=6, color=ACCENT)
    axes.annotate(
        f"top 20 % of items:\n{format_share(share)} of interactions",
        (0.2, share),
        xytext=(0.44, 0.1),
        color=INK,
        fontsize=10,
        arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.8},
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    axes.set(xlabel="share of items, most popular first", xlim=(0, 1), ylim=(0, 1.02))
    return to_svg(figure, name, f"The most popular 20 % of items hold {format_share(share)} of the interactions.")


def share_of_top(curve: Sequence[tuple[float, float]], items: float = 0.2) -> float:
    """Return the share of interactions that this share of the items holds, the most popular first."""
    return min(curve, key=lambda point: abs(point[0] - items))[1]


def _quiet_counts(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(round(value))))


def _short(count: int) -> str:
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size * 10:
            return f"{count / size:.0f}{unit}"
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + unit
    return str(count)
