"""Choosing the model: the candidate that is best on validation by a metric that the guard lets choose."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from loguru import logger
from numpy.typing import NDArray
from prefect import task
from prefect.artifacts import create_table_artifact

from evaluation.assess import HeldOut, hold_out
from evaluation.evaluate import evaluate_lists, rank_held_out
from evaluation.guard import GuardVerdict, MetricTrial, judge_metrics, try_metric
from evaluation.held_out_only import held_out_only
from evaluation.ranking import Scores
from evaluation.selection_noise import LeadVerdict, judge_lead
from models.base import Scorer
from models.registry import Candidate
from reports.display import format_interval, format_metric, metric_label
from schema.errors import InvalidInput
from schema.metric import Metric
from storage.manifest import Manifest
from tasks.measured import GOOD_RATING, USERS_K
from tasks.options import EvaluationOptions, PlaceOptions, SelectionOptions
from tasks.rank import load_model
from tasks.score import read_rows, read_users
from tasks.store import read_parts

NDCG = Metric("ndcg", USERS_K)
SHOWN = (NDCG, Metric("recall", 10), Metric("hit_rate", 10), Metric("coverage", 10), Metric("rmse"))


@dataclass(frozen=True)
class Scored:
    """A candidate with what it was fitted to and how it did on one part."""

    candidate: Candidate
    fitted: Manifest
    scores: Manifest

    def value(self, metric: Metric) -> float | None:
        """Return a metric where it was measured for the candidate."""
        value = self.scores.counts.get(str(metric))
        return None if value is None else float(value)


@dataclass(frozen=True)
class Choice:
    """The candidate that was chosen, and how much the choice is worth.

    Attributes:
        scored: The chosen candidate on validation.
        metric: The metric that chose it.
        guard: Whether the metric may choose on this split.
        lead: Whether the winner's lead is more than the best of so many show by chance.
    """

    scored: Scored
    metric: Metric
    guard: GuardVerdict
    lead: LeadVerdict


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
    guard = _judge(places, split, scored, options, evaluation)
    ranked = [one for one in scored if one.candidate.kind.ranks and one.value(options.metric) is not None]
    best = max(ranked, key=lambda one: one.value(options.metric) or 0.0)
    create_table_artifact(
        [_row(places, one, is_chosen=one is best) for one in scored],
        key="candidates",
        description="Candidates on validation, all items ranked, seen items excluded; 95 % intervals over users",
    )
    value = best.value(options.metric) or 0.0
    logger.info("Chosen: {} with {} {:.4f} on validation", best.candidate.label, options.select_by, value)
    if best.candidate.kind.is_baseline:
        logger.warning("No trained model beats {}: search a wider grid (see --help)", best.candidate.label)
    lead = _judge_lead(places, ranked, options)
    logger.log("WARNING" if lead.is_within_noise else "INFO", "{}", lead.sentence)
    return Choice(best, options.metric, guard, lead)


def _judge(
    places: PlaceOptions,
    split: Manifest,
    scored: Sequence[Scored],
    options: SelectionOptions,
    evaluation: EvaluationOptions,
) -> GuardVerdict:
    verdict = judge_metric(options.metric, split, try_metrics(places, split, scored, evaluation))
    if verdict.is_fit:
        logger.info("Guard: {}", verdict.sentence)
    elif options.guard == "refuse":
        raise InvalidInput(
            f"The guard does not let --select-by {options.select_by} choose a model: {verdict.sentence} To go on all "
            "the same, knowing that the choice is arbitrary: --guard warn."
        )
    else:
        logger.warning("Guard: {} The choice is arbitrary.", verdict.sentence)
    return verdict


def judge_metric(metric: Metric, split: Manifest, trials: Sequence[MetricTrial]) -> GuardVerdict:
    """Return whether a metric that was tried on a split may choose a model there.

    Raises:
        InvalidInput: If it needs ratings that the split does not have.
    """
    if metric.is_held_out_only and not split.counts["has_ratings"]:
        raise InvalidInput(f"--select-by {metric} needs ratings, and the input has none. Use ndcg_10.")
    return judge_metrics(metric, trials)


def try_metrics(
    places: PlaceOptions,
    split: Manifest,
    scored: Sequence[Scored],
    evaluation: EvaluationOptions,
    learnt: tuple[str, ...] = ("train",),
    part: str = "validation",
) -> list[MetricTrial]:
    """Return what each metric makes of a random scorer, popularity and an oracle on the part they were scored on."""
    chance, popularity = (_find(scored, role) for role in ("chance", "popularity"))
    held_rows, learnt_rows = read_parts(places, split, (part,)), read_parts(places, split, learnt)
    n_users, n_items = split.count("n_users"), split.count("n_items")
    held_out = hold_out(learnt_rows, held_rows, n_users, n_items, evaluation.evaluate_users)
    oracle = _oracle(held_out)
    trials = [
        try_metric(
            metric,
            read_users(places, chance.scores, metric),
            read_users(places, popularity.scores, metric),
            oracle[metric],
        )
        for metric in oracle
    ]
    if not split.counts["has_ratings"]:
        return trials
    users, items, rating = (np.asarray(held_rows[name]) for name in ("user_idx", "item_idx", "rating"))
    by_scorer = [
        held_out_only(users, score, rating >= GOOD_RATING, (USERS_K,), item_idx=items)[1]
        for score in (*(_predicted(places, one, users, items) for one in (chance, popularity)), rating)
    ]
    return trials + [try_metric(metric, *(found[metric] for found in by_scorer)) for metric in by_scorer[0]]


def _find(scored: Sequence[Scored], role: str) -> Scored:
    return next(one for one in scored if one.candidate.kind.role == role)


def _oracle(held_out: HeldOut) -> Scores:
    lists = rank_held_out(held_out.relevant, held_out.users, USERS_K)
    return evaluate_lists(lists, held_out.users, held_out.seen, held_out.relevant, (USERS_K,)).scores


def _predicted(
    places: PlaceOptions, one: Scored, users: NDArray[np.integer], items: NDArray[np.integer]
) -> NDArray[np.floating]:
    model = load_model(places, one.fitted)
    assert isinstance(model, Scorer), f"{one.candidate.label} scores pairs"  # noqa: S101 - for the type checker
    return model.score(users, items)


def _judge_lead(places: PlaceOptions, ranked: Sequence[Scored], options: SelectionOptions) -> LeadVerdict:
    """Judge the lead by the metric that chose, or by NDCG@10 where that one is not kept for each user."""
    metric = NDCG if options.metric.is_held_out_only else options.metric
    values = np.column_stack([read_users(places, one.scores, metric) for one in ranked])
    return judge_lead(values, [one.candidate.label for one in ranked])


def _row(places: PlaceOptions, one: Scored, *, is_chosen: bool) -> dict[str, object]:
    found = {row.key: row for row in read_rows(places, one.scores)}
    shown = {metric_label(column): found.get(column) for column in SHOWN}
    return {"candidate": one.candidate.label, "chosen": "yes" if is_chosen else ""} | {
        label: f"{format_metric(row.value)} ({format_interval(row.low, row.high)})" if row else None
        for label, row in shown.items()
    }
