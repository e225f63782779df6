"""Is the winner's lead more than what the best of n equally good models has over the second best?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.comparison import format_figure
from reports.display import format_share

SPREAD_PERCENTILE = 95


@dataclass(frozen=True)
class LeadVerdict:
    """The choice of one model among several, held against chance.

    Attributes:
        winner: Name of the model with the best mean.
        runner_up: Name of the second best; None where there is one model only.
        lead: The difference of their means, at least 0.
        spread: Lead that the best of the same models would not exceed in 95 of 100 draws of users if all were equal.
        win_share: How often the winner comes first when users are drawn anew, from 0 to 1.
        n_models: Models tried.
        is_within_noise: Whether the lead is no more than the spread.
        sentence: All of this in words.
    """

    winner: str
    runner_up: str | None
    lead: float
    spread: float
    win_share: float
    n_models: int
    is_within_noise: bool
    sentence: str


def judge_lead(
    values: NDArray[np.float64],
    names: Sequence[str],
    n_resamples: int = 1000,
    seed: int = 42,
    *,
    lower_is_better: bool = False,
) -> LeadVerdict:
    """Hold the winner's lead against the leads that chance gives the best of equally good models.

    Users are drawn with replacement (Efron, 1979), the same ones for all models. With each model's mean taken
    off, all are equal in truth, as for a bootstrap test (White's reality check, Econometrica, 2000), and what
    is left of the best one's lead is chance.

    Args:
        values: One value of each user and model, shape (n_users, n_models).
        names: Names of the models, in the order of the columns.
        n_resamples: How often users are drawn.
        seed: Of the draws.
        lower_is_better: Whether the metric is an error.

    Raises:
        ValueError: If there are no users or models, names do not match, or a value is not finite.

    Example:
        >>> values = np.random.default_rng(1).normal([0.0, 0.1, 5.0], size=(200, 3))
        >>> verdict = judge_lead(values, ["als", "bpr", "knn"])
        >>> verdict.winner, verdict.is_within_noise, verdict.win_share
        ('knn', False, 1.0)
    """
    _check_values(values, names, n_resamples)
    gains = -values if lower_is_better else values
    if len(names) == 1:
        sentence = f"Only {names[0]} was tried: there is no choice to judge."
        return LeadVerdict(names[0], None, 0.0, 0.0, 1.0, 1, False, sentence)
    means = gains.mean(axis=0)
    winner, runner_up = (int(model) for model in np.argsort(-means, kind="stable")[:2])
    resampled = _resample_differences(gains, n_resamples, seed)
    spread = _spread_of_best(resampled - (means - means[0]))
    win_share = _share_of_wins(resampled, winner)
    lead = float(means[winner] - means[runner_up])
    sentence = _put_in_words(names[winner], names[runner_up], lead, spread, win_share, len(names))
    return LeadVerdict(names[winner], names[runner_up], lead, spread, win_share, len(names), lead <= spread, sentence)


def _resample_differences(values: NDArray[np.float64], n_resamples: int, seed: int) -> NDArray[np.float64]:
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


def _spread_of_best(centred: NDArray[np.float64]) -> float:
    best_two = np.partition(centred, -2, axis=1)[:, -2:]
    return float(np.percentile(best_two[:, 1] - best_two[:, 0], SPREAD_PERCENTILE))


def _share_of_wins(resampled: NDArray[np.float64], winner: int) -> float:
    """Return how often the winner comes first; a first place shared by n counts 1 / n."""
    is_first = resampled == resampled.max(axis=1, keepdims=True)
    return float((is_first[:, winner] / is_first.sum(axis=1)).mean())


def _put_in_words(winner: str, runner_up: str, lead: float, spread: float, win_share: float, n_models: int) -> str:
    verdict = "no more than chance gives the best of as many" if lead <= spread else "more than that"
    return (
        f"{winner} leads {runner_up} by {format_figure(lead)}; the best of {n_models} equally good models would "
        f"lead by up to {format_figure(spread)} in 95 of 100 draws of users: the lead is {verdict}. Drawn anew, "
        f"{winner} comes first in {format_share(win_share)} of the draws."
    )


def _check_values(values: NDArray[np.float64], names: Sequence[str], n_resamples: int) -> None:
    if values.ndim != 2 or not values.size or values.shape[1] != len(names):
        raise ValueError(
            f"values have the shape {values.shape} for {len(names)} names; expected (users, models) with one name "
            "for each model and a user or more. Evaluate all models on the same users."
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"{int((~np.isfinite(values)).sum())} values are not finite; expected a number for each user and model. "
            "Leave out users for whom the metric has no value."
        )
    if n_resamples < 1:
        raise ValueError(f"n_resamples is {n_resamples}; expected 1 or more. Choose 1000.")
