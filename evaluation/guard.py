"""May a metric choose a model on this very split? Three yardsticks are scored by it before any model is.

A random scorer knows nothing, popularity knows a little, an oracle knows the held-out items. A metric that cannot
put these three in order, or that gives chance most of what an oracle gets, cannot choose between models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.comparison import Comparison, adjust, compare_paired, format_figure
from evaluation.intervals import mean_interval
from reports.display import format_count, metric_label
from schema.metric import Metric

MAX_CHANCE_SHARE = 0.5


@dataclass(frozen=True)
class Yardstick:
    """What a scorer of known worth gets: the mean over users and its 95 % interval."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class MetricTrial:
    """A metric tried on a split.

    Attributes:
        metric: The metric.
        yardsticks: "random", "popularity" and "oracle", in this order.
        is_fit: Whether the metric may choose a model on this split.
        reason: Why, in one sentence with the numbers.
    """

    metric: Metric
    yardsticks: tuple[Yardstick, Yardstick, Yardstick]
    is_fit: bool
    reason: str

    @property
    def label(self) -> str:
        """The metric and what it ranks, such as "NDCG@10 over the full catalogue"."""
        return metric_over(self.metric)


@dataclass(frozen=True)
class GuardVerdict:
    """Whether the metric that is to choose the model is fit to, and what else was tried."""

    wanted: MetricTrial
    others: tuple[MetricTrial, ...]
    is_fit: bool
    sentence: str


def try_metric(
    metric: Metric,
    random: NDArray[np.float64],
    popularity: NDArray[np.float64],
    oracle: NDArray[np.float64],
    *,
    lower_is_better: bool = False,
) -> MetricTrial:
    """Score the three yardsticks by a metric, which may choose a model if it can tell them apart.

    It can if paired tests (Holm over the two) show the oracle to be better than popularity and popularity better
    than chance, and chance gets less than MAX_CHANCE_SHARE of what the oracle gets. An error is 0 for the
    oracle, so there the tests alone decide.

    Args:
        metric: The metric.
        random: The metric of each user for a random scorer, shape (n).
        popularity: For popularity (for errors: its counterpart, such as means), the same users, shape (n).
        oracle: For a scorer that knows what is held out, the same users, shape (n).
        lower_is_better: Whether the metric is an error.

    Raises:
        ValueError: If the values are not of the same users, or are not finite.

    Example:
        >>> chance, popularity = np.repeat([0.0, 1.0], [99, 1]), np.repeat([0.0, 1.0], [80, 20])
        >>> trial = try_metric(Metric("recall", 10), chance, popularity, np.ones(100))
        >>> trial.is_fit, [yardstick.value for yardstick in trial.yardsticks]
        (True, [0.01, 0.2, 1.0])
    """
    label = metric_over(metric)
    scores = {"random": random, "popularity": popularity, "oracle": oracle}
    pairs = (("oracle", "popularity"), ("popularity", "random"))
    compared = [compare_paired(a, b, metric, scores[a], scores[b], lower_is_better=lower_is_better) for a, b in pairs]
    above_popularity, above_chance = adjust(compared)
    yardsticks = (_measure("random", random), _measure("popularity", popularity), _measure("oracle", oracle))
    failure = (
        ("" if lower_is_better else _find_blindness(label, yardsticks))
        or _find_doubt(label, "an oracle", "popularity", yardsticks[2], yardsticks[1], above_popularity)
        or _find_doubt(label, "popularity", "a random scorer", yardsticks[1], yardsticks[0], above_chance)
    )
    return MetricTrial(metric, yardsticks, not failure, failure or _praise(label, yardsticks))


def judge_metrics(wanted: Metric, trials: Sequence[MetricTrial]) -> GuardVerdict:
    """Say whether the wanted metric is fit to choose a model and, where it is not, which of the others is.

    Args:
        wanted: The metric that is to choose.
        trials: The wanted one and any others, in the order of preference.

    Raises:
        ValueError: If the wanted metric is not among the trials.

    Example:
        >>> values = np.zeros(100), np.repeat([0.0, 1.0], [80, 20]), np.ones(100)
        >>> blind = try_metric(Metric("held_out_only_precision", 10), values[2], values[2], values[2])
        >>> sharp = try_metric(Metric("ndcg", 10), *values)
        >>> verdict = judge_metrics(blind.metric, [blind, sharp])
        >>> verdict.is_fit, verdict.sentence.endswith(sharp.reason)
        (False, True)
    """
    found = [trial for trial in trials if trial.metric == wanted]
    if not found:
        tried = ", ".join(trial.label for trial in trials) or "none"
        raise ValueError(f"{metric_over(wanted)} was not tried; tried: {tried}. Pass its trial along with the others'.")
    others = tuple(trial for trial in trials if trial.metric != wanted)
    sentence = found[0].reason if found[0].is_fit else f"{found[0].reason} {_name_alternative(others)}"
    return GuardVerdict(found[0], others, found[0].is_fit, sentence)


def metric_over(metric: Metric) -> str:
    """Return a metric's name and what it ranks.

    Example:
        >>> metric_over(Metric("held_out_only_precision", 10))
        'Precision@10 over held-out rows'
    """
    return f"{metric_label(metric.plain)} over {'held-out rows' if metric.is_held_out_only else 'the full catalogue'}"


def _measure(name: str, values: NDArray[np.float64]) -> Yardstick:
    return Yardstick(name, float(values.mean()), *mean_interval(values))


def _find_blindness(label: str, yardsticks: tuple[Yardstick, Yardstick, Yardstick]) -> str:
    chance, _, oracle = (yardstick.value for yardstick in yardsticks)
    if oracle <= 0:
        return f"Even an oracle gets {format_figure(oracle)}: {label} cannot tell models apart on this split."
    if chance >= MAX_CHANCE_SHARE * oracle:
        return (
            f"A random scorer gets {format_figure(chance)} of the {format_figure(oracle)} that an oracle gets: "
            f"{label} cannot tell models apart on this split."
        )
    return ""


def _find_doubt(label: str, better: str, worse: str, first: Yardstick, second: Yardstick, result: Comparison) -> str:
    if result.verdict == "better":
        return ""
    claim = "puts {} below {}" if result.verdict == "worse" else "does not show {} to be better than {}"
    names = f"{better} ({format_figure(first.value)})", f"{worse} ({format_figure(second.value)})"
    return (
        f"{label} {claim.format(*names)} on the {format_count(result.n_users)} users of this split "
        f"(p = {result.p_adjusted:.2g}), so it cannot choose between models here."
    )


def _praise(label: str, yardsticks: tuple[Yardstick, Yardstick, Yardstick]) -> str:
    chance, popularity, oracle = (format_figure(yardstick.value) for yardstick in yardsticks)
    return (
        f"{label} tells models apart on this split: a random scorer gets {chance}, popularity {popularity} and an "
        f"oracle {oracle}."
    )


def _name_alternative(others: Sequence[MetricTrial]) -> str:
    fit = [trial for trial in others if trial.is_fit]
    if fit:
        return fit[0].reason
    if not others:
        return "No other metric was tried."
    return f"None of the {len(others)} others tried can either: " + ", ".join(trial.label for trial in others) + "."
