"""What repeated runs come to: medians and ranges, beside the bare product and beside a tenth of the users."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.evaluating.rounds import CONTESTANTS, EVALUATION, PRODUCT, SPARK, Measurement
from benchmarks.transfers.figures import MEGABYTE, Spread


@dataclass(frozen=True)
class Figure:
    """What one contestant came to.

    Attributes:
        contestant: As in `Measurement`.
        seconds: Time of one run.
        cpu_seconds: Processor time of one run, all threads together; None where a JVM does the work.
        ratio_to_product: Median time by the product's; the range is that of the repetitions, each beside its own.
        peak_megabytes: Most memory at once, in 1,000,000 bytes; None where a JVM holds the most.
        peak_above_idle_megabytes: The same above what was held when the run began.
        ndcg: NDCG@10; None for the product.
    """

    contestant: str
    seconds: Spread
    cpu_seconds: Spread | None
    ratio_to_product: Spread
    peak_megabytes: Spread | None
    peak_above_idle_megabytes: Spread | None
    ndcg: float | None


@dataclass(frozen=True)
class Step:
    """The evaluation at one number of users.

    Attributes:
        users: How many.
        seconds: Time of one run.
        ratio: Median time by that of the next smaller number of users; None for the smallest.
    """

    users: int
    seconds: Spread
    ratio: float | None


METRICS = ("seconds", "cpu_seconds", "ratio_to_product", "peak_megabytes", "peak_above_idle_megabytes")


def summarise(measurements: Sequence[Measurement]) -> list[Figure]:
    """Return a figure for each contestant, from one measurement of each in every repetition."""
    by_name = {name: [one for one in measurements if one.contestant == name] for name in CONTESTANTS}
    return [_figure(measured, by_name[PRODUCT]) for measured in by_name.values() if measured]


def scale(measurements: Sequence[Measurement]) -> list[Step]:
    """Return the steps of the evaluation, from few users to many."""
    steps: list[Step] = []
    chosen = [one for one in measurements if one.contestant == EVALUATION]
    for users in sorted({one.users for one in chosen}):
        seconds = spread([one.seconds for one in chosen if one.users == users])
        steps.append(Step(users, seconds, seconds.value / steps[-1].seconds.value if steps else None))
    return steps


def rows_of(
    figures: Sequence[Figure], steps: Sequence[Step], parameters: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each metric of each figure and step, as all benchmarks write them."""
    for figure in figures:
        for metric in METRICS:
            found: Spread | None = getattr(figure, metric)
            if found is not None:
                yield _row(figure.contestant, parameters, metric, found)
        if figure.ndcg is not None:
            yield {**_row(figure.contestant, parameters, "ndcg", spread([figure.ndcg])), "k": 10}
    for step in steps:
        about = {**parameters, "users": step.users}
        yield _row(EVALUATION, about, "scaling_seconds", step.seconds)
        if step.ratio is not None:
            yield _row(EVALUATION, about, "scaling_ratio", spread([step.ratio]))


def spread(values: Sequence[float]) -> Spread:
    """Return the median, the least and the greatest.

    Example:
        >>> spread([3.0, 1.0, 2.0])
        Spread(value=2.0, low=1.0, high=3.0)
    """
    return Spread(median(values), min(values), max(values))


def _row(contestant: str, parameters: Mapping[str, Any], metric: str, found: Spread) -> dict[str, Any]:
    about = {"model": contestant, "parameters": dict(parameters), "split": "test", "metric": metric}
    return {**about, "value": found.value, "low": found.low, "high": found.high}


def _figure(measured: Sequence[Measurement], product: Sequence[Measurement]) -> Figure:
    seconds = spread([one.seconds for one in measured])
    paired = [one.seconds / other.seconds for one, other in zip(measured, product, strict=True)]
    ratio = Spread(seconds.value / median(one.seconds for one in product), min(paired), max(paired))
    is_in_python = measured[0].contestant != SPARK
    cpu = spread([one.cpu_seconds for one in measured])
    peak = spread([one.peak_bytes / MEGABYTE for one in measured])
    above = spread([(one.peak_bytes - one.idle_bytes) / MEGABYTE for one in measured])
    return Figure(
        measured[0].contestant,
        seconds,
        cpu if is_in_python else None,
        ratio,
        peak if is_in_python else None,
        above if is_in_python else None,
        measured[0].ndcg,
    )
