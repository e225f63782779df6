"""The space of parameters that a search draws candidates from."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_NAMED = 3
MARK_LENGTH = 6


@dataclass(frozen=True)
class Range:
    """Numbers from one to another, both among them.

    Attributes:
        low: The least.
        high: The largest.
        is_log: Whether their logarithms are drawn evenly, not they themselves; ``low`` is above 0 then.
        is_integer: Whether they are whole numbers.
        usual: The one that a candidate without any has; None: it always has one.

    Raises:
        ValueError: If it is empty, or logarithmic and not above 0.
    """

    low: float
    high: float
    is_log: bool = False
    is_integer: bool = False
    usual: float | None = None

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.is_log and self.low <= 0):
            raise ValueError(f"{self} is no range; expected low < high, and 0 < low where it is logarithmic.")

    def at(self, share: float) -> float:
        """Return the number at a share of the range, from 0 to 1, with four significant digits.

        Example:
            >>> Range(1, 100, is_log=True).at(0.5), Range(8, 256, is_log=True, is_integer=True).at(0.34)
            (10.0, 26)
        """
        low, high = self._scale(self.low), self._scale(self.high)
        found = low + share * (high - low)
        number = min(max(float(f"{math.exp(found) if self.is_log else found:.4g}"), self.low), self.high)
        return round(number) if self.is_integer else number

    def share(self, value: float) -> float:
        """Return where a number lies in the range, from 0 to 1; one outside has the share of the nearer end."""
        low, high = self._scale(self.low), self._scale(self.high)
        return (self._scale(min(max(value, self.low), self.high)) - low) / (high - low)

    def _scale(self, value: float) -> float:
        return math.log(value) if self.is_log else value


@dataclass(frozen=True)
class Choice:
    """Some values, JSON values, each as likely as any other; usual as of a `Range`."""

    values: tuple[Any, ...]
    usual: Any = None

    def at(self, share: float) -> Any:
        """Return the value at a share of them, from 0 to 1.

        Example:
            >>> Choice(("counts", "ratings")).at(0.7)
            'ratings'
        """
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def share(self, value: Any) -> float:
        """Return the middle of the shares of a value; 0.5 for one that is none of them."""
        return (self.values.index(value) + 0.5) / len(self.values) if value in self.values else 0.5


Space = Mapping[str, Range | Choice]


def draw(
    space: Space, seed: tuple[int, ...], near: Mapping[str, Any] | None = None, width: float = 0.0
) -> dict[str, Any]:
    """Return parameters drawn from a space: evenly, or around others.

    Args:
        space: What each is drawn from.
        seed: The same seed gives the same parameters.
        near: Parameters to draw around, normally distributed and mirrored at the ends of a range; of one that is not
            there, around its usual value, or the middle.
        width: Standard deviation, as a share of each range.

    Example:
        >>> space = {"rank": Range(8, 256, is_log=True, is_integer=True), "by": Choice(("counts", "ratings"))}
        >>> draw(space, (42, 0)), draw(space, (42, 0), near={"rank": 32, "by": "counts"}, width=0.1)
        ({'rank': 117, 'by': 'counts'}, {'rank': 36, 'by': 'counts'})
    """
    generator = np.random.default_rng(seed)
    if near is None:
        shares = generator.random(len(space))
    else:
        known = [(one, near.get(name, one.usual)) for name, one in space.items()]
        centre = np.array([0.5 if value is None else one.share(value) for one, value in known])
        shares = 1 - np.abs(1 - np.abs(centre + width * generator.standard_normal(len(space))) % 2)
    return {name: one.at(float(share)) for (name, one), share in zip(space.items(), shares, strict=True)}


def say_parameters(parameters: Mapping[str, Any], most: float = math.inf) -> Iterator[str]:
    """Yield parameters with their values, in few characters; if there are too many, one mark of them all.

    Example:
        >>> [*say_parameters({"rank": 64, "reg": 0.10})], [*say_parameters({"rank": 64, "reg": 0.10}, most=1)]
        (['rank 64', 'reg 0.1'], ['settings 9d8e9c'])
    """
    said = [
        f"{name} {value:g}" if isinstance(value, int | float) else f"{name} {value}"
        for name, value in parameters.items()
    ]
    if len(said) > most:
        said = [f"settings {hashlib.sha256(', '.join(sorted(said)).encode()).hexdigest()[:MARK_LENGTH]}"]
    yield from said
