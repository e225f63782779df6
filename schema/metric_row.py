"""One measured number, as metrics.json and the report hold it."""

from collections.abc import Mapping
from dataclasses import dataclass


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
