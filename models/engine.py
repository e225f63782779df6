"""What an engine that is no part of a model can do for its fit."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Factors = NDArray[np.float32]
ItemLinks = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]


class Spark(Protocol):
    """What Spark does with the interactions of a fit, which it reads itself; the first call opens it."""

    def factorise(self, parameters: Mapping[str, Any], saved_as: str) -> tuple[Factors, Factors]:
        """Return the factors of users and items, float32, a row for each.

        Args:
            parameters: Those of the engine.
            saved_as: Name of the folder for the model in the engine's own format, where that is kept.
        """
        ...

    def has_times(self) -> bool:
        """Return whether every interaction has a timestamp."""
        ...

    def link(self, parameters: Mapping[str, Any]) -> ItemLinks:
        """Return the strongest links of each item to others: indptr, items and strengths, and each item's users.

        Args:
            parameters: Those of the engine.
        """
        ...
