"""Charts as inline SVG whose colours follow the page, the same bytes for the same numbers."""

import re
from html import escape
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

# Matplotlib knows no CSS variables: it draws in these colours, and `to_svg` puts the page's in their place.
INK, MUTED, GRID, ACCENT, BASELINE, SURFACE = "#010203", "#020304", "#030405", "#040506", "#050607", "#060708"
_PAGE_COLOURS = {
    INK: "var(--ink, #1f2430)",
    MUTED: "var(--muted, #5b6472)",
    GRID: "var(--line, #dddad2)",
    ACCENT: "var(--accent, #0b6b7d)",
    BASELINE: "var(--baseline, #858b96)",
    SURFACE: "var(--surface, #ffffff)",
}
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


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of this size in inches, and its axes, in the report's style."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.add_subplot()


def to_svg(figure: Figure, name: str, alt: str) -> str:
    """Return a figure as an `<svg>` element to put into a page.

    Args:
        figure: Made by `new_axes`.
        name: Letters and hyphens, unlike any other figure's on the page; prefixes every id.
        alt: What the chart shows, for readers who cannot see it.
    """
    target = StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(target, format="svg", metadata=dict.fromkeys(["Date", "Creator", "Format", "Type"]))
    return _adopt(target.getvalue(), name, alt)


def _adopt(document: str, name: str, alt: str) -> str:
    svg = document[document.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|xlink:href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font-family: '[^']*'", "font-family: inherit", svg)
    for drawn, shown in _PAGE_COLOURS.items():
        svg = svg.replace(drawn, shown)
    view_box = re.search(r'viewBox="([^"]*)"', svg)
    if view_box is None:
        raise ValueError(f"matplotlib wrote an SVG without a viewBox for figure {name!r}; found {svg[:200]!r}.")
    opening = f'<svg class="chart" viewBox="{view_box[1]}" role="img" aria-label="{escape(alt)}">'
    return opening + svg[svg.index(">") + 1 :]
