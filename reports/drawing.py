"""Charts as inline SVG whose colours follow the page: the same bytes for the same numbers."""

import math
import re
from collections.abc import Sequence
from html import escape
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox
from matplotlib.typing import RcKeyType
from scipy.optimize import isotonic_regression

WIDE_INCHES, NARROW_INCHES, SMALL_INCHES = 10.4, 4.2, 4.6
MOST_TICKS = 6
POINTS = 10.5
"""Size of the type of names beside points and lines."""

INK, MUTED, GRID, ACCENT, BASELINE, SURFACE = "#1f2430", "#5b6472", "#dddad2", "#0b6b7d", "#858b96", "#ffffff"
# Matplotlib knows no CSS variables: it draws in these colours, and `to_svg` puts the page's in their place.
_PAGE_COLOURS = {INK: "ink", MUTED: "muted", GRID: "line", ACCENT: "accent", BASELINE: "baseline", SURFACE: "surface"}
_STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid.axis": "y",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "xtick.major.pad": 6,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
}
_HEX = re.compile(r"#[0-9a-f]{6}\b")
_LETTER, _HALF_LINE, _HALF_DOT = 0.58 * POINTS, 7.0, 6.0
_AROUND = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_SHIFTS = [(right * far, up * far * 0.8) for far in (9, 15, 22, 30, 40, 52) for right, up in _AROUND]


class Chart(Figure):
    """A figure in the report's style wherever it is drawn, which a notebook shows with its text alternative.

    Attributes:
        alt: What the chart shows, for readers who cannot see it.
    """

    alt: str = ""

    def draw(self, renderer: Any) -> None:
        """Draw, as matplotlib asks for it; parts that are made only now, such as ticks, have the style too."""
        with mpl.rc_context(_STYLE):
            super().draw(renderer)

    def _repr_html_(self) -> str:
        """Return what a notebook shows, on a light ground whatever its theme."""
        shown = to_svg(self, f"figure-{id(self):x}", self.alt)
        return f'<div style="background: {SURFACE}; max-width: 40rem">{shown}</div>'


