"""The space of parameters that a search draws candidates from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """Numbers from one to another, both among them.

    Attributes:
        low: The least.
        high: The largest.
        is_log: Whether their logarithms are drawn evenly, not they themselves; ``low`` is above 0 then.
        is_integer: Whether they are whole numbers.

    Raises:
        ValueError: If it is empty, or logarithmic and not above 0.
    """

    low: float
    high: float
    is_log: bool = False
    is_integer: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.is_log and self.low <= 0):
            raise ValueError(f"{self} is no range; expected low < high, and 0 < low where it is logarithmic.")

    def at(self, share: float) -> float:
        """Return the number at a share of the range, from 0 to 1, with four significant digits.

        Example:
            >>> Range(1, 100, is_log=True).at(0.5), Range(8, 256, is_log=True, is_integer=True).at(0.34)
            (10.0, 26)
        """
        scale = (math.log(self.low), math.log(self.high)) if self.is_log else (self.low, self.high)
        found = scale[0] + share * (scale[1] - scale[0])
        number = min(max(float(f"{math.exp(found) if self.is_log else found:.4g}"), self.low), self.high)
        return round(number) if self.is_integer else number


@dataclass(frozen=True)
class Choice:
    """Some values, JSON values, each as likely as any other."""

    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """Return the value at a share of them, from 0 to 1.

        Example:
            >>> Choice(("counts", "ratings")).at(0.7)
            'ratings'
        """
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]


Space = Mapping[str, Range | Choice]
