"""What the gate makes of a challenger: each condition, from the scores that are kept for each user."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from loguru import logger

from evaluation.checks import Finding, find_leaks, find_too_good
from evaluation.comparison import compare_paired
from evaluation.gate import (
    Condition,
    NonInferiority,
    decide,
    judge_against_popularity,
    judge_guard,
    judge_leaks,
    judge_non_inferiority,
    say_non_inferiority,
)
from evaluation.guard import GuardVerdict
from schema.errors import InvalidInput
from schema.metric import Metric
from storage.manifest import Manifest
from tasks.choose import Scored, judge_metric, try_metrics
from tasks.contest import Contest
from tasks.options import EvaluationOptions, PlaceOptions, SelectionOptions
from tasks.rank import candidate_of
from tasks.score import read_users
from tasks.store import LEARNT, read_parts

PART = "test"


def decide_promotion(
    places: PlaceOptions,
    contest: Contest,
    scored: Sequence[Scored],
    selection: SelectionOptions,
    evaluation: EvaluationOptions,
    margin_share: float,
) -> dict[str, Any]:
    """Return the decision as ``decision.json`` holds it, JSON values.

    Args:
        places: The store.
        contest: Challenger and champion.
        scored: They, a random scorer and popularity, fitted to train and validation of the split, on its test part.
        selection: The metric that decides, and what the guard may do.
        evaluation: Who is evaluated.
        margin_share: Share of the champion's metric that may be lost.

    Raises:
        InvalidInput: If the metric is not kept for each user.
    """
    metric = selection.metric
    if metric.is_held_out_only:
        raise InvalidInput(
            f"--select-by {metric} ranks held-out rows only, and is not kept for each user: models cannot "
            "be compared by it. Use ndcg_10."
        )
    trials = try_metrics(places, contest.split, scored, evaluation, LEARNT, PART)
    guard = judge_metric(metric, contest.split, trials)
    found = _compare(places, contest, scored, metric, margin_share)
    conditions = [
        *([say_non_inferiority(found)] if found else []),
        _hold_against_popularity(places, contest, scored, metric),
        judge_guard(guard, may_warn=selection.guard == "warn"),
        judge_leaks(_look_for_leaks(places, contest, scored, metric, guard)),
    ]
    for condition in conditions:
        logger.log("INFO" if condition.is_met else "WARNING", "{}: {}", condition.name.capitalize(), condition.sentence)
    return _record(contest, scored, metric, found, conditions)


def _compare(
    places: PlaceOptions, contest: Contest, scored: Sequence[Scored], metric: Metric, margin_share: float
) -> NonInferiority | None:
    if contest.champion is None:
        return None
    values, others = (
        read_users(places, _of(scored, one).scores, metric) for one in (contest.challenger, contest.champion)
    )
    return judge_non_inferiority("the challenger", "the champion", metric, values, others, margin_share=margin_share)


def _hold_against_popularity(
    places: PlaceOptions, contest: Contest, scored: Sequence[Scored], metric: Metric
) -> Condition:
    popularity = next(one for one in scored if one.candidate.kind.role == "popularity")
    values, others = (read_users(places, one.scores, metric) for one in (_of(scored, contest.challenger), popularity))
    return judge_against_popularity(
        compare_paired("the challenger", popularity.candidate.label, metric, values, others)
    )


def _look_for_leaks(
    places: PlaceOptions, contest: Contest, scored: Sequence[Scored], metric: Metric, guard: GuardVerdict
) -> list[Finding]:
    columns = ["user_idx", "item_idx"]
    parts = (read_parts(places, contest.split, part, columns) for part in (LEARNT, (PART,)))
    findings = [find_leaks(*(np.asarray(rows[name]) for rows in parts for name in columns))]
    n_leaked, oracle = contest.split.count("n_leaked"), guard.wanted.yardsticks[2].value
    if n_leaked:
        sentence = f"{n_leaked:,} pairs were named for more than one part of the split: whoever made it mixed them."
        findings.append(Finding("mixed parts", True, sentence))
    if oracle > 0:
        findings.append(find_too_good(_of(scored, contest.challenger).value(metric) or 0.0, oracle))
    return findings


def _record(
    contest: Contest,
    scored: Sequence[Scored],
    metric: Metric,
    found: NonInferiority | None,
    conditions: Sequence[Condition],
) -> dict[str, Any]:
    def about(model: Manifest) -> dict[str, Any]:
        one = _of(scored, model)
        return {"model_id": model.id, "label": one.candidate.label, "value": one.value(metric)}

    champion = contest.champion
    decision = decide(f"models/{contest.challenger.id}", f"models/{champion.id}" if champion else None, conditions)
    return {
        "promoted": decision.is_promoted,
        "sentence": decision.sentence,
        "metric": str(metric),
        "challenger": about(contest.challenger),
        "champion": about(champion) if champion else None,
        "difference": _difference(found) if found else None,
        "margin": _margin(found) if found else None,
        "conditions": [{"name": one.name, "met": one.is_met, "sentence": one.sentence} for one in conditions],
        "findings": [asdict(finding) for finding in contest.findings],
    }


def _difference(found: NonInferiority) -> dict[str, Any]:
    it = found.comparison
    return {"value": it.difference, "low": it.low, "high": it.high, "p_value": it.p_value, "n_users": it.n_users}


def _margin(found: NonInferiority) -> dict[str, float]:
    """Return what may be lost, and by how much the challenger is above what must be kept."""
    above = found.comparison.difference + found.margin
    return {"share": found.margin_share, "value": found.margin, "above": above, "low": found.low, "high": found.high}


def _of(scored: Sequence[Scored], model: Manifest) -> Scored:
    candidate = candidate_of(model)
    return next(one for one in scored if one.candidate == candidate)
