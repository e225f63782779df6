"""Scores by segment of items and users: the rows of their table, and the chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from reports.display import clean_text, format_metric, metric_label
from reports.label_places import POINTS
from reports.quality_figures import (
    NARROW_INCHES,
    WIDE_INCHES,
    draw_whisker,
    face,
    grid_across,
    label_limit,
    to_plain_svg,
)
from reports.report_input import PRIMARY
from reports.svg import ACCENT, BASELINE, INK, MUTED, new_axes
from schema.scores import SegmentScore


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
    groups: dict[str, dict[str, None]] = {}
    for _, group, segment in found:
        groups.setdefault(group, {})[segment] = None
    return [
        SegmentGroup(
            group[:1].upper() + group[1:],
            tuple(_row(segment, [found.get((label, group, segment)) for label in labels]) for segment in segments),
        )
        for group, segments in groups.items()
    ]


def _row(segment: str, scores: Sequence[SegmentScore | None]) -> SegmentRow:
    return SegmentRow(segment, max(one.n_users for one in scores if one), tuple(scores))


def draw_segments(groups: Sequence[SegmentGroup], labels: Sequence[str], name: str, width: float = WIDE_INCHES) -> str:
    """Draw scores by segment with their 95 % intervals, the segments of a group together; "" if there are none.

    Args:
        groups: As `group_segments` gives them.
        labels: The models of the groups' scores: the chosen one, and the baseline that it is held against, hollow.
        name: Prefix of the SVG's ids.
        width: Inches.
    """
    if not groups or not labels:
        return ""
    heights = _heights(groups)
    figure, axes = new_axes(width, 1.15 + 0.3 * (heights[-1][-1] + 1))
    for number, label in enumerate(labels):
        colour, marker = ((ACCENT, "D"), (BASELINE, "o"))[min(number, 1)]
        shift = 0.32 * (number - (len(labels) - 1) / 2)
        for group, places in zip(groups, heights, strict=True):
            for row, place in zip(group.rows, places[1:], strict=True):
                if one := row.scores[number]:
                    draw_whisker(axes, place + shift, (one.low, one.value, one.high), colour, marker, not number)
        axes.plot([], [], marker=marker, color=colour, label=clean_text(label, limit=40), **face(not number, colour))
    _name_segments(axes, groups, heights, width)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6 if width > NARROW_INCHES else 3))
    grid_across(axes)
    metric = metric_label(PRIMARY)
    axes.set_xlabel(metric)
    columns = 2 if width > NARROW_INCHES else 1
    figure.legend(
        loc="outside upper left", ncols=columns, frameon=False, labelcolor=INK, fontsize=POINTS, handlelength=1.6
    )
    said = "; ".join(f"{clean_text(group.name)}, {_say(row, labels)}" for group in groups for row in group.rows)
    return to_plain_svg(figure, name, f"{metric} on test by segment: {said}.")


def _say(row: SegmentRow, labels: Sequence[str]) -> str:
    pairs = zip(labels, row.scores, strict=True)
    values = ", ".join(f"{clean_text(label)} {format_metric(one.value if one else None)}" for label, one in pairs)
    return f"{clean_text(row.segment)}: {values}"


def _heights(groups: Sequence[SegmentGroup]) -> list[list[int]]:
    """Return, for each group, the places of its heading and its rows, from the top."""
    place = count()
    return [[next(place) for _ in range(len(group.rows) + 1)] for group in groups]


def _name_segments(axes: Axes, groups: Sequence[SegmentGroup], heights: Sequence[Sequence[int]], width: float) -> None:
    names = [name for group in groups for name in (group.name, *(row.segment for row in group.rows))]
    headings = {places[0] for places in heights}
    places = [place for group in heights for place in group]
    axes.set_yticks(places, [clean_text(name, limit=label_limit(width)) for name in names])
    for tick, place in zip(axes.get_yticklabels(), places, strict=True):
        tick.set_color(INK if place in headings else MUTED)
        tick.set_fontweight("bold" if place in headings else "normal")
    axes.set_ylim(places[-1] + 0.6, -0.6)
