"""Choosing a model: whether a metric may choose on a split, and whether the winner is shown to be the best.

Yardsticks of known worth are scored by a metric before any model is: a random scorer knows nothing, a weak oracle knows
what is held out of every tenth user, an oracle that of all. A metric that cannot put these three in order, or that
gives chance most of what an oracle gets, cannot choose between models. Popularity knows a little of most data, and
nothing where all items are equally popular: a metric that cannot tell it from chance there may be a good one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.held_out_only import held_out_only
from evaluation.ranking import Scores
from evaluation.significance import adjust, compare_paired, share_interval
from schema.arrays import Floats, Indices
from schema.metric import Metric
from schema.verdicts import ORACLE, POPULAR, RANDOM, WEAK_ORACLE, Comparison, Flaw, Guard, Lead, MetricTrial, Yardstick

MAX_CHANCE_SHARE = 0.5
WEAK_ORACLE_STEP = 10


def try_metrics(random: Scores, popularity: Scores, oracle: Scores) -> list[MetricTrial]:
    """Try each metric of the oracle's scores; errors as in `try_metric`."""
    return [try_metric(metric, random[metric], popularity[metric], oracle[metric]) for metric in oracle]


def try_held_out_only(
    user_idx: Indices,
    item_idx: Indices,
    rating: NDArray[np.floating],
    is_relevant: NDArray[np.bool_],
    random: NDArray[np.floating],
    popularity: NDArray[np.floating],
    k: int,
) -> list[MetricTrial]:
    """Try the metrics for which each user's held-out rows alone are ranked; the oracle ranks by the true ratings.

    All columns have the shape (n_rows): of each held-out row the user, the item, the rating, whether it counts as a
    hit, and what the random scorer and popularity give it, higher is better.
    """
    scorers = (random, popularity, rating)
    return try_metrics(*(held_out_only(user_idx, score, is_relevant, k, item_idx=item_idx) for score in scorers))


def try_metric(metric: Metric, random: Floats, popularity: Floats, oracle: Floats) -> MetricTrial:
    """Score the yardsticks by a metric, which may choose a model if it can tell an oracle, a weak one and chance apart.

    It can if paired tests (Holm over the two) show the oracle to be better than the weak one and the weak one better
    than chance, which takes some 50 users, and chance gets less than MAX_CHANCE_SHARE of what the oracle gets. The
    values are of the same users in the same order, shape (n), higher is better; the weak oracle has those of the oracle
    for every tenth user, and those of chance for the others.

    Raises:
        ValueError: If the values are not of the same users, or are not finite.

    Example:
        >>> chance, popularity = np.repeat([0.0, 1.0], [99, 1]), np.repeat([0.0, 1.0], [80, 20])
        >>> trial = try_metric(Metric("recall", 10), chance, popularity, np.ones(100))
        >>> trial.is_fit, [yardstick.value for yardstick in trial.yardsticks]
        (True, [0.01, 0.2, 0.11, 1.0])
    """
    above_chance = compare_paired(POPULAR, RANDOM, metric, popularity, random)
    weak = random.copy()
    weak[::WEAK_ORACLE_STEP] = oracle[::WEAK_ORACLE_STEP]
    compared = adjust(
        [
            compare_paired(ORACLE, WEAK_ORACLE, metric, oracle, weak),
            compare_paired(WEAK_ORACLE, RANDOM, metric, weak, random),
        ]
    )
    yardsticks = (_measure(RANDOM, random), _measure(POPULAR, popularity), _measure(WEAK_ORACLE, weak))
    flaw = _find_flaw(float(random.mean()), float(oracle.mean()), *compared)
    return MetricTrial(metric, (*yardsticks, _measure(ORACLE, oracle)), (compared[0], compared[1]), above_chance, flaw)


def _find_flaw(chance: float, oracle: float, above_weak: Comparison, above_chance: Comparison) -> Flaw | None:
    if oracle <= 0:
        return "oracle gets nothing"
    if chance >= MAX_CHANCE_SHARE * oracle:
        return "chance gets too much"
    if above_weak.outcome != "better":
        return "oracle not above a weak one"
    return None if above_chance.outcome == "better" else "weak oracle not above chance"


def judge_metrics(wanted: Metric, trials: Sequence[MetricTrial]) -> Guard:
    """Return the trial of the wanted metric, apart from those of the others in the order of preference.

    Raises:
        ValueError: If the wanted metric is not among the trials.
    """
    found = [trial for trial in trials if trial.metric == wanted]
    if not found:
        tried = ", ".join(str(trial.metric) for trial in trials) or "none"
        raise ValueError(f"{wanted} was not tried; tried: {tried}. Pass its trial along with the others'.")
    return Guard(found[0], tuple(trial for trial in trials if trial.metric != wanted))


def judge_lead(metric: Metric, values: Floats, names: Sequence[str]) -> Lead:
    """Tell whether the model with the best mean is shown to be better than each of the others.

    It is if the paired t-test against each has a p below ALPHA: no correction for their number is needed, since all
    of them have to be passed (intersection-union test: Berger, Technometrics 24, 1982). Of two models that are truly
    best and equal, in whatever company, one is taken for the better in 5 of 100 splits at most.

    Args:
        metric: What the values are of.
        values: One value of each user and model, higher is better, shape (n_users, n_models).
        names: Names of the models, in the order of the columns.

    Example:
        >>> values = np.random.default_rng(1).normal([0.0, 0.1, 5.0], size=(200, 3))
        >>> found = judge_lead(Metric("ndcg", 10), values, ["als", "bpr", "knn"])
        >>> found.winner, found.rival, found.is_within_noise
        ('knn', 'als', False)
    """
    n_users, n_models = values.shape
    means = values.mean(axis=0)
    best, *others = (int(model) for model in np.argsort(-means, kind="stable"))
    if not others:
        return Lead(names[best], None, 0.0, None, 1.0, 0.0, 1, n_users)
    tested = [compare_paired(names[best], names[one], metric, values[:, best], values[:, one]) for one in others]
    rival = max(tested, key=lambda one: one.p_value)
    lead = float(means[best] - means[others[0]])
    return Lead(names[best], names[others[0]], lead, rival.against, rival.p_value, rival.smallest, n_models, n_users)


def _measure(name: str, values: Floats) -> Yardstick:
    return Yardstick(name, float(values.mean()), *share_interval(values))
