"""Read the metrics of a report: the verdict in words, the order of models, the columns of a table."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.display import (
    DESCRIPTIONS,
    better_sense,
    format_count,
    format_difference,
    format_interval,
    format_metric,
    format_p_value,
    format_range,
    format_share,
    metric_label,
)
from reports.report_input import PRIMARY, ReportInput, ScoredModel, WindowScores
from reports.verdicts import say_finding, say_guard
from schema.metric import RANKING_METRICS, Metric, MetricRow, SegmentScore
from schema.verdicts import Comparison, Outcome

ABOUT_THE_SAME = 0.1
"""Two values that differ by no more than this share are called about the same."""
_ORIGINAL = ("held_out_only_ndcg", "held_out_only_precision")
_ORDER = {name: place for place, name in enumerate((*RANKING_METRICS, *_ORIGINAL, "rmse", "mae", *DESCRIPTIONS))}


@dataclass(frozen=True)
class Headline:
    """One sentence on the chosen model against the strongest baseline; `tone` is good, even or bad."""

    tone: str
    sentence: str


def judge(report: ReportInput) -> Headline:
    """Compare the chosen model with the strongest baseline on the test split, by NDCG@10.

    Where the two were compared user by user, that decides: a paired difference sees what two overlapping
    intervals hide.
    """
    name, chosen = metric_label(PRIMARY), report.chosen_on_test
    score = find_primary(chosen)
    rival = strongest_baseline(model for model in report.test if not model.is_chosen)
    bar = find_primary(rival) if rival else None
    if score is None:
        return Headline("bad", f"{name} was not measured for {chosen.label} on the test split.")
    if chosen.is_baseline and report.candidates:
        return Headline("bad", f"No trained model did better on validation: the choice is {chosen.label}.")
    if rival is None or bar is None:
        return Headline("even", f"There is no baseline on the test split to hold {chosen.label} against.")
    wanted = (chosen.label, rival.label, PRIMARY)
    compared = report.evidence.comparisons
    paired = next((one for one in compared if (one.model, one.against, one.metric) == wanted), None)
    outcome = paired.outcome if paired else _compare_intervals(score, bar)
    against = f"{rival.label} ({name} {format_metric(bar.value)})"
    proof = f": {_say_proof(paired)}" if paired else ""
    if outcome == "better":
        times = f", {score.value / bar.value:.1f} times its score" if bar.value > 0 else ""
        return Headline("good", f"{chosen.label} beats the strongest baseline, {against}{times}{proof}.")
    if outcome == "worse":
        return Headline("bad", f"{chosen.label} does worse than {against}{proof}.")
    if paired:
        return Headline("even", f"No difference shown between {chosen.label} and {against}{proof}.")
    return Headline("even", f"No clear difference between {chosen.label} and {against}: their intervals overlap.")


def _compare_intervals(score: MetricRow, bar: MetricRow) -> Outcome:
    if score.low > bar.high:
        return "better"
    return "worse" if score.high < bar.low else "no difference shown"


def _say_proof(paired: Comparison) -> str:
    p_value = format_p_value(paired.p_adjusted)
    equals = p_value.replace("<", "<\u00a0") if p_value.startswith("<") else f"=\u00a0{p_value}"
    interval = f"95\u00a0% interval {format_range(paired.low, paired.high)}"
    return (
        f"paired by user, the difference is {format_difference(paired.difference)} ({interval}, "
        f"adjusted p\u00a0{equals})"
    )


def say_popularity(models: Sequence[ScoredModel]) -> str:
    """Return what the same list of popular items for everyone would have got; nothing if that was not measured."""
    popular = next((model for model in models if model.role == "popular"), None)
    score = find_primary(popular) if popular and not popular.is_chosen else None
    if score is None:
        return ""
    interval = format_interval(score.low, score.high)
    got = f"{metric_label(PRIMARY)} {format_metric(score.value)}"
    got += f" (95\u00a0% interval {interval})" if interval else ""
    best = next((find_primary(model) for model in models if model.is_chosen), None)
    share = f", {format_share(score.value / best.value)} of the chosen model\u2019s" if best and best.value > 0 else ""
    return f"Popularity alone, the same items for everyone, would have got {got}{share}."


def gather_warnings(report: ReportInput) -> list[str]:
    """Return what a reader must know before any number: the warnings among the findings, and an unfit metric."""
    unfit = [say_guard(report.guard)] if report.guard and not report.guard.is_fit else []
    return unfit + [say_finding(one) for one in report.evidence.findings if one.is_warning]


def strongest_baseline(models: Iterable[ScoredModel]) -> ScoredModel | None:
    """Return the baseline with the highest NDCG@10; None if it was measured for none."""
    scored = [(row.value, model) for model in models if model.is_baseline and (row := find_primary(model))]
    return max(scored, key=lambda pair: pair[0], default=(0.0, None))[1]


def find_primary(model: ScoredModel) -> MetricRow | None:
    """Return the model's NDCG@10; None if it was not measured or is not a number."""
    row = model.find(PRIMARY)
    return row if row is not None and math.isfinite(row.value) else None


