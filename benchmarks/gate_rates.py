"""How often the champion gate errs, counted on users whose true means are known; `benchmarks.statistics` shows it."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from benchmarks.simulated_users import CORRELATIONS, LOST_ONLY, MEANS, Population, draw_models
from evaluation.gate import BEST_MARGIN, BEST_RISK, count_hits, judge_standing, level_of, limits
from schema.arrays import Floats
from schema.gate_verdicts import LEAST_HITS, Standing

MARGIN, WEEKS, WEEKLY, N_TRIED = 0.05, 52, 0.97, 20
USERS = (100, 1_000, 6_000, 20_000, 200_000)


class GateRate(NamedTuple):
    """How often the gate errs: what it promises, for which users, at most how often, how often, of how many, power."""

    promise: str
    case: str
    promised: float
    measured: float
    repetitions: int
    power: float | None = None


def count_gate(repetitions: int, seed: int) -> Iterator[GateRate]:
    """Yield how often challengers pass that should not; the power is how often equal ones do."""
    cases = [Population(*one) for one in product(USERS, MEANS, (*CORRELATIONS, LOST_ONLY))]
    for of in cases:
        equal = share_of_passes(of, 1.0, repetitions, seed)
        for ratio, promised in ((1 - MARGIN, 0.03), (0.9, 0.01), (0.8, 0.01)):
            passed = share_of_passes(of, ratio, repetitions, seed)
            yield GateRate(f"gate, challenger at {ratio:.0%}", _name(of), promised, passed, repetitions, equal)
    for n_users, mean in product(USERS[1:], MEANS[1:]):
        of = Population(n_users, mean, 0.9)
        years = [live_a_year(of, np.random.default_rng([seed, year])) for year in range(max(repetitions // 20, 5))]
        below = float(np.mean([end < 0.9 for end in years]))
        yield GateRate("gate, year at 97 % ends below .90 of the best", _name(of), 0.03, below, len(years))
        tries = share_of_splits(of, 0.94, max(repetitions // 10, 5), seed)
        yield GateRate("gate, one of 20 tries at 94 %", _name(of), 0.05, tries, max(repetitions // 10, 5))
        honest, halved = (share_of_falls(of, ratio, repetitions, seed) for ratio in (1.0, 0.5))
        yield GateRate("gate, honest fits that seem hurt", _name(of), 0.03, honest, repetitions, halved)


def share_of_passes(of: Population, ratio: float, repetitions: int, seed: int) -> float:
    """Return how often a challenger of this ratio to the champion passes at the margin, tried for the first time."""
    rng = np.random.default_rng(seed)
    drawn = (draw_models(rng, of, [ratio, 1.0]).T for _ in range(repetitions))
    return float(np.mean([keeps(new, old, MARGIN) for new, old in drawn]))


def keeps(values: Floats, against: Floats, margin: float, n_tries: int = 1, risk: float = 1.0) -> bool:
    """Return whether a challenger is shown to keep what it must, at a share of the usual level."""
    enough = max(count_hits(values), count_hits(against)) >= LEAST_HITS
    return enough and limits(values, against, margin, level_of(n_tries) * risk)[0] > 0


def share_of_splits(of: Population, ratio: float, repetitions: int, seed: int) -> float:
    """Return on how many splits one at least passes of 20 challengers of this ratio, one after the other."""
    rng, passed = np.random.default_rng(seed), 0
    for _ in range(repetitions):
        values = draw_models(rng, of, [*[ratio] * N_TRIED, 1.0]).T
        passed += any(keeps(one, values[-1], MARGIN, place) for place, one in enumerate(values[:-1], 1))
    return passed / repetitions


def live_a_year(of: Population, rng: np.random.Generator) -> float:
    """Return what is left of the first champion's worth after challengers of 97 % of each champion, one a week."""
    best = champion = 1.0
    for _ in range(WEEKS):
        new, old, first = draw_models(rng, of, [champion * WEEKLY, champion, best]).T
        if keeps(new, old, MARGIN) and (champion == best or keeps(new, first, BEST_MARGIN, risk=BEST_RISK)):
            champion *= WEEKLY
    return champion


def share_of_falls(of: Population, ratio: float, repetitions: int, seed: int) -> float:
    """Return how often the best parameters seem hurt whose ratio to popularity, at first 2, is now 2 times this one."""
    rng, fallen = np.random.default_rng(seed), 0
    for _ in range(repetitions):
        then, now = (_stand(draw_models(rng, of, [one, 0.5])) for one in (1.0, ratio))
        fallen += bool(then and now and judge_standing(then, now).is_warning)
    return fallen / repetitions


def _stand(values: Floats) -> Standing | None:
    means, hits = values.mean(axis=0), [count_hits(one) for one in values.T]
    if min(hits) == 0:
        return None
    return Standing(float(means[0] / means[1]), float(np.sqrt(sum(1 / one - 1 / len(values) for one in hits))))


def _name(of: Population) -> str:
    alike = "lost only" if of.correlation == LOST_ONLY else f"r {of.correlation:g}"
    return f"{of.n_users:,} users, mean {of.mean:g}, {alike}"
