"""Promote a model to champion: find challenger and champion, compare them, publish the decision, swap the pointer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from prefect import task

from evaluation.checks import find_leaks, find_mixed_parts, find_too_good
from evaluation.gate import judge_challenger
from evaluation.options import PromotionOptions
from evaluation.ranking import DEFAULT_KS
from evaluation.selection import judge_metrics
from models.registry import Candidate
from reports.promotion import decision_record
from reports.verdicts import say_finding
from schema.errors import CorruptObject, InvalidInput
from schema.gate_verdicts import BEST, CHAMPION, POPULARITY, Verdict
from schema.verdicts import ORACLE, POPULAR, Finding, Guard
from storage import artifacts, canonical, layout
from storage.champion import ChampionHistory, ChampionTerm, predecessors, promote, read_history
from storage.manifest import Manifest
from storage.verify import verify_files
from tasks.best import Best, compare_standing, count_tries, find_best, lacking
from tasks.choose import try_yardsticks
from tasks.execution import COMPUTE_RETRIES, NETWORK_RETRIES
from tasks.fit import candidate_of
from tasks.model import newest_model, require_model
from tasks.options import EvaluationOptions, ModelChoice, PlaceOptions, SelectionOptions
from tasks.recommend import have_same_lists
from tasks.score import PART, Scored, find_other_lists, metric_records, read_users
from tasks.store import LEARNT, find_again, local_file, publish_once, read_parts, read_table, write_record


@dataclass(frozen=True)
class Challenge:
    """A challenger, the champion, and the split on which they are compared.

    Attributes:
        challenger: A published model.
        champion: The model that serves; None if there is none.
        split: The challenger's own, which both are fitted to again and tested on.
        history: The champions until now, with the version of the pointer on which the decision is based.
        findings: What is to be known of the two beside their figures.
        best: The best parameters so far; None if there is no champion.
    """

    challenger: Manifest
    champion: Manifest | None
    split: Manifest
    history: ChampionHistory
    findings: tuple[Finding, ...]
    best: Best | None = None

    @property
    def models(self) -> dict[str, Manifest]:
        """Challenger and, where there is one, champion by their roles."""
        found = {"challenger": self.challenger, "champion": self.champion}
        return {role: model for role, model in found.items() if model}

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What challenger, champion and best so far are fits of."""
        models = *self.models.values(), *([self.best.model] if self.best else [])
        return tuple(map(candidate_of, {model.id: model for model in models}.values()))


@dataclass(frozen=True)
class Decision:
    """A published decision of the gate.

    Attributes:
        artifact: Where it is published.
        record: As ``decision.json`` holds it, JSON values.
        is_new: Whether it was decided now, rather than found as an earlier run left it.
    """

    artifact: Manifest
    record: dict[str, Any]
    is_new: bool


@task(name="find challenger and champion")
def find_challenge(places: PlaceOptions, choice: ModelChoice) -> Challenge:
    """Return the model that is named, else the newest, with the champion.

    Raises:
        InvalidInput: If there is no such model, its split is gone, or the champion is gone or cannot be fitted to it.
    """
    store = places.open_store()
    history = read_history(store)
    challenger, dataset = require_model(store, choice.model_id or newest_model(store, history.terms))
    advice = f"It is the split of models/{challenger.id}: train a challenger again."
    split = find_again(store, layout.SPLITS, challenger.inputs["split"], advice)
    if history.champion_id in (None, challenger.id):
        return Challenge(challenger, challenger if history.champion_id else None, split, history, ())
    advice = "It is the champion: put a model in its place with --rollback --model ID --reason TEXT."
    champion = find_again(store, layout.MODELS, str(history.champion_id), advice)
    if why := lacking(champion, split):
        raise InvalidInput(
            f"The champion, {candidate_of(champion).label}, cannot be fitted to splits/{split.id} of the challenger: "
            f"{why}. Train a challenger on data that have them."
        )
    best = find_best(store, history, champion, split)
    findings = (*_find_differences(places, challenger, champion, dataset, history.terms), *best.findings)
    for finding in findings:
        logger.log("WARNING" if finding.is_warning else "INFO", "{}", say_finding(finding))
    return Challenge(challenger, champion, split, history, findings, best)