def rank_models(models: Sequence[ScoredModel]) -> list[ScoredModel]:
    """Return models by NDCG@10, best first; those without one come last, by label."""

    def order(model: ScoredModel) -> tuple[float, str]:
        row = find_primary(model)
        return (math.inf if row is None else -row.value, model.label)

    return sorted(models, key=order)


def metric_columns(models: Iterable[ScoredModel], k: int | None = None) -> list[Metric]:
    """Return the metrics measured for any of the models, the commonest first: all, or those at k or without a k."""
    found = {row.key for model in models for row in model.metrics}
    kept = [metric for metric in found if k is None or metric.k in (None, k)]
    return sorted(kept, key=lambda metric: (_ORDER.get(metric.name, len(_ORDER)), metric.name, metric.k or 0))


def join_equal(models: Sequence[ScoredModel], metrics: Iterable[Metric]) -> list[list[Metric]]:
    """Return the metrics, with those together that say the same of every model, as recall and hit rate may."""
    groups: dict[tuple[Any, ...], list[Metric]] = {}
    for metric in metrics:
        rows = [model.find(metric) for model in models]
        said = tuple(row and (row.value, row.low, row.high) for row in rows)
        groups.setdefault((metric.k, *said), []).append(metric)
    return list(groups.values())


def answer_headings(report: ReportInput) -> dict[str, str]:
    """Return what some of the folded parts of a report say, by their ids, in a few words."""
    comparisons, found, beside = report.evidence.comparisons, report.evidence.findings, report.evidence.beside
    n_better = sum(one.outcome == "better" for one in comparisons)
    n_warnings = sum(one.is_warning for one in found)
    answers = {
        "proof": f"shown for {n_better} of {len(comparisons)} others" if comparisons else "",
        "change": _say_share_of_lists(beside.change.figures) if beside else "",
        "guard": ("yes" if report.guard.wanted.is_fit else "no") if report.guard else "",
        "segments": _say_extremes(report),
        "search": f"{len(report.candidates)} candidates",
        "checks": f"{n_warnings} of {len(found)} warn",
        "input": f"{format_count(report.data.reviews.n_quarantined)} lines put aside",
        "examples": f"{len(report.examples)} users",
    }
    return {name: answer for name, answer in answers.items() if answer}


def _say_share_of_lists(figures: Mapping[str, Any]) -> str:
    return f"{format_share(figures['n_changed'] / figures['n_lists'])} of the lists would differ"


def _say_extremes(report: ReportInput) -> str:
    """Return for whom the chosen model is best and for whom it is worst; "" where that was not measured."""
    scores = report.evidence.segments.get(report.chosen_on_test.label, ())
    by_value = sorted((one for one in scores if one.metric == PRIMARY), key=lambda one: one.value)
    if len(by_value) < 2:
        return ""
    worst, best = (f"{one.segment} ({one.group}, {format_metric(one.value)})" for one in (by_value[0], by_value[-1]))
    return f"best: {best}, worst: {worst}"


def best_value(models: Iterable[ScoredModel], metric: Metric) -> float | None:
    """Return the best finite value of a metric among the models; None where neither high nor low is better."""
    sense = better_sense(metric.name)
    if sense is None:
        return None
    rows = [row for model in models if (row := model.find(metric))]
    values = [row.value for row in rows if math.isfinite(row.value)]
    pick = min if sense == "lower" else max
    return pick(values, default=None)


