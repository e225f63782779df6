"""Combine the best candidates of several kinds of model, with weights found on validation."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from evaluation.assess import USERS_K, HeldOut
from evaluation.rolling import Events
from models.combination import Combination, Part, PartScorer
from models.registry import KINDS, Candidate
from schema.histories import Histories
from schema.metric import Metric
from schema.verdicts import Comparison
from storage.manifest import Manifest
from tasks.fit import load_model
from tasks.options import EvaluationOptions, PlaceOptions
from tasks.recommend import HISTORY_COLUMNS, histories_of
from tasks.rolling import hold_out_part, sample_of_validation
from tasks.score import Scored
from tasks.store import read_parts

MOST_WEIGHED = 20_000  # lists
N_NEAR = 100  # items of each part that the weights are tried on
STEPS = (3.0, 1.5, 1.2)  # factors by which a weight is tried, one after the other
MOST_ROUNDS = 10  # of each


class Combined(NamedTuple):
    """A combination on validation: its scores, and whether it is shown to be better than the best of its parts."""

    scored: Scored
    is_better: bool


def combine_best(
    places: PlaceOptions,
    split: Manifest,
    tried: Iterable[Scored],
    names: Iterable[str],
    metric: Metric,
    measure: Callable[[Candidate], Scored],
    compare: Callable[[Scored, Scored], Comparison],
    most_users: int | None = None,
) -> list[Combined]:
    """Measure, for each kind that combines others, what it makes of the best candidate of each.

    Weights are those of the best lists of the users of validation, or of a sample of many, found by changing one at a
    time, from where the kind says; a part without which lists are no worse is left out.

    Args:
        places: Where artifacts are.
        split: Whose validation part decides; the test part is not read.
        tried: Candidates with their scores of the users that are compared, fitted to train.
        names: Kinds that may be tried.
        metric: Higher is better.
        measure: Scores a candidate on the same users.
        compare: Compares two candidates, paired by user.
        most_users: Find weights on no more users than these.
    """
    best: dict[str, Scored] = {}
    for one in tried:
        if one.candidate.model not in best or _value(one, metric) > _value(best[one.candidate.model], metric):
            best[one.candidate.model] = one
    found = []
    for kind in (KINDS[name] for name in names):
        parts = [one for name, one in best.items() if name in kind.takes]
        if not isinstance(kind, Combination) or len(parts) < 2:
            continue
        candidate = _weigh(places, split, kind, parts, metric, most_users)
        if candidate is None:
            logger.info(
                "No {} of {} is better than its parts", kind.name, ", ".join(one.candidate.model for one in parts)
            )
            continue
        scored = measure(candidate)
        rival = max(parts, key=lambda one: _value(one, metric))
        compared = compare(scored, rival)
        found.append(Combined(scored, compared.outcome == "better"))
        logger.info("Tried {}: {} {:.4f}", candidate.label, metric, _value(scored, metric))
    return found


def leave_one_out(candidate: Candidate) -> dict[str, Candidate]:
    """Return what is left of a combination without each of its parts, by their labels; {} for others."""
    kind = candidate.kind
    if not isinstance(kind, Combination):
        return {}
    parts = kind.parts_of(candidate.parameters)
    if len(parts) < 2:
        return {}
    labels = (", ".join(kind.describe(kind.combine([part]))) for part in parts)
    return {
        label: _combine(kind, [one for one in parts if one is not part])
        for label, part in zip(labels, parts, strict=True)
    }


def _combine(kind: Combination[Any], parts: Sequence[Part]) -> Candidate:
    if len(parts) == 1:
        return Candidate(model=parts[0].model, parameters=parts[0].parameters)
    return Candidate(model=kind.name, parameters=kind.combine(parts))


def _value(one: Scored, metric: Metric) -> float:
    return one.value(metric) or 0.0


def _weigh(
    places: PlaceOptions,
    split: Manifest,
    kind: Combination[Any],
    parts: Sequence[Scored],
    metric: Metric,
    most_users: int | None,
) -> Candidate | None:
    """Return the combination of the candidates with the best weights; None where one of them does best alone."""
    equal = [Part(one.candidate.model, one.candidate.parameters, 1.0) for one in parts]
    model = kind.join([load_model(places, one.fitted) for one in parts], kind.combine(equal))
    if not isinstance(model, PartScorer):
        return None
    most = [n_users for n_users in (most_users, sample_of_validation(split, MOST_WEIGHED)) if n_users]
    sampled = EvaluationOptions(evaluate_users=min(most, default=None))
    held_out = hold_out_part(places, split, ("train",), "validation", sampled)
    histories, k = _histories(places, split, held_out), metric.k or USERS_K
    items, scores = model.score_parts(histories, histories.items, N_NEAR)

    def value(weights: NDArray[np.float32]) -> float:
        lists = _best(items, np.tensordot(weights, scores, axes=1), k)
        return float(held_out.evaluate(lists, (k,))[Metric(metric.name, k)].mean())

    weights = find_weights(value, [kind.starts.get(one.model, 1.0) for one in equal])
    weighed = [part._replace(weight=weight) for part, weight in zip(equal, weights, strict=True) if weight]
    return _combine(kind, weighed) if len(weighed) > 1 else None


def _histories(places: PlaceOptions, split: Manifest, held_out: HeldOut) -> Histories:
    """Return what is known of those to evaluate, a row for each of their lists."""
    if isinstance(held_out, Events):
        return held_out.known.take(held_out.query[held_out.users])
    rows = read_parts(places, split, ("train",), HISTORY_COLUMNS)
    return histories_of(rows, split.count("n_users")).take(held_out.users)


def _best(items: NDArray[np.int32], scores: NDArray[np.float32], k: int) -> NDArray[np.int32]:
    """Return the k items of highest score of each row, best first, -1 where no item is."""
    scores = np.where(items < 0, -np.inf, scores)
    places = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, places, axis=1), axis=1, kind="stable")
    return np.take_along_axis(items, np.take_along_axis(places, order, axis=1), axis=1)


def find_weights(value: Callable[[NDArray[np.float32]], float], start: Sequence[float]) -> list[float]:
    """Return weights of which a value is high, the least of them 1, those that do not raise it 0.

    One weight at a time, but for the first, is multiplied or divided by a factor as long as that helps, then by smaller
    factors.

    Args:
        value: Higher is better; it depends on the proportions of the weights alone.
        start: Weights to begin with, one or more, above 0.

    Example:
        >>> find_weights(lambda weights: -abs(weights[1] - 3 * weights[0]) - weights[2], [1, 1, 1])
        [1.0, 3.0, 0.0]
    """
    n, weights = len(start), np.array(start, dtype=np.float32)
    best = value(weights)

    def try_one(place: int, weight: float) -> bool:
        nonlocal weights, best
        tried = weights.copy()
        tried[place] = weight
        found = value(tried)
        is_better = found > best or (weight == 0 and found == best)
        if is_better:
            weights, best = tried, found
        return is_better

    for step in STEPS:
        for _ in range(MOST_ROUNDS):
            changed = [try_one(place, weights[place] * factor) for place in range(1, n) for factor in (step, 1 / step)]
            if not any(changed):
                break
    for place in range(n):
        if np.count_nonzero(weights) > 1:
            try_one(place, 0.0)
    return [float(f"{weight:.3g}") for weight in weights / weights[weights > 0].min()]
