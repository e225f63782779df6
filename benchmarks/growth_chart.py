"""A chart of how the seconds of steps grow with the rows, in text that GitHub draws."""

from collections.abc import Iterable, Mapping
from math import log10
from typing import Any

COLOURS = {
    "ingest": ("blue", "#4e79a7"),
    "dataset": ("orange", "#f28e2b"),
    "split": ("green", "#59a14f"),
    "als": ("red", "#e15759"),
    "graph": ("purple", "#b07aa1"),
    "lists": ("brown", "#9c755f"),
}
GREY = "#bab0ac"


def draw_growth(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the chart, as Markdown, of what `benchmarks.growth` measured; "" of other rows, or of a single size.

    Both axes are logarithmic, for which sizes have to be as many times the one before each.
    """
    seconds: dict[str, dict[int, float]] = {}
    for row in rows:
        if row["metric"] == "seconds" and row["model"] in COLOURS and "rows" in row["parameters"]:
            seconds.setdefault(row["model"], {})[row["parameters"]["rows"]] = row["value"]
    sizes = sorted(set().union(*seconds.values()))
    if len(sizes) < 2:
        return ""
    lines = {step: [log10(by_rows[n]) for n in sizes] for step, by_rows in seconds.items()}
    low, high = min(min(line) for line in lines.values()), max(max(line) for line in lines.values())
    even = [low + log10(n / sizes[0]) for n in sizes]
    palette = ", ".join([*(COLOURS[step][1] for step in lines), GREY])
    drawn = "\n".join(f"    line [{', '.join(f'{value:.2f}' for value in line)}]" for line in (*lines.values(), even))
    legend = ", ".join(f"{COLOURS[step][0]} {step}" for step in lines)
    return f"""
```mermaid
---
config:
  themeVariables:
    xyChart:
      plotColorPalette: "{palette}"
---
xychart-beta
    title "Seconds of each step, by rows"
    x-axis "rows" [{", ".join(f'"{n / 1e6:g} M"' for n in sizes)}]
    y-axis "log10 of seconds" {low:.1f} --> {max(high, even[-1]):.1f}
{drawn}
```

Lines: {legend}; grey is in proportion to the rows.
"""