def original_columns(models: Sequence[ScoredModel]) -> tuple[list[Metric], list[Metric]]:
    """Return the metrics of the original project's protocol, and the honest ones beside them."""
    columns = metric_columns(models)
    theirs = [metric for metric in columns if metric.name in (*_ORIGINAL, "rmse", "mae")]
    return theirs, [metric for metric in columns if metric not in theirs]


def say_random(models: Sequence[ScoredModel]) -> list[str]:
    """Return, for each ranking metric of the original table, what a random scorer gets of the best model's value."""
    scorer = next((model for model in models if model.role == "chance"), None)
    if scorer is None:
        return []
    theirs, ours = original_columns(models)
    ranking = [metric for metric in theirs + ours if metric.name in (*_ORIGINAL, PRIMARY.name)]
    others = [model for model in models if model is not scorer]
    return [text for metric in ranking if (text := _say_chance(scorer, others, metric))]


def _say_chance(scorer: ScoredModel, others: Sequence[ScoredModel], metric: Metric) -> str:
    row = scorer.find(metric)
    values = [found.value for model in others if (found := model.find(metric)) and math.isfinite(found.value)]
    best = max(values, default=0.0)
    if row is None or not math.isfinite(row.value) or best <= 0:
        return ""
    name = metric_label(metric) + ("" if metric.name in _ORIGINAL else ", all items ranked")
    share = row.value / best
    like = "gets about the same as" if abs(share - 1) <= ABOUT_THE_SAME else f"gets {format_share(share)} of"
    numbers = f"{format_metric(row.value)} against {format_metric(best)}"
    return f"{name}: a random scorer {like} the best of the others, {numbers}."


@dataclass(frozen=True)
class SegmentRow:
    """One segment: its users, and the score of each model in the order asked for; None where it has none."""

    segment: str
    n_users: int
    scores: tuple[SegmentScore | None, ...]


@dataclass(frozen=True)
class SegmentGroup:
    """The segments that part the items or the users in one way, such as by activity."""

    name: str
    rows: tuple[SegmentRow, ...]


def group_segments(scores: Mapping[str, Sequence[SegmentScore]], labels: Sequence[str]) -> list[SegmentGroup]:
    """Return the NDCG@10 of these models by group and segment, in the order in which they were measured.

    Example:
        >>> score = SegmentScore("activity", "light", PRIMARY, 0.1, 0.0, 0.2, n_users=7)
        >>> [(group.name, group.rows[0].n_users) for group in group_segments({"als": [score]}, ["als"])]
        [('Activity', 7)]
    """
    found = {(label, one.group, one.segment): one for label in labels for one in scores[label] if one.metric == PRIMARY}
    groups: dict[str, list[SegmentRow]] = {}
    for group, segment in dict.fromkeys((group, segment) for _, group, segment in found):
        row = tuple(found.get((label, group, segment)) for label in labels)
        groups.setdefault(group, []).append(SegmentRow(segment, max(one.n_users for one in row if one), row))
    return [SegmentGroup(group[:1].upper() + group[1:], tuple(rows)) for group, rows in groups.items()]


@dataclass(frozen=True)
class WindowRow:
    """A model's NDCG@10 by window (None where it was not measured), its mean and standard deviation.

    The standard deviation is that of a sample (n - 1), None for fewer than two windows.
    """

    model: ScoredModel
    scores: tuple[MetricRow | None, ...]
    mean: float | None
    spread: float | None


def compare_windows(windows: Sequence[WindowScores]) -> list[WindowRow]:
    """Return one row for each model of any window, the highest mean first."""
    models = {model.label: model for window in reversed(windows) for model in window.models}
    rows = [_window_row(model, windows) for model in models.values()]
    return sorted(rows, key=lambda row: (math.inf if row.mean is None else -row.mean, row.model.label))


def _window_row(model: ScoredModel, windows: Sequence[WindowScores]) -> WindowRow:
    found = [next((one for one in window.models if one.label == model.label), None) for window in windows]
    scores = tuple(None if one is None else find_primary(one) for one in found)
    values = [score.value for score in scores if score is not None]
    mean = float(np.mean(values)) if values else None
    return WindowRow(model, scores, mean, float(np.std(values, ddof=1)) if len(values) > 1 else None)
