"""Choose the candidate that is best on validation, by a metric that the guard lets choose."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from loguru import logger
from prefect import task
from prefect.artifacts import create_table_artifact

from evaluation.assess import GOOD_RATING, USERS_K, score_oracle
from evaluation.selection import judge_lead, judge_metrics, try_held_out_only, try_metrics
from models.base import Scorer
from models.registry import Candidate
from reports.display import say_sample
from reports.report_input import HEADLINES, ScoredModel
from reports.tables import tabulate_models
from reports.verdicts import say_guard, say_lead
from schema.errors import InvalidInput
from schema.metric import Metric
from schema.verdicts import Guard, Lead, MetricTrial
from storage.manifest import Manifest
from tasks.fit import load_model
from tasks.options import EvaluationOptions, PlaceOptions, SelectionOptions
from tasks.rolling import hold_out_part
from tasks.score import Scored, read_rows, read_users
from tasks.store import read_parts

NDCG = Metric("ndcg", USERS_K)


@dataclass(frozen=True)
class Choice:
    """The candidate that was chosen, and how much the choice is worth.

    Attributes:
        scored: The chosen candidate on validation.
        metric: The metric that chose it.
        guard: Whether the metric may choose on this split.
        lead: Whether the winner is shown to be better than each of the others.
    """

    scored: Scored
    metric: Metric
    guard: Guard
    lead: Lead


@task(name="choose", task_run_name="choose by {options.select_by} on {split.id}")
def choose(
    places: PlaceOptions,
    split: Manifest,
    scored: Sequence[Scored],
    options: SelectionOptions,
    evaluation: EvaluationOptions,
) -> Choice:
    """Return the candidate of the highest value of the metric on validation; of equals, the first.

    Raises:
        InvalidInput: If the guard does not let the metric choose, in numbers, with one that it would let.
    """
    metric = options.metric
    if metric.is_held_out_only and not split.counts["has_ratings"]:
        raise InvalidInput(f"--select-by {metric} needs ratings, and the input has none. Use ndcg_10.")
    guard = _ask_guard(options, try_yardsticks(places, split, scored, evaluation))
    ranked = [one for one in scored if one.candidate.kind.ranks and one.value(metric) is not None]
    best = max(ranked, key=lambda one: one.value(metric) or 0.0)
    shown = scored_models(places, scored, best.candidate)
    rows = tabulate_models(shown, HEADLINES, head="candidate").to_records()
    sample = say_sample(best.sampled_users)
    about = f"Candidates on validation{sample}; all items ranked, seen items excluded, 95 % intervals over users"
    create_table_artifact(
        [{**row, "chosen": "yes" if one.is_chosen else ""} for one, row in zip(shown, rows, strict=True)],
        key="candidates",
        description=about,
    )
    value = best.value(metric) or 0.0
    logger.bind(in_short=True).info(
        "Chosen: {} with {} {:.4f} on validation{}", best.candidate.label, metric, value, sample
    )
    if best.candidate.kind.is_baseline:
        logger.warning(
            "No trained model is better than {}, a baseline: --budget-minutes 30 searches longer", best.candidate.label
        )
    values = np.column_stack([read_users(places, one.scores, metric_by_user(metric)) for one in ranked])
    lead = judge_lead(metric_by_user(metric), values, [one.candidate.label for one in ranked])
    logger.log("WARNING" if lead.is_within_noise else "INFO", "{}", say_lead(lead))
    return Choice(best, metric, guard, lead)


def metric_by_user(metric: Metric) -> Metric:
    """Return a metric, or NDCG@10 for one over held-out rows alone, which is not kept for each user."""
    return NDCG if metric.is_held_out_only else metric


def _ask_guard(options: SelectionOptions, trials: Sequence[MetricTrial]) -> Guard:
    guard = judge_metrics(options.metric, trials)
    if guard.is_fit:
        is_odd = guard.wanted.is_popularity_like_chance
        logger.log("WARNING" if is_odd else "INFO", "Guard: {}", say_guard(guard))
    elif options.guard == "refuse":
        raise InvalidInput(
            f"The guard does not let --select-by {options.metric} choose a model: {say_guard(guard)} To go on all "
            "the same, knowing that the choice is arbitrary: --guard warn."
        )
    else:
        logger.warning("Guard: {} The choice is arbitrary.", say_guard(guard))
    return guard


def try_yardsticks(
    places: PlaceOptions,
    split: Manifest,
    scored: Sequence[Scored],
    evaluation: EvaluationOptions,
    learnt: tuple[str, ...] = ("train",),
    part: str = "validation",
) -> list[MetricTrial]:
    """Return the trial of each metric with the yardsticks, on the part that was scored."""
    yardsticks = [next(one for one in scored if one.candidate.kind.role == role) for role in ("chance", "popular")]
    held_rows = read_parts(places, split, (part,))
    oracle = score_oracle(hold_out_part(places, split, learnt, part, evaluation), USERS_K)
    random, popularity = ({metric: read_users(places, one.scores, metric) for metric in oracle} for one in yardsticks)
    trials = try_metrics(random, popularity, oracle)
    if not split.counts["has_ratings"]:
        return trials
    users, items, rating = (np.asarray(held_rows[name]) for name in ("user_idx", "item_idx", "rating"))
    guessed, popular = (cast("Scorer", load_model(places, one.fitted)).score(users, items) for one in yardsticks)
    return trials + try_held_out_only(users, items, rating, rating >= GOOD_RATING, guessed, popular, USERS_K)


def scored_models(places: PlaceOptions, scored: Sequence[Scored], chosen: Candidate) -> list[ScoredModel]:
    """Return candidates with their metrics as they are shown."""
    return [
        ScoredModel(
            one.candidate.label,
            dict(one.candidate.parameters),
            read_rows(places, one.scores),
            one.candidate.kind.is_baseline,
            one.candidate == chosen,
            one.candidate.kind.role,
        )
        for one in scored
    ]
