"""The key of a metric, and one measured number, the same from the array to the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

HELD_OUT_ONLY = "held_out_only_"
"""Prefix of metrics for which each user's held-out rows alone are ranked, not the full catalogue."""


class Metric(NamedTuple):
    """A metric at a cut-off, such as NDCG@10; written ``ndcg_10``.

    Attributes:
        name: Lower-case name, such as "ndcg" or "rmse".
        k: Cut-off, None for a metric without one.

    Example:
        >>> str(Metric("hit_rate", 10)), Metric.parse("rmse")
        ('hit_rate_10', Metric(name='rmse', k=None))
    """

    name: str
    k: int | None = None

    @property
    def is_held_out_only(self) -> bool:
        """Whether only each user's held-out rows are ranked."""
        return self.name.startswith(HELD_OUT_ONLY)

    @property
    def plain(self) -> "Metric":
        """The same metric without the prefix that says what is ranked.

        Example:
            >>> str(Metric("held_out_only_ndcg", 10).plain)
            'ndcg_10'
        """
        return Metric(self.name.removeprefix(HELD_OUT_ONLY), self.k)

    def __str__(self) -> str:
        return self.name if self.k is None else f"{self.name}_{self.k}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the metric that ``str`` wrote.

        Example:
            >>> Metric.parse("held_out_only_ndcg_10")
            Metric(name='held_out_only_ndcg', k=10)
        """
        name, _, k = text.rpartition("_")
        return cls(name, int(k)) if k.isdecimal() and name else cls(text)


@dataclass(frozen=True)
class MetricRow:
    """One metric of one model on one part of a split.

    Attributes:
        model: Name of the model, such as "als" or "popularity".
        parameters: What the model was fitted with.
        split: "validation" or "test".
        metric: Lower-case name, such as "ndcg" or "rmse".
        k: Cut-off, None for metrics without one.
        value: The metric over all users counted.
        low: Lower end of its 95 % interval over users.
        high: Upper end of its 95 % interval over users.
        n_users: Users counted.
    """

    model: str
    parameters: Mapping[str, str | int | float | bool | None]
    split: str
    metric: str
    k: int | None
    value: float
    low: float
    high: float
    n_users: int

    @property
    def key(self) -> Metric:
        """The metric and its cut-off."""
        return Metric(self.metric, self.k)
