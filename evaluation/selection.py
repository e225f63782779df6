"""Choosing a model: whether a metric may choose on a split, and whether the winner's lead is more than chance.

Three yardsticks of known worth are scored by a metric before any model is: a random scorer knows nothing, popularity
knows a little, an oracle knows the held-out items. A metric that cannot put these three in order, or that gives chance
most of what an oracle gets, cannot choose between models.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.held_out_only import held_out_only
from evaluation.ranking import Scores
from evaluation.significance import adjust, compare_paired, mean_interval
from schema.arrays import Floats, Indices
from schema.metric import Metric
from schema.verdicts import Flaw, Guard, Lead, MetricTrial, Yardstick

MAX_CHANCE_SHARE = 0.5
SPREAD_PERCENTILE = 95


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
    """Score the three yardsticks by a metric, which may choose a model if it can tell them apart.

    It can if paired tests (Holm over the two) show the oracle to be better than popularity and popularity better
    than chance, and chance gets less than MAX_CHANCE_SHARE of what the oracle gets. The values are of the same users
    in the same order, shape (n), higher is better.

    Raises:
        ValueError: If the values are not of the same users, or are not finite.

    Example:
        >>> chance, popularity = np.repeat([0.0, 1.0], [99, 1]), np.repeat([0.0, 1.0], [80, 20])
        >>> trial = try_metric(Metric("recall", 10), chance, popularity, np.ones(100))
        >>> trial.is_fit, [yardstick.value for yardstick in trial.yardsticks]
        (True, [0.01, 0.2, 1.0])
    """
    above_popularity, above_chance = adjust(
        [
            compare_paired("oracle", "popularity", metric, oracle, popularity),
            compare_paired("popularity", "random", metric, popularity, random),
        ]
    )
    yardsticks = (_measure("random", random), _measure("popularity", popularity), _measure("oracle", oracle))
    flaw: Flaw | None = None
    if yardsticks[2].value <= 0:
        flaw = "oracle gets nothing"
    elif yardsticks[0].value >= MAX_CHANCE_SHARE * yardsticks[2].value:
        flaw = "chance gets too much"
    elif above_popularity.outcome != "better":
        flaw = "oracle not above popularity"
    elif above_chance.outcome != "better":
        flaw = "popularity not above chance"
    return MetricTrial(metric, yardsticks, (above_popularity, above_chance), flaw)


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


def judge_lead(values: Floats, names: Sequence[str], n_resamples: int = 1000, seed: int = 42) -> Lead:
    """Compare the winner's lead with the leads that chance gives the best of equally good models.

    Users are drawn with replacement (Efron, 1979), the same ones for all models. With each model's mean taken
    off, all are equal in truth, as for a bootstrap test (White's reality check, Econometrica, 2000), and what
    is left of the best one's lead is chance.

    Args:
        values: One value of each user and model, higher is better, shape (n_users, n_models).
        names: Names of the models, in the order of the columns.
        n_resamples: How often users are drawn.
        seed: Of the draws.

    Example:
        >>> values = np.random.default_rng(1).normal([0.0, 0.1, 5.0], size=(200, 3))
        >>> found = judge_lead(values, ["als", "bpr", "knn"])
        >>> found.winner, found.is_within_noise, found.win_share
        ('knn', False, 1.0)
    """
    if len(names) == 1:
        return Lead(names[0], None, 0.0, 0.0, 1.0, 1)
    means = values.mean(axis=0)
    winner, runner_up = (int(model) for model in np.argsort(-means, kind="stable")[:2])
    resampled = _resample_differences(values, n_resamples, seed)
    best_two = np.partition(resampled - (means - means[0]), -2, axis=1)[:, -2:]
    spread = float(np.percentile(best_two[:, 1] - best_two[:, 0], SPREAD_PERCENTILE))
    is_first = resampled == resampled.max(axis=1, keepdims=True)
    win_share = float((is_first[:, winner] / is_first.sum(axis=1)).mean())  # a shared first place counts its share
    lead = float(means[winner] - means[runner_up])
    return Lead(names[winner], names[runner_up], lead, spread, win_share, len(names))


def _measure(name: str, values: Floats) -> Yardstick:
    return Yardstick(name, float(values.mean()), *mean_interval(values))


def _resample_differences(values: Floats, n_resamples: int, seed: int) -> Floats:
    """Return means over drawn users of each model less the first model, shape (n_resamples, n_models).

    Users for whom all models are equal add nothing to a difference: only how many of the others are drawn
    matters, which is binomial.
    """
    differences = (values - values[:, :1])[(values != values[:, :1]).any(axis=1)].T.copy()
    n_users, n_varied = len(values), differences.shape[1]
    generator = np.random.default_rng(seed)
    sums = np.zeros((n_resamples, len(differences)))
    for resample in range(n_resamples if n_varied else 0):
        n_drawn = generator.binomial(n_users, n_varied / n_users)
        users = generator.integers(n_varied, size=n_drawn, dtype=np.uint32)
        draws = np.bincount(users, minlength=n_varied).astype(np.float64)
        sums[resample] = np.einsum("u,mu->m", draws, differences)
    return sums / n_users
