"""Small charts: the shapes of the data, and one fitted model: how it learnt and how its users and ratings fare."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from reports.display import EN_DASH, MINUS, clean_text, format_count, format_metric, format_share, metric_label
from reports.drawing import (
    ACCENT,
    BASELINE,
    INK,
    MUTED,
    SMALL_INCHES,
    SURFACE,
    new_axes,
    quiet_counts,
    short_count,
    tick_months,
    to_svg,
)
from reports.report_input import PRIMARY
from schema.metric import CalibrationBin, HistogramBin, MetricRow

INCHES = (3.6, 2.6)
_CUT_ABOVE = 3.0
"""A bar higher than this many times the next is cut, so that the others can be seen."""


def draw_bars(counts: Sequence[tuple[str, int]], name: str, what: str, per: str) -> str:
    """Draw counts of `what` ("interactions") as bars, one for each label of what they are counted `per` ("rating")."""
    figure, axes = new_axes(SMALL_INCHES, 2.7)
    positions = range(len(counts))
    bars = axes.bar(positions, [count for _, count in counts], color=ACCENT, width=0.72)
    axes.bar_label(bars, [short_count(count) for _, count in counts], padding=2, color=MUTED, fontsize=9.5)
    axes.set_xticks(positions, [label for label, _ in counts], rotation=35 if len(counts) > 8 else 0)
    axes.set_xlabel(per)
    quiet_counts(axes)
    axes.margins(y=0.12)
    values = "; ".join(f"{label}: {format_count(count)}" for label, count in counts)
    return to_svg(figure, name, f"{what.capitalize()} by {per}. {values}.")


def draw_months(months: Sequence[tuple[str, int]], name: str) -> str:
    """Draw interactions per month as a stepped area from the first month to the last."""
    figure, axes = new_axes(SMALL_INCHES, 2.7)
    axes.stairs([count for _, count in months], fill=True, color=ACCENT)
    tick_months(axes, [month for month, _ in months])
    axes.set_xlabel("month")
    quiet_counts(axes)
    (first, _), (last, _) = months[0], months[-1]
    peak, most = max(months, key=lambda pair: pair[1])
    alt = f"Interactions per month, {first} to {last}; the most, {format_count(most)}, in {peak}."
    return to_svg(figure, name, alt)


def draw_popularity(curve: Sequence[tuple[float, float]], name: str) -> str:
    """Draw what share of the interactions the most popular items hold, with the diagonal for comparison."""
    figure, axes = new_axes(SMALL_INCHES, 2.7)
    axes.plot([0, 1], [0, 1], color=BASELINE, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot([x for x, _ in curve], [y for _, y in curve], color=ACCENT, linewidth=2.2)
    share = share_of_top(curve)
    axes.plot([0.2], [share], marker="o", markersize=6, color=ACCENT)
    axes.annotate(
        f"top 20 % of items:\n{format_share(share)} of interactions", (0.2, share), xytext=(0.44, 0.1), color=INK,
        fontsize=10, arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.8},
    )  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    axes.set(xlabel="share of items, most popular first", xlim=(0, 1), ylim=(0, 1.02))
    return to_svg(figure, name, f"The most popular 20 % of items hold {format_share(share)} of the interactions.")


def share_of_top(curve: Sequence[tuple[float, float]], items: float = 0.2) -> float:
    """Return the share of interactions that this share of the items holds, the most popular first."""
    return min(curve, key=lambda point: abs(point[0] - items))[1]


def draw_curve(curve: Sequence[tuple[int, MetricRow]], name: str) -> str:
    """Draw validation NDCG@10 by iteration as a line with the band of its 95 % intervals."""
    steps = [step for step, _ in curve]
    figure, axes = new_axes(*INCHES)
    low, high = [row.low for _, row in curve], [row.high for _, row in curve]
    axes.fill_between(steps, low, high, color=ACCENT, alpha=0.16, linewidth=0)
    axes.plot(steps, [row.value for _, row in curve], color=ACCENT, linewidth=2.2, marker="o", markersize=5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    label = metric_label(PRIMARY)
    axes.set(xlabel="iteration", ylabel=label)
    values = "; ".join(f"{step}: {format_metric(row.value)}" for step, row in curve)
    return to_svg(figure, name, f"{label} on validation by iteration. {values}.")


def draw_calibration(bins: Sequence[CalibrationBin], name: str, label: str) -> str:
    """Draw mean actual against mean predicted ratings, a dot for each bin, larger for more rows, and the diagonal."""
    figure, axes = new_axes(*INCHES)
    means = [mean for one in bins for mean in (one.mean_predicted, one.mean_actual)]
    ends = [min(means), max(means)]
    axes.plot(ends, ends, color=BASELINE, linewidth=1, linestyle=(0, (4, 3)))
    predicted, actual = [one.mean_predicted for one in bins], [one.mean_actual for one in bins]
    axes.plot(predicted, actual, color=ACCENT, linewidth=1.4)
    most = max(one.n_rows for one in bins)
    sizes = [18 + 110 * one.n_rows / max(most, 1) for one in bins]
    axes.scatter(predicted, actual, s=sizes, color=ACCENT, edgecolors=SURFACE, linewidths=1, zorder=3)
    axes.grid(visible=True, axis="both")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.margins(0.1)
    axes.set(xlabel="predicted rating", ylabel="actual rating")
    values = "; ".join(
        f"{format_count(one.n_rows)} rows predicted {one.mean_predicted:.2f}, actual {one.mean_actual:.2f}"
        for one in bins
    )
    return to_svg(figure, name, f"Predicted and actual ratings of {clean_text(label)}. {values}.")


def draw_histogram(bins: Sequence[HistogramBin], name: str) -> str:
    """Draw how many users got which NDCG@10, with their shares.

    Most users get 0. A bar that dwarfs the rest is cut, visibly, so that the rest can be read.
    """
    counts = [(f"{one.low:g}{EN_DASH}{one.high:g}" if one.high else "0", one.n_users) for one in bins]
    label = metric_label(PRIMARY)
    return _draw_shares(counts, name, f"{label} of a user", f"Users by {label}")


def draw_changes(bins: Sequence[HistogramBin], name: str) -> str:
    """Draw for how many users the NDCG@10 falls and rises by how much, with their shares."""
    labels = [f"{one.low:g} to {one.high:g}" if one.low < one.high else "0" for one in bins]
    counts = [(label.replace("-", MINUS), one.n_users) for label, one in zip(labels, bins, strict=True)]
    label = metric_label(PRIMARY)
    return _draw_shares(counts, name, f"change of a user's {label}", f"Users by the change of their {label}")


def _draw_shares(counts: Sequence[tuple[str, int]], name: str, xlabel: str, what: str) -> str:
    """Draw counts of users by label, with their shares, as bars, of which the longest may be cut."""
    total = sum(n for _, n in counts)
    figure, axes = new_axes(*INCHES)
    top = _top([n for _, n in counts])
    for place, (_, n_users) in enumerate(counts):
        axes.bar([place], [min(n_users, top)], color=ACCENT, width=0.72)
        axes.annotate(
            format_share(n_users / total) if total else "", (place, min(n_users, top)), xytext=(0, 3),
            textcoords="offset points", ha="center", color=MUTED, fontsize=9,
        )  # fmt: skip
        if n_users > top:
            _mark_cut(axes, place, top)
    labels = [clean_text(label, limit=12) for label, _ in counts]
    axes.set_xticks(range(len(counts)), labels, rotation=35 if sum(map(len, labels)) > 26 else 0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_share(value / total) if total else ""))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_ylim(0, top * 1.14)
    axes.tick_params("y", labelleft=False)
    axes.set_xlabel(xlabel)
    values = "; ".join(f"{clean_text(label)}: {format_count(n)}" for label, n in counts)
    return to_svg(figure, name, f"{what}. {values}.")


def _top(counts: Sequence[int]) -> float:
    highest, *others = sorted(counts, reverse=True)
    following = others[0] if others else 0
    return float(max(following * _CUT_ABOVE / 2 if highest > following * _CUT_ABOVE > 0 else highest, 1))


def _mark_cut(axes: Axes, place: int, top: float) -> None:
    """Draw the break of a bar that goes on beyond the chart."""
    waves = [place - 0.46 + 0.92 * step / 40 for step in range(41)]
    for level in (0.86, 0.9):
        heights = [top * (level + 0.012 * math.sin(step * math.pi / 5)) for step in range(41)]
        axes.plot(waves, heights, color=SURFACE, linewidth=2.4, zorder=4)
    axes.annotate(
        "bar cut", (place + 0.42, top * 0.88), xytext=(5, 0), textcoords="offset points", va="center", color=INK,
        fontsize=9,
    )  # fmt: skip
