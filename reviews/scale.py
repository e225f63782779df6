"""Find the scale that the ratings of a whole file have, so that only what is outside it is put aside."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isinf

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schema.understood import Part

FLAGS = "--min-rating, --max-rating"

# From the smallest; then counts, which have no upper end.
_SCALES = ((0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (0.5, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
_SIGNED = (-10.0, 10.0)  # Jester's
_FEW_ROWS, _FEW_VALUES = 2, 2
_TINY_SHARE, _SMALL_SHARE = 0.01, 0.05
_LEAST_UPPER = 0.1  # of ratings, in the upper half of a scale beyond 5
_CLIFF = 0.1
_MOST_VALUES = 100_000
_MOST_SHOWN = 3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RatingCounts:
    """How often each rating occurs; missing and infinite ones are left out.

    Attributes:
        values: Different ratings, rising; where there are over 100,000, rounded to three digits.
        counts: Rows of each.
    """

    values: Floats
    counts: npt.NDArray[np.int64]

    @property
    def n(self) -> int:
        """Rows with a rating."""
        return int(self.counts.sum())

    def n_from(self, low: float, high: float) -> int:
        """Return the rows from low to high, both included."""
        first, last = np.searchsorted(self.values, low, "left"), np.searchsorted(self.values, high, "right")
        return int(self.counts[first:last].sum())

    def of(self, mask: npt.NDArray[np.bool_]) -> "RatingCounts":
        """Return those of the values where the mask is true."""
        return RatingCounts(self.values[mask], self.counts[mask])

    def __add__(self, other: "RatingCounts") -> "RatingCounts":
        """Return the counts of both."""
        return _counted(np.concatenate([self.values, other.values]), np.concatenate([self.counts, other.counts]))


@dataclass(frozen=True)
class Scale:
    """The ratings that are taken, both ends included; an end may be infinite.

    Attributes:
        low: The lowest.
        high: The highest.
        evidence: Why these, in words.
        is_set: Whether both ends were given.
    """

    low: float
    high: float
    evidence: str
    is_set: bool = False

    def describe(self) -> str:
        """Return the scale in words.

        Example:
            >>> Scale(0.5, 5, "").describe(), Scale(0, float("inf"), "").describe()
            ('0.5 to 5', '0 or more')
        """
        if isinf(self.low) and isinf(self.high):
            return "any number"
        if isinf(self.high):
            return f"{self.low:g} or more"
        return f"{self.high:g} or less" if isinf(self.low) else f"{self.low:g} to {self.high:g}"

    def to_part(self) -> Part:
        """Return the decision as a part of what was understood."""
        return Part("scale of ratings", self.describe(), self.evidence, FLAGS, self.is_set)


def count_ratings(ratings: pa.ChunkedArray | None = None) -> RatingCounts:
    """Return how often each rating occurs; of no ratings, nothing.

    Example:
        >>> counts = count_ratings(pa.chunked_array([[5.0, 1.0, None, 5.0]]))
        >>> counts.values.tolist(), counts.counts.tolist()
        ([1.0, 5.0], [1, 2])
    """
    if ratings is None:
        return RatingCounts(np.empty(0), np.empty(0, np.int64))
    found = pc.value_counts(ratings).flatten()
    values = found[0].cast(pa.float64()).to_numpy(zero_copy_only=False)
    is_finite = np.isfinite(values)  # a null is NaN here
    return _counted(values[is_finite], found[1].to_numpy()[is_finite])


def _counted(values: Floats, counts: npt.NDArray[np.int64]) -> RatingCounts:
    if len(values) > _MOST_VALUES:
        size = 10 ** np.floor(np.log10(np.maximum(np.abs(values), 1e-300)) - 2)
        values = np.round(values / size) * size
    distinct, places = np.unique(values, return_inverse=True)
    return RatingCounts(distinct, np.bincount(places, counts, len(distinct)).astype(np.int64))


def find_scale(ratings: RatingCounts, low: float | None = None, high: float | None = None) -> Scale:
    """Return the smallest known scale that holds all but a tiny share of the ratings.

    Known are 0 to 1, -1 to 1, 1 to 5, 0.5 to 5, 0 to 5, 1 to 10, 0 to 10, 0 to 100 and -10 to 10. What a scale leaves
    out has to be few rows, or one or two values far off, such as 99, and no tail that goes on beyond its end. Else
    there is no upper end (counts), and no lower one where many ratings are below 0.

    Args:
        ratings: Those of the whole file.
        low: The lowest, where it is given.
        high: The highest, where it is given.

    Example:
        >>> stars = RatingCounts(np.array([1.0, 4.0, 5.0, 99.0]), np.array([20, 50, 30, 2]))
        >>> find_scale(stars).describe(), find_scale(stars).evidence
        ('1 to 5', '100 of 102 ratings are within; outside: 99 (2 rows)')
    """
    if low is not None and high is not None:
        return Scale(low, high, _say(ratings, low, high), is_set=True)
    lowest, highest = -inf if low is None else low, inf if high is None else high
    judged = ratings.of((ratings.values >= lowest) & (ratings.values <= highest))
    for one in _candidates(judged):
        ends = one[0] if low is None else low, one[1] if high is None else high
        if ends[0] < ends[1] and _holds(judged, *ends, is_low_set=low is not None, is_high_set=high is not None):
            return Scale(*ends, _say(ratings, *ends))
    if low is None and judged.of(judged.values < 0).n <= _SMALL_SHARE * judged.n:
        lowest = 0.0
    return Scale(lowest, highest, f"no scale that is known fits; {_say(ratings, lowest, highest)}")


def say_zeros(ratings: RatingCounts, scale: Scale) -> list[str]:
    """Return a warning where 0 is the commonest of ratings that else are whole numbers of 1 or more."""
    if not len(ratings.values) or scale.low > 0 or scale.is_set or not scale.high > 1:
        return []
    n_zero = ratings.n_from(0, 0)
    is_whole = bool((ratings.values % 1 == 0).all() and (ratings.values >= 0).all())
    if not is_whole or n_zero < ratings.counts.max() or n_zero == ratings.n:
        return []
    return [
        f"{n_zero:,} of {ratings.n:,} ratings are 0, which in many files means 'not rated'; they are taken as the "
        "lowest rating. --min-rating 1 puts them aside, with a --max-bad-share that allows as many."
    ]


def _candidates(ratings: RatingCounts) -> Iterator[tuple[float, float]]:
    """Yield the scales that may be, the smallest first; those of likes only where there is nothing else."""
    if not ratings.n:
        yield 1.0, 5.0
        return
    lowest, highest = ratings.values[0], ratings.values[-1]
    for low, high in _SCALES:
        if high > 1 or (low <= lowest < 1 and highest <= 1 and (lowest < 0) == (low < 0)):
            yield low, high
    negative = ratings.of(ratings.values < 0)
    if len(negative.values) > _FEW_VALUES and negative.n > _SMALL_SHARE * ratings.n:
        yield _SIGNED


def _holds(ratings: RatingCounts, low: float, high: float, *, is_low_set: bool, is_high_set: bool) -> bool:
    """Return whether a scale holds the ratings but for a few that are impossible, and whether they use it."""
    n, outside = ratings.n, ratings.of((ratings.values < low) | (ratings.values > high))
    if not n:
        return True
    if outside.n * 2 > n or _is_decay(ratings, high):
        return False
    share, n_values = outside.n / n, len(outside.values)
    is_far = bool(((outside.values < 0) | (outside.values > 2 * high)).all())
    is_few = outside.n <= _FEW_ROWS or share <= _TINY_SHARE
    is_isolated = n_values <= _FEW_VALUES and (share <= _SMALL_SHARE or is_far)
    if not (is_few or is_isolated):
        return False
    if high > 5 and low >= 0 and not is_high_set and ratings.n_from((low + high) / 2, high) < _LEAST_UPPER * n:
        return False
    return (is_low_set or _ends_below(ratings, low)) and (is_high_set or _ends_above(ratings, high))


def _is_decay(ratings: RatingCounts, high: float) -> bool:
    """Return whether the ratings are counts: whole numbers, the rarer the greater, some of them far above the scale."""
    if isinf(high) or ratings.values[-1] <= high or (ratings.values % 1 != 0).any():
        return False
    first = [ratings.n_from(value, value) for value in range(1, 6)]
    n_values_above = int((ratings.values > high).sum())
    return n_values_above > _FEW_VALUES and all(a >= b > 0 for a, b in pairwise(first))


def _ends_above(ratings: RatingCounts, high: float) -> bool:
    """Return whether hardly anything is in the step above a scale, beside what is in its last step."""
    step = max(high / 10, 1.0)
    above = ratings.n_from(np.nextafter(high, inf), high + step)
    return above <= max(_CLIFF * ratings.n_from(np.nextafter(high - step, inf), high), _FEW_ROWS)


def _ends_below(ratings: RatingCounts, low: float) -> bool:
    """Return whether hardly anything is in the step below a scale, beside what is in its first step."""
    if low == 1 and ratings.n_from(0.5, 0.5) and not ratings.n_from(0, 0):  # half a star
        return False
    step = 0.5 if low == 0.5 else 1.0
    below = ratings.n_from(low - step, np.nextafter(low, -inf))
    return below <= max(_CLIFF * ratings.n_from(low, np.nextafter(low + step, -inf)), _FEW_ROWS)


def _say(ratings: RatingCounts, low: float, high: float) -> str:
    """Return how many ratings are within, and what is outside."""
    if not ratings.n:
        return "no rating is a number"
    outside = ratings.of((ratings.values < low) | (ratings.values > high))
    if not outside.n:
        return f"all {ratings.n:,} ratings are within, from {ratings.values[0]:g} to {ratings.values[-1]:g}"
    order = np.argsort(-outside.counts, kind="stable")[:_MOST_SHOWN]
    shown = ", ".join(f"{outside.values[i]:g} ({_rows(int(outside.counts[i]))})" for i in order)
    more = len(outside.values) - len(order)
    return (
        f"{ratings.n - outside.n:,} of {ratings.n:,} ratings are within; outside: {shown}"
        f"{f' and {more:,} more' if more else ''}"
    )


def _rows(n: int) -> str:
    return f"{n:,} row{'' if n == 1 else 's'}"