def new_axes(width: float, height: float) -> tuple[Chart, Axes]:
    """Return an empty figure of this size in inches, and its axes, in the report's style."""
    with mpl.rc_context(_STYLE):
        figure = Chart(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def to_svg(figure: Figure, name: str, alt: str) -> str:
    """Return a figure as an `<svg>` element to put into a page.

    Args:
        figure: Made by `new_axes`.
        name: Letters and hyphens, unlike any other figure's on the page; prefixes every id.
        alt: What the chart shows, for readers who cannot see it.
    """
    for text in figure.findobj(Text):
        if isinstance(text, Text):
            text.set_parse_math(False)
    target = StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(target, format="svg", metadata=dict.fromkeys(["Date", "Creator", "Format", "Type"]))
    return _adopt(target.getvalue(), name, alt)


def _adopt(document: str, name: str, alt: str) -> str:
    svg = document[document.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<[^>]*>", lambda tag: _adopt_tag(tag[0], name), svg)
    view_box = re.search(r'viewBox="([^"]*)"', svg)
    if view_box is None:
        raise ValueError(f"matplotlib wrote an SVG without a viewBox for figure {name!r}; found {svg[:200]!r}.")
    opening = f'<svg class="chart" viewBox="{view_box[1]}" role="img" aria-label="{escape(alt)}">'
    return opening + svg[svg.index(">") + 1 :]


def _adopt_tag(tag: str, name: str) -> str:
    """Return a tag, of which no text between tags is a part, with the page's ids, type and colours."""
    tag = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", tag)
    tag = re.sub(r"font-family: '[^']*'", "font-family: inherit", tag)
    return re.sub(_HEX, _follow_page, tag)


def _follow_page(colour: re.Match[str]) -> str:
    return f"var(--{_PAGE_COLOURS[colour[0]]}, {colour[0]})" if colour[0] in _PAGE_COLOURS else colour[0]


def draw_whisker(
    axes: Axes, place: float, ends: tuple[float, float, float], colour: str, marker: str, is_filled: bool, size: int = 7
) -> None:
    """Draw the low end, value and high end of an interval at a place of the y axis."""
    low, value, high = ends
    axes.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="round")
    axes.plot([value], [place], marker=marker, markersize=size, **face(is_filled, colour))


def face(is_filled: bool, colour: str) -> dict[str, Any]:
    """Return how a mark is filled: baselines and differences that were not shown are hollow."""
    return {"markerfacecolor": colour if is_filled else SURFACE, "markeredgecolor": colour, "markeredgewidth": 1.6}


def name_rows(axes: Axes, names: Sequence[str], strong: Sequence[bool]) -> None:
    """Write names at the rows of the y axis, from the top, those of strong ones in bold; the grid stands across."""
    axes.set_yticks(range(len(names)), list(names))
    for tick, is_strong in zip(axes.get_yticklabels(), strong, strict=True):
        tick.set_color(INK if is_strong else MUTED)
        tick.set_fontweight("bold" if is_strong else "normal")
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")


def label_limit(width: float) -> int:
    """Return how many letters of a label a chart of this width in inches has room for."""
    return 34 if width > NARROW_INCHES else 20


def spread_apart(places: Sequence[float], gap: float) -> list[float]:
    """Return places at least `gap` apart, in the same order and as close as possible to where they were.

    Example:
        >>> [round(place, 2) for place in spread_apart([0.5, 0.52, 0.1], gap=0.1)]
        [0.46, 0.56, 0.1]
    """
    order = np.argsort(places, kind="stable")
    steps = gap * np.arange(len(places))
    moved = np.empty(len(places))
    moved[order] = isotonic_regression(np.asarray(places)[order] - steps).x + steps
    return [float(place) for place in moved]


def place_labels(
    spots: Sequence[tuple[float, float]], labels: Sequence[str], frame: tuple[float, float, float, float]
) -> list[tuple[float, float]]:
    """Return how far from its spot each label is written: the first place around it that is free.

    A place is free if no dot, no label placed before and no edge of the frame is there; where none is, the
    nearest is taken. A label right of its spot starts there, one left of it ends there, others are centred.

    Spots, which are (x, y), and the frame, which is (left, bottom, right, top), are in points.

    Example:
        >>> place_labels([(80, 50), (82, 50)], ["als", "item-knn"], frame=(0, 0, 200, 100))
        [(9, 0.0), (-9, 0.0)]
    """
    edge = Bbox.from_extents(*frame)
    taken = [Bbox.from_extents(x - _HALF_DOT, y - _HALF_DOT, x + _HALF_DOT, y + _HALF_DOT) for x, y in spots]
    chosen: list[tuple[float, float]] = []
    for (x, y), label in zip(spots, labels, strict=True):
        boxes = {shift: _box(x + shift[0], y + shift[1], shift[0], len(label)) for shift in _SHIFTS}
        inside = {shift: box for shift, box in boxes.items() if edge.count_contains(box.get_points()) == 2}
        free = (shift for shift, box in inside.items() if not any(map(box.fully_overlaps, taken)))
        shift = next(free, _SHIFTS[0])
        taken.append(boxes[shift])
        chosen.append(shift)
    return chosen


def _box(x: float, y: float, shift: float, n_letters: int) -> Bbox:
    width = n_letters * _LETTER
    left = x - width / 2 if shift == 0 else x if shift > 0 else x - width
    return Bbox.from_extents(left, y - _HALF_LINE, left + width, y + _HALF_LINE)


def quiet_counts(axes: Axes) -> None:
    """Show few counts at the y axis, short ones."""
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(round(value))))


def short_count(count: int) -> str:
    """Return a count in a few characters.

    Example:
        >>> short_count(950), short_count(1_240), short_count(12_400), short_count(2_000_000)
        ('950', '1.2k', '12k', '2M')
    """
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= size * 10:
            return f"{count / size:.0f}{unit}"
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + unit
    return str(count)


def tick_months(axes: Axes, months: Sequence[str]) -> None:
    """Label at most six of the months (as in 2014-07) of steps along x: each January's year if there are three."""
    januaries = [(place, month[:4]) for place, month in enumerate(months) if month.endswith("-01")]
    ticks = januaries if len(januaries) >= 3 else list(enumerate(months))
    shown = ticks[:: math.ceil(len(ticks) / MOST_TICKS)]
    axes.set_xticks([place + 0.5 for place, _ in shown], [label for _, label in shown])
