"""Find the scale that the ratings of a whole file have, so that only what is outside it is put aside."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isinf

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviews.columns import normalise
from schema.understood import Part

FLAGS = "--min-rating, --max-rating"

# From the smallest; then counts, which have no upper end.
_SCALES = ((0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (0.5, 5.0), (0.0, 5.0), (1.0, 10.0), (0.0, 10.0), (0.0, 100.0))
_SIGNED = (-10.0, 10.0)  # Jester's
_COUNTS = ("weight", "plays", "playcount", "listencount", "count", "hours")
_FEW_VALUES, _FEW_ROWS, _MANY_ROWS = 2, 5, 40
_TINY_SHARE, _FAR_SHARE = 0.01, 0.2
_LEAST_UPPER = 0.1  # of ratings, in the upper half of a scale beyond 5
_CLIFF = 0.1
_SLOW_DECAY, _FAST_DECAY = 0.25, 0.05  # of the last value of a scale beside 1
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
        rounded = np.round(values / size) * size
        is_end = (rounded % 0.5 == 0) & (rounded != values)  # none may reach the end of a scale by being rounded
        values = np.where(is_end, rounded + np.sign(values - rounded) * size / 2, rounded)
    distinct, places = np.unique(values, return_inverse=True)
    return RatingCounts(distinct, np.bincount(places, counts, len(distinct)).astype(np.int64))


def find_scale(ratings: RatingCounts, low: float | None = None, high: float | None = None, column: str = "") -> Scale:
    """Return the smallest known scale that holds all but a tiny share of the ratings.

    Known are 0 to 1, -1 to 1, 1 to 5, 0.5 to 5, 0 to 5, 1 to 10, 0 to 10, 0 to 100 and -10 to 10. What a scale leaves
    out has to be rare beside the scale's end, or one or two values far off, such as 99, and no tail of counts. Else,
    and for a column that is named as counts are, there is no upper end, and no lower one where there are more than a
    few ratings below 0.

    Args:
        ratings: Those of the whole file.
        low: The lowest, where it is given.
        high: The highest, where it is given.
        column: Its name.

    Example:
        >>> stars = RatingCounts(np.array([1.0, 4.0, 5.0, 99.0]), np.array([20, 50, 30, 2]))
        >>> find_scale(stars).describe(), find_scale(stars).evidence
        ('1 to 5', '100 of 102 ratings are within; outside: 99 (2 rows)')
    """
    if low is not None and high is not None:
        return Scale(low, high, _say(ratings, low, high), is_set=True)
    set_end = "--min-rating" if low is not None else "--max-rating" if high is not None else ""
    given = f"{set_end} sets one end, the other is found; " if set_end else ""
    lowest, highest = -inf if low is None else low, inf if high is None else high
    judged = ratings.of((ratings.values >= lowest) & (ratings.values <= highest))
    is_count = normalise(column) in _COUNTS
    for one in () if is_count else _candidates(judged):
        ends = one[0] if low is None else low, one[1] if high is None else high
        if ends[0] < ends[1] and _holds(judged, *ends, is_high_set=high is not None):
            return Scale(*ends, given + _say(ratings, *ends))
    if low is None and _are_odd(judged.of(judged.values < 0), judged.n):
        lowest = 0.0
    why = f"{column!r} names counts" if is_count else "no scale that is known fits"
    return Scale(lowest, highest, f"{given}{why}; {_say(ratings, lowest, highest)}")


def say_far(ratings: RatingCounts, scale: Scale, column: str = "") -> list[str]:
    """Return a warning where the scale is that wide for one value alone, of ratings too few to call it a fault.

    Args:
        ratings: Those of the whole file.
        scale: What was found for them.
        column: Its name.
    """
    warnings = []
    for end, flag in ((0, "--min-rating"), (-1, "--max-rating")):
        if ratings.n >= _MANY_ROWS or len(ratings.values) < 3:
            continue
        far, rest = ratings.values[end], ratings.of(ratings.values != ratings.values[end])
        usual = find_scale(rest, column=column)
        bound = (min(0.0, 2 * usual.low), 2 * usual.high)[end]
        if scale.low <= far <= scale.high and (far < bound if end == 0 else far > bound):
            warnings.append(
                f"{_rows(int(ratings.counts[end]))} with the rating {far:g}, far off the other {rest.n:,}, which are "
                f"from {rest.values[0]:g} to {rest.values[-1]:g}: these are too few to tell whether it is a fault, and "
                f"it is taken. If it is one: {flag} {(usual.low, usual.high)[end]:g}."
            )
    return warnings


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
    if not _are_odd(ratings.of(ratings.values < 0), ratings.n):
        yield _SIGNED


def _holds(ratings: RatingCounts, low: float, high: float, *, is_high_set: bool) -> bool:
    """Return whether a scale holds the ratings but for a few that are impossible, and whether they use it."""
    n, values = ratings.n, ratings.values
    if not n:
        return True
    if _is_decay(ratings, high):
        return False
    if high > 5 and low >= 0 and not is_high_set and ratings.n_from((low + high) / 2, high) < _LEAST_UPPER * n:
        return False
    lowest, highest = min(0.0, 2 * low), 2 * high  # what is beyond is far off
    below, above = ratings.n_from(lowest, np.nextafter(low, -inf)), ratings.n_from(np.nextafter(high, inf), highest)
    if below and (high > 5 or (low == 1 and ratings.n_from(0.5, 0.5))):  # a wider scale has them
        return False
    step = 0.5 if low == 0.5 else max(high / 10, 1.0)
    is_slip = below + above == 1 and n >= _MANY_ROWS and high == 5
    is_rare = (
        below + above <= _TINY_SHARE * n
        and below <= _CLIFF * ratings.n_from(low, np.nextafter(low + step, -inf))
        and above <= _CLIFF * ratings.n_from(np.nextafter(high - step, inf), high)
    )
    return (is_slip or is_rare) and _are_odd(ratings.of((values < lowest) | (values > highest)), n)


def _are_odd(far: RatingCounts, n: int) -> bool:
    """Return whether values far off a scale are faults: rare ones, or one or two that stand for something else."""
    return far.n <= _TINY_SHARE * n or (len(far.values) <= _FEW_VALUES and far.n <= _FAR_SHARE * n and n >= _MANY_ROWS)


def _is_decay(ratings: RatingCounts, high: float) -> bool:
    """Return whether the ratings are counts: whole numbers, most of them 1, hardly any at the scale's end, but more."""
    if isinf(high) or ratings.values[-1] <= high or (ratings.values % 1 != 0).any():
        return False
    ones, last = ratings.n_from(1, 1), ratings.n_from(high, high)
    if ones < ratings.of(ratings.values >= 1).counts.max() or last > max(ratings.n_from(high - 1, high - 1), _FEW_ROWS):
        return False
    goes_on = ratings.n_from(high + 1, 2 * high)
    return last <= (_SLOW_DECAY if goes_on else _FAST_DECAY) * ones


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
