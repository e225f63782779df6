"""What the metrics of a report say: the verdict in words, the order of models, the columns of a table."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evaluation.display import format_metric, is_error, metric_label
from evaluation.report_input import (
    PRIMARY_K,
    PRIMARY_METRIC,
    ReportInput,
    ScoredModel,
)
from evaluation.rows import MetricRow

_COLUMN_ORDER = ("ndcg", "recall", "hit_rate", "precision", "mrr", "map", "rmse", "mae")


@dataclass(frozen=True)
class Verdict:
    """One sentence on the chosen model against the strongest baseline; `tone` is good, even or bad."""

    tone: str
    sentence: str


def judge(report: ReportInput) -> Verdict:
    """Compare the chosen model with the strongest baseline on the test split, by NDCG@10."""
    name = metric_label(PRIMARY_METRIC, PRIMARY_K)
    chosen = report.chosen_on_test
    score = _primary(chosen)
    rival = _strongest_baseline(report.test)
    if score is None:
        return Verdict("bad", f"{name} was not measured for {chosen.label} on the test split.")
    if chosen.is_baseline:
        return Verdict("bad", f"No trained model did better on validation: the choice is {chosen.label}.")
    if rival is None:
        return Verdict("even", f"There is no baseline on the test split to hold {chosen.label} against.")
    return _compare(chosen.label, score, rival[0].label, rival[1])


def _compare(label: str, score: MetricRow, rival: str, bar: MetricRow) -> Verdict:
    name = metric_label(PRIMARY_METRIC, PRIMARY_K)
    against = f"{rival} ({name} {format_metric(bar.value)})"
    if score.low > bar.high:
        times = f", {score.value / bar.value:.1f} times its score" if bar.value > 0 else ""
        return Verdict("good", f"{label} beats the strongest baseline, {against}{times}.")
    if score.high < bar.low:
        return Verdict("bad", f"{label} does worse than {against}.")
    return Verdict("even", f"No clear difference between {label} and {against}: their intervals overlap.")


def _primary(model: ScoredModel) -> MetricRow | None:
    row = model.find(PRIMARY_METRIC, PRIMARY_K)
    return row if row is not None and math.isfinite(row.value) else None


def _strongest_baseline(models: Iterable[ScoredModel]) -> tuple[ScoredModel, MetricRow] | None:
    scored = [(model, row) for model in models if model.is_baseline and (row := _primary(model))]
    return max(scored, key=lambda pair: pair[1].value, default=None)


def rank_models(models: Sequence[ScoredModel]) -> list[ScoredModel]:
    """Return models by NDCG@10, best first; those without one come last, by label."""

    def order(model: ScoredModel) -> tuple[float, str]:
        row = _primary(model)
        return (math.inf if row is None else -row.value, model.label)

    return sorted(models, key=order)


def metric_columns(models: Iterable[ScoredModel], k: int | None = None) -> list[tuple[str, int | None]]:
    """Return the (metric, cut-off) pairs measured for any of the models, the commonest metrics first.

    Args:
        models: Models of one split.
        k: Keep only this cut-off, and the metrics that have none; None keeps all.
    """
    found = {(row.metric, row.k) for model in models for row in model.metrics}
    kept = [pair for pair in found if k is None or pair[1] in (None, k)]
    return sorted(kept, key=lambda pair: (_position(pair[0]), pair[0], pair[1] or 0))


def _position(metric: str) -> int:
    return _COLUMN_ORDER.index(metric) if metric in _COLUMN_ORDER else len(_COLUMN_ORDER)


def best_value(models: Iterable[ScoredModel], metric: str, k: int | None) -> float | None:
    """Return the best finite value of a metric among the models, the lowest if it is an error."""
    rows = [row for model in models if (row := model.find(metric, k))]
    values = [row.value for row in rows if math.isfinite(row.value)]
    pick = min if is_error(metric) else max
    return pick(values, default=None)
