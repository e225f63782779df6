"""Users drawn at random, whose true means are known: what a statistic promises of them can be counted.

Each user has one held-out item, as where the last one is left out. A model that hits puts it at a rank of 1 to 10, with
a frequency proportional to rank^-0.6, and gets NDCG@10 = 1 / log2(rank + 1); one that misses gets 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from schema.arrays import Floats

_RANKS = np.arange(1, 11)
_SHARES = _RANKS**-0.6 / (_RANKS**-0.6).sum()
_VALUES = np.append(1 / np.log2(_RANKS + 1), 0.0)  # of a hit at each rank, then of a miss
VALUE_OF_A_HIT = float(_VALUES[:-1] @ _SHARES)
USERS, MEANS, CORRELATIONS = (50, 200, 2_000, 20_000), (0.002, 0.03, 0.3), (0.5, 0.9, 0.98)
LOST_ONLY = 1.0
"""The correlation of models that differ in hits that the worse one lacks, and in nothing else."""


@dataclass(frozen=True)
class Population:
    """Users on whom models are compared.

    Attributes:
        n_users: How many.
        mean: True mean of a model of ratio 1, from 0 to VALUE_OF_A_HIT.
        correlation: Of two models of ratio 1 over users: below 1 their hits are partly of other users; at 1 they are
            the same, and a worse model has some of them only.
    """

    n_users: int
    mean: float
    correlation: float = LOST_ONLY


def populations(correlations: Sequence[float] = (*CORRELATIONS, LOST_ONLY)) -> list[Population]:
    """Return every combination of USERS, MEANS and these correlations."""
    return [Population(*one) for one in product(USERS, MEANS, correlations)]


def draw_models(rng: np.random.Generator, population: Population, ratios: Sequence[float]) -> Floats:
    """Return one value of each user and model, whose true mean is ratio * the population's: (n_users, n_models).

    A model takes its rank from what all have in common with the probability sqrt(correlation), else it draws its own;
    then it loses each hit with the probability 1 - ratio. Ratios are from 0 to 1.

    Example:
        >>> values = draw_models(np.random.default_rng(1), Population(20_000, 0.3, 0.9), [1.0, 0.9])
        >>> values.mean(axis=0).round(2).tolist()
        [0.3, 0.27]
    """
    n_users, ends = population.n_users, np.cumsum(_SHARES) * (population.mean / VALUE_OF_A_HIT)
    common = _VALUES[np.searchsorted(ends, rng.random(n_users))]
    values = np.empty((n_users, len(ratios)))
    for model, ratio in enumerate(ratios):
        own = np.flatnonzero(rng.random(n_users) >= population.correlation**0.5)
        values[:, model] = common
        values[own, model] = _VALUES[np.searchsorted(ends, rng.random(len(own)))]
        if ratio < 1:
            values[rng.random(n_users) >= ratio, model] = 0.0
    return values


def draw_pairs(
    population: Population, ratio: float, repetitions: int, seed: int = 1
) -> Iterator[tuple[Floats, Floats]]:
    """Yield values of two models on new users each time, shape (n_users): the true means are ratio to 1.

    Example:
        >>> [len(worse) for worse, _ in draw_pairs(Population(50, 0.3), ratio=0.9, repetitions=2)]
        [50, 50]
    """
    rng = np.random.default_rng(seed)
    for _ in range(repetitions):
        values = draw_models(rng, population, [ratio, 1.0])
        yield values[:, 0], values[:, 1]
