"""Draw boxes in rows, and arrows between them, as inline SVG in the colours of the page."""

from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Final

WIDTH: Final = 760
BOX_HEIGHT, ROW_HEIGHT, GAP = 40, 92, 14
LETTER: Final = 8.2
STYLE: Final = 'font-family="inherit" font-size="13" fill="currentColor"'
ARROW: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="currentColor"/></marker></defs>'
)

Edges = Mapping[str, Collection[str]]
"""What each node leads to."""


def draw(edges: Edges, notes: Mapping[str, str], alt: str) -> str:
    """Return a drawing of a graph without cycles: each node below all that lead to it, as a block of raw HTML.

    Args:
        edges: The graph.
        notes: A second line in the box of a node.
        alt: What the drawing shows, for those who do not see it.

    Raises:
        ValueError: If the graph has a cycle.
    """
    rows = rank(edges)
    places = {
        name: place for y, row in enumerate(rows) for name, place in zip(row, _spread(row, notes, y), strict=True)
    }
    arrows = [_arrow(places[one], places[other]) for one in edges for other in edges[one]]
    boxes = [_box(name, notes.get(name, ""), *place) for name, place in places.items()]
    height = (len(rows) - 1) * ROW_HEIGHT + BOX_HEIGHT + 4
    opening = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(alt)}" width="100%" {STYLE}>'
    return "\n".join(["```{raw} html", opening, ARROW, *arrows, *boxes, "</svg>", "```"])


def rank(edges: Edges) -> list[list[str]]:
    """Return the nodes in rows: below all that lead to them, just above what they lead to.

    Raises:
        ValueError: If the graph has a cycle.

    Example:
        >>> rank({"a": ["b", "c"], "b": ["c"], "d": ["c"]})
        [['a'], ['d', 'b'], ['c']]
    """
    left = list(dict.fromkeys([*edges, *(name for several in edges.values() for name in several)]))
    depths: dict[str, int] = {}
    while left:
        row = [name for name in left if not any(name in edges.get(other, ()) for other in left)]
        if not row:
            raise ValueError(f"the graph has a cycle among {left}; nothing can be drawn above the rest.")
        depths |= dict.fromkeys(row, max(depths.values(), default=-1) + 1)
        left = [name for name in left if name not in row]
    for name in reversed(depths):
        depths[name] = min((depths[end] for end in edges.get(name, ())), default=depths[name] + 1) - 1
    return [[name for name in depths if depths[name] == depth] for depth in sorted(set(depths.values()))]


def reduce(edges: Edges) -> dict[str, list[str]]:
    """Return the graph without the edges that others imply.

    Example:
        >>> reduce({"a": ["b", "c"], "b": ["c"]})
        {'a': ['b'], 'b': ['c']}
    """
    return {
        name: [one for one in ends if not any(_leads(edges, other, one) for other in ends if other != one)]
        for name, ends in edges.items()
    }


def _leads(edges: Edges, name: str, end: str) -> bool:
    return any(one == end or _leads(edges, one, end) for one in edges.get(name, ()))


def _spread(row: Sequence[str], notes: Mapping[str, str], y: int) -> list[tuple[float, float, float]]:
    """Return the centre, the top and the width of each box of a row."""
    widths = [max(len(name), len(notes.get(name, ""))) * LETTER + 18 for name in row]
    left = (WIDTH - sum(widths) - GAP * (len(row) - 1)) / 2
    found = []
    for width in widths:
        found.append((left + width / 2, y * ROW_HEIGHT + 2.0, width))
        left += width + GAP
    return found


def _arrow(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    line = f"M{start[0]:.0f} {start[1] + BOX_HEIGHT:.0f} L{end[0]:.0f} {end[1] - 1:.0f}"
    return f'<path d="{line}" fill="none" stroke="currentColor" stroke-opacity="0.45" marker-end="url(#tip)"/>'


def _box(name: str, note: str, x: float, top: float, width: float) -> str:
    frame = f'x="{x - width / 2:.0f}" y="{top:.0f}" width="{width:.0f}" height="{BOX_HEIGHT}" rx="5"'
    lines = [(name, 17 if note else 25, 600), *([(note, 33, 400)] if note else [])]
    texts = (
        f'<text x="{x:.0f}" y="{top + down:.0f}" text-anchor="middle" font-weight="{weight}">{escape(text)}</text>'
        for text, down, weight in lines
    )
    return f'<rect {frame} fill="var(--color-background-primary, #fff)" stroke="currentColor"/>{"".join(texts)}'
