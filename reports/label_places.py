"""Where the names of points and lines are written so that they do not cover each other."""

from collections.abc import Sequence

POINTS = 10.5
"""Size of the names' type, in points."""
_LETTER, _HALF_LINE, _HALF_DOT = 0.58 * POINTS, 7.0, 6.0
_AROUND = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_SHIFTS = [(right * far, up * far * 0.8) for far in (9, 15, 22, 30, 40, 52) for right, up in _AROUND]

Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in points."""


def spread_apart(places: Sequence[float], gap: float) -> list[float]:
    """Return places at least `gap` apart, in the same order and as near as can be to where they were.

    Example:
        >>> [round(place, 2) for place in spread_apart([0.5, 0.52, 0.1], gap=0.1)]
        [0.46, 0.56, 0.1]
    """
    blocks: list[list[int]] = []
    for at in sorted(range(len(places)), key=lambda at: places[at]):
        blocks.append([at])
        while len(blocks) > 1 and _start(blocks[-2], places, gap) + len(blocks[-2]) * gap > _start(
            blocks[-1], places, gap
        ):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    moved = {at: _start(block, places, gap) + step * gap for block in blocks for step, at in enumerate(block)}
    return [moved[at] for at in range(len(places))]


def _start(block: Sequence[int], places: Sequence[float], gap: float) -> float:
    return sum(places[at] for at in block) / len(block) - (len(block) - 1) * gap / 2


def place_labels(spots: Sequence[tuple[float, float]], labels: Sequence[str], frame: Box) -> list[tuple[float, float]]:
    """Return how far from its spot each label is written: the first place around it that is free.

    A place is free if no dot, no label placed before and no edge of the frame is there; where none is, the
    nearest is taken. A label right of its spot starts there, one left of it ends there, others are centred.

    Args:
        spots: (x, y) of the dots, in points.
        labels: Their names.
        frame: What the labels have to stay within.

    Example:
        >>> place_labels([(80, 50), (82, 50)], ["als", "item-knn"], frame=(0, 0, 200, 100))
        [(9, 0.0), (-9, 0.0)]
    """
    taken: list[Box] = [(x - _HALF_DOT, y - _HALF_DOT, x + _HALF_DOT, y + _HALF_DOT) for x, y in spots]
    chosen: list[tuple[float, float]] = []
    for (x, y), label in zip(spots, labels, strict=True):
        boxes = {shift: _box(x + shift[0], y + shift[1], shift[0], len(label)) for shift in _SHIFTS}
        free = (
            shift
            for shift, box in boxes.items()
            if _is_within(box, frame) and not any(_touch(box, other) for other in taken)
        )
        shift = next(free, _SHIFTS[0])
        taken.append(boxes[shift])
        chosen.append(shift)
    return chosen


def _box(x: float, y: float, shift: float, n_letters: int) -> Box:
    width = n_letters * _LETTER
    left = x - width / 2 if shift == 0 else x if shift > 0 else x - width
    return (left, y - _HALF_LINE, left + width, y + _HALF_LINE)


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _is_within(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]