def _find_differences(
    places: PlaceOptions, challenger: Manifest, champion: Manifest, dataset: Manifest, history: Sequence[ChampionTerm]
) -> Iterator[Finding]:
    """Yield whether the challenger served before, is of older data, or is of the same parameters, or data too."""
    place = next((place for place, term in enumerate(history) if term.model_id == challenger.id), None)
    if place is not None:
        next_term = history[place - 1]
        about = {"successor": next_term.model_id, "promoted_at": next_term.promoted_at, "reason": next_term.reason}
        yield Finding("served before", is_warning=True, figures=about)
    champions_dataset = artifacts.find(places.open_store(), layout.DATASETS, champion.inputs["dataset"])
    last = _last_day(places, dataset)
    champions_last = _last_day(places, champions_dataset) if champions_dataset else None
    if last and champions_last and last < champions_last:
        days = {"last_day": last.isoformat(), "champions_last_day": champions_last.isoformat()}
        yield Finding("older data", is_warning=True, figures=days)
    if candidate_of(challenger) == candidate_of(champion):
        is_same_data = challenger.inputs["dataset"] == champion.inputs["dataset"]
        figures = {"data": "the same" if is_same_data else "different"}
        yield Finding("same parameters", is_warning=False, figures=figures)


def _last_day(places: PlaceOptions, dataset: Manifest) -> date | None:
    if not dataset.counts["has_timestamps"]:
        return None
    timestamps = np.asarray(read_table(places, dataset, layout.INTERACTIONS, ["timestamp"])["timestamp"])
    return datetime.fromtimestamp(int(timestamps.max()), tz=UTC).date()


@task(name="compare lists", **COMPUTE_RETRIES)
def are_identical(places: PlaceOptions, challenge: Challenge, evaluation: EvaluationOptions) -> bool:
    """Tell whether challenger and champion, as they are published, give every user the same lists."""
    store, models = places.open_store(), list(challenge.models.values())
    datasets = [artifacts.find(store, layout.DATASETS, model.inputs["dataset"]) for model in models]
    served = [(model, dataset) for model, dataset in zip(models, datasets, strict=True) if dataset]
    can_be_compared = len(served) == 2 and all(one.kind.ranks for one in challenge.candidates)
    return can_be_compared and have_same_lists(places, served, max(DEFAULT_KS), evaluation.evaluate_block_users)


@task(name="gate", **COMPUTE_RETRIES)
def decide(
    places: PlaceOptions,
    challenge: Challenge,
    scored: Sequence[Scored],
    selection: SelectionOptions,
    evaluation: EvaluationOptions,
    options: PromotionOptions,
    online: Finding | None = None,
) -> Decision:
    """Publish and return the decision: ``decision.json``, with ``metrics.json`` of all that were compared.

    Scored are the two, a random scorer and popularity, fitted to train and validation of the split, on its test part;
    online is what an A/B test found, where one is asked for.

    Raises:
        InvalidInput: If the metric is not kept for each user.
    """
    is_new, n_tries = False, count_tries(places.open_store(), challenge.challenger, challenge.split)

    def build(folder: Path) -> dict[str, Any]:
        nonlocal is_new
        is_new = True
        rows, margin, metric = metric_records(places, scored), options.promotion_margin, selection.metric
        write_record(folder / layout.METRICS, {"rows": rows})
        standing = compare_standing(places, challenge.best, challenge.split, metric, rows, margin)
        verdict = _judge(places, challenge, scored, selection, evaluation, margin, n_tries)
        verdict = replace(verdict, online=online, standing=standing)
        by_role = {role: _find(scored, model) for role, model in challenge.models.items()}
        about = {
            role: {"model_id": model.id, "label": by_role[role].candidate.label, "value": by_role[role].value(metric)}
            for role, model in challenge.models.items()
        }
        record = decision_record(verdict, about, [*challenge.findings, *find_other_lists(places, by_role, metric)])
        for one in record["conditions"]:
            logger.log("INFO" if one["met"] else "WARNING", "{}: {}", one["name"].capitalize(), one["sentence"])
        write_record(folder / layout.DECISION, record)
        return {"is_promoted": verdict.is_promoted, "n_users": scored[0].scores.counts["n_users"]}

    promotion = publish_once(
        places,
        layout.PROMOTIONS,
        inputs={**{role: model.id for role, model in challenge.models.items()}, "split": challenge.split.id},
        parameters={
            **selection.model_dump(mode="json"),
            "margin": options.promotion_margin,
            "n_tries": n_tries,
            "best": challenge.best and challenge.best.name,
            "evaluate_users": evaluation.evaluate_users,
            "test_scores": [one.scores.id for one in scored],
            "findings": [asdict(finding) for finding in challenge.findings],
            **({"online": asdict(online)} if online else {}),
        },
        build=build,
        uses=[decision_record, Challenge],
    )
    path = local_file(places, promotion, layout.DECISION)
    return Decision(promotion, canonical.decode_object(path.read_bytes(), str(path)), is_new)


