"""What repeated transfers come to: medians and ranges, beside those of boto3."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.transfers.methods import BOTO3, METHODS
from benchmarks.transfers.rounds import Measurement

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Spread:
    """The median of repeated measurements, the least and the greatest."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Figure:
    """What one method came to in one direction.

    Attributes:
        direction, model: As in `Measurement`.
        seconds: Time of one transfer.
        megabytes_per_second: Its speed, in 1,000,000 bytes a second.
        ratio_to_boto3: Median time by boto3's; the range is that of the repetitions, each beside boto3's own.
        peak_megabytes: Most memory above idle, in 1,000,000 bytes.
    """

    direction: str
    model: str
    seconds: Spread
    megabytes_per_second: Spread
    ratio_to_boto3: Spread
    peak_megabytes: Spread


METRICS = ("seconds", "megabytes_per_second", "ratio_to_boto3", "peak_megabytes")


def summarise(measurements: Sequence[Measurement], megabytes: int) -> list[Figure]:
    """Return a figure for each method and direction, from one measurement of each in every repetition."""
    return [
        _figure(_of(measurements, direction, model), _of(measurements, direction, BOTO3), megabytes)
        for direction, models in METHODS.items()
        for model in models
    ]


def rows_of(figures: Sequence[Figure], parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row for each metric of each figure, as all benchmarks write them; the split is the direction."""
    for figure in figures:
        for metric in METRICS:
            spread: Spread = getattr(figure, metric)
            yield {
                "model": figure.model,
                "parameters": dict(parameters),
                "split": figure.direction,
                "metric": metric,
                "k": None,
                "value": spread.value,
                "low": spread.low,
                "high": spread.high,
            }


def _of(measurements: Sequence[Measurement], direction: str, model: str) -> list[Measurement]:
    return [one for one in measurements if (one.direction, one.model) == (direction, model)]


def _figure(measured: Sequence[Measurement], boto3: Sequence[Measurement], megabytes: int) -> Figure:
    seconds = _spread([one.seconds for one in measured])
    paired = [one.seconds / other.seconds for one, other in zip(measured, boto3, strict=True)]
    return Figure(
        measured[0].direction,
        measured[0].model,
        seconds,
        _spread([megabytes / one.seconds for one in measured]),
        Spread(seconds.value / median(one.seconds for one in boto3), min(paired), max(paired)),
        _spread([one.peak_bytes / MEGABYTE for one in measured]),
    )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(median(values), min(values), max(values))