def _judge(
    places: PlaceOptions,
    challenge: Challenge,
    scored: Sequence[Scored],
    selection: SelectionOptions,
    evaluation: EvaluationOptions,
    margin_share: float,
    n_tries: int,
) -> Verdict:
    """Return the verdict of the gate on a challenger, from the scores that are kept for each user."""
    metric = selection.metric
    if metric.is_held_out_only:
        what = "ranks held-out rows only, and is not kept for each user: models cannot be compared by it"
        raise InvalidInput(f"--select-by {metric} {what}. Use ndcg_10.")
    guard = judge_metrics(metric, try_yardsticks(places, challenge.split, scored, evaluation, LEARNT, PART))
    challenger = _find(scored, challenge.challenger)
    others = {POPULARITY: next(one for one in scored if one.candidate.kind.role == "popular")}
    if challenge.champion:
        others[CHAMPION] = _find(scored, challenge.champion)
    if challenge.best and challenge.best.candidate != others[CHAMPION].candidate:
        others[BEST] = _find(scored, challenge.best.model)
    return judge_challenger(
        metric,
        read_users(places, challenger.scores, metric),
        {name: read_users(places, one.scores, metric) for name, one in others.items()},
        guard,
        tuple(_look_for_leaks(places, challenge.split, challenger.value(metric) or 0.0, guard)),
        margin_share,
        may_warn=selection.guard == "warn",
        same=[name for name, one in others.items() if one.candidate == challenger.candidate],
        n_tries=n_tries,
    )


def _look_for_leaks(places: PlaceOptions, split: Manifest, value: float, guard: Guard) -> Iterator[Finding]:
    columns = ["user_idx", "item_idx"]
    parts = (read_parts(places, split, part, columns) for part in (LEARNT, (PART,)))
    yield find_leaks(*(np.asarray(rows[name]) for rows in parts for name in columns))
    if n_mixed := split.count("n_leaked"):
        yield find_mixed_parts(n_mixed)
    oracle = guard.wanted.value(ORACLE)
    if oracle > 0:
        yield find_too_good(value, guard.wanted.value(POPULAR), oracle)


def _find(scored: Sequence[Scored], model: Manifest) -> Scored:
    candidate = candidate_of(model)
    return next(one for one in scored if one.candidate == candidate)


@task(name="find predecessor")
def find_predecessor(places: PlaceOptions, choice: ModelChoice, history: ChampionHistory) -> Manifest:
    """Return the model to go back to: the one that is named, else the one that served before the champion.

    Raises:
        InvalidInput: If none is named and none served before, or no such model is published.
    """
    store = places.open_store()
    before = predecessors(history.terms)
    if not (choice.model_id or before):
        champion = f"models/{history.champion_id}, the first" if history.champion_id else "none"
        raise InvalidInput(
            f"{store.uri} has no champion to go back to; its champion is {champion}. Name a model: --model."
        )
    return require_model(store, choice.model_id or before[0])[0]


@task(name="promote", **NETWORK_RETRIES)
def make_champion(
    places: PlaceOptions, model: Manifest, bundle: Manifest, term: ChampionTerm, history: ChampionHistory
) -> Mapping[str, object]:
    """Make a model the champion after every byte of it and of its bundle was read, and return the pointer's record.

    Raises:
        CorruptObject: If the model or the bundle is not as its manifest says.
        VersionConflict: If someone else replaced the champion since the pointer was read; names who won.
    """
    store = places.open_store()
    problems = [f"{problem.where}: {problem.what}" for one in (model, bundle) for problem in verify_files(store, one)]
    if problems:
        raise CorruptObject(
            f"models/{model.id} cannot serve: {' '.join(problems)} The champion stays. Copy the model here again with "
            "'python flows/store.py cp', or name another one with --model."
        )
    record = promote(store, term, history)
    before = history.champion_id or "none"
    logger.bind(in_short=True).info("models/{} is the champion now; before: {}", model.id, before)
    return record
