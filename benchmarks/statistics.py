"""How often the statistics keep what they promise, counted on users whose true means are known.

    python -m benchmarks.statistics
    python -m benchmarks.statistics --only intervals --repetitions 2000

Users are drawn again and again (`benchmarks.simulated_users`), 50 to 20,000 of them (for the gate 100 to
200,000), with means of .002, .03 and .3.
Models are correlated by user as real ones are (.5, .9, .98), or one has only lost hits of the other. Counted are

    intervals  how often the 95 % intervals of a mean, of a paired difference and of RMSE with heavy-tailed users do
               not have the true value in them
    tests      how often two equal models are called different; power: how often a loss of 10 % is seen
    lead       how often one of two equal best models among weak ones is said to be shown to be the best
    guard      how often a metric over held-out rows is let choose; power: how often NDCG is, with flat popularity
    gate       how often challengers pass that are worse than the margin, in one try, in 20 and in a year; power: how
               often equal ones do; and how often honest fits seem hurt; power: how often halved ones do

A rate above what is promised by more than the simulation's own error (three standard errors) is marked.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks import harness
from benchmarks.gate_rates import count_gate
from benchmarks.harness import Figures
from benchmarks.measuring import Spread
from benchmarks.simulated_users import CORRELATIONS, LOST_ONLY, USERS, Population, draw_models, populations
from evaluation.rating import positive_ratio_interval
from evaluation.selection import judge_lead, try_metric
from evaluation.significance import compare_paired, share_interval
from schema.arrays import Floats
from schema.metric import Metric
from schema.verdicts import Comparison

NDCG, PRECISION = Metric("ndcg", 10), Metric("held_out_only_precision", 10)
LOSS = 0.1
N_WEAK = 6
COLUMNS = (("Promised", "promised", 3), ("Measured", "measured", 3), ("± 3 SE", "error", 3), ("Power", "power", 3))


class Rate(NamedTuple):
    """How often a promise was broken.

    Attributes:
        promise: What was promised, by its name in the table.
        case: Users, mean and correlation, or the like.
        promised: Rate at most.
        measured: Rate found.
        repetitions: Times counted.
        power: How often what is there was seen, where that is of interest.
    """

    promise: str
    case: str
    promised: float
    measured: float
    repetitions: int
    power: float | None = None

    @property
    def error(self) -> float:
        """Three standard errors of the measured rate, if the promised one is true."""
        return 3 * float(np.sqrt(self.promised * (1 - self.promised) / self.repetitions))

    @property
    def is_kept(self) -> bool:
        """Whether no more than the simulation's own error is above what was promised."""
        return self.measured <= self.promised + self.error


def count_intervals(repetitions: int, seed: int) -> Iterator[Rate]:
    """Yield how often the intervals of means, of paired differences and of RMSE miss the true value."""
    for of in populations((LOST_ONLY,)):
        missed = [not _holds(share_interval(values[:, 0]), of.mean) for values in _draw(of, [1.0], repetitions, seed)]
        yield Rate("interval of a mean", _name(of, with_correlation=False), 0.08, float(np.mean(missed)), repetitions)
    for of in populations():
        found = [_compare(values) for values in _draw(of, [1 - LOSS, 1.0], repetitions, seed)]
        missed = [not one.low <= -LOSS * of.mean <= one.high for one in found]
        yield Rate("interval of a difference", _name(of), 0.07, float(np.mean(missed)), repetitions)
    for n_users in USERS:
        yield _count_rmse(n_users, repetitions, seed)


def count_tests(repetitions: int, seed: int) -> Iterator[Rate]:
    """Yield how often equal models are called different, and how often a loss of a tenth is seen."""
    for of in populations():
        same = Population(of.n_users, of.mean, min(of.correlation, max(CORRELATIONS)))
        wrong = [
            _compare(values).outcome != "no difference shown" for values in _draw(same, [1.0] * 2, repetitions, seed)
        ]
        seen = [_compare(values).outcome == "worse" for values in _draw(of, [1 - LOSS, 1.0], repetitions, seed)]
        yield Rate("paired test", _name(of), 0.05, float(np.mean(wrong)), repetitions, float(np.mean(seen)))


def count_leads(repetitions: int, seed: int) -> Iterator[Rate]:
    """Yield how often one of two equal best models among weak ones is said to be the best; and when it truly is."""
    names = [f"model {number}" for number in range(2 + N_WEAK)]
    weak = [0.7] * N_WEAK
    for of in populations(CORRELATIONS):
        equal, better = ([1.0, 1.0, *weak], [1.0, 1 - LOSS, *weak])
        wrong, seen = (
            np.mean(
                [not judge_lead(NDCG, values, names).is_within_noise for values in _draw(of, ratios, repetitions, seed)]
            )
            for ratios in (equal, better)
        )
        yield Rate("lead", _name(of), 0.05, float(wrong), repetitions, float(seen))


def count_guards(repetitions: int, seed: int) -> Iterator[Rate]:
    """Yield how often the guard lets precision over held-out rows choose, and NDCG where popularity is flat."""
    for n_users in USERS:
        rng = np.random.default_rng(seed)
        is_let = {PRECISION: 0, NDCG: 0}
        for _ in range(repetitions):
            hits = rng.random((3, n_users)) < np.array([[0.79], [0.80], [0.83]])
            is_let[PRECISION] += try_metric(PRECISION, *hits.astype(np.float64)).is_fit
            chance, popularity = draw_models(rng, Population(n_users, 0.005, 0.0), [1.0, 1.0]).T
            is_let[NDCG] += try_metric(NDCG, chance, popularity, np.ones(n_users)).is_fit
        shares = {metric: n_let / repetitions for metric, n_let in is_let.items()}
        yield Rate("guard", f"{n_users:,} users", 0.0, shares[PRECISION], repetitions, shares[NDCG])


COUNTED: dict[str, Callable[[int, int], Iterable[Rate]]] = {
    "intervals": count_intervals,
    "tests": count_tests,
    "lead": count_leads,
    "guard": count_guards,
    "gate": lambda repetitions, seed: (Rate(*one) for one in count_gate(repetitions, seed)),
}


def _count_rmse(n_users: int, repetitions: int, seed: int) -> Rate:
    """Return how often the interval of the mean squared error misses: users differ much in rows and in errors."""
    rng = np.random.default_rng(seed)
    truth = np.array([np.sum(_draw_errors(rng, 1_000_000), axis=1) for _ in range(4)]).sum(axis=0)
    mean = truth[0] / truth[1]
    missed = [not _holds(positive_ratio_interval(*_draw_errors(rng, n_users)), mean) for _ in range(repetitions)]
    return Rate("interval of RMSE", f"{n_users:,} users, heavy-tailed", 0.08, float(np.mean(missed)), repetitions)


def _draw_errors(rng: np.random.Generator, n_users: int) -> Floats:
    """Return the sum of squared errors and the number of rows of each user, both log-normal: shape (2, n_users)."""
    rows = np.maximum(1, np.round(np.exp(rng.normal(0.7, 1.2, n_users))))
    return np.stack([np.exp(rng.normal(0, 1.0, n_users)) * rng.chisquare(rows), rows])


def _draw(population: Population, ratios: list[float], repetitions: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    return (draw_models(rng, population, ratios) for _ in range(repetitions))


def _compare(values: Floats) -> Comparison:
    return compare_paired("challenger", "champion", NDCG, values[:, 0], values[:, 1])


def _holds(interval: tuple[float, float], truth: float) -> bool:
    return interval[0] <= truth <= interval[1]


def _name(of: Population, *, with_correlation: bool = True) -> str:
    alike = "lost only" if of.correlation == LOST_ONLY else f"r {of.correlation:g}"
    return f"{of.n_users:,} users, mean {of.mean:g}" + f", {alike}" * with_correlation


def to_figures(rates: Iterable[Rate]) -> list[Figures]:
    """Return each rate as the harness shows and writes it."""
    return [
        Figures(
            one.promise,
            one.case,
            {
                name: Spread(value, max(value - error, 0.0), min(value + error, 1.0))
                for name, value, error in (
                    ("promised", one.promised, 0.0),
                    ("measured", one.measured, one.error),
                    ("error", one.error, 0.0),
                    ("power", one.power, 0.0),
                )
                if value is not None
            },
            {"repetitions": one.repetitions},
        )
        for one in rates
    ]


def verdicts(rates: Iterable[Rate]) -> Iterator[str]:
    """Yield a sentence on each promise: its largest rate, and whether it is kept in all cases."""
    by_promise: dict[str, list[Rate]] = {}
    for one in rates:
        by_promise.setdefault(one.promise, []).append(one)
    for promise, those in by_promise.items():
        worst = max(those, key=lambda one: one.measured - one.error)
        found = f"{promise}: at most {worst.measured:.1%} ({worst.case})"
        yield harness.describe_aim(found, f"at most {worst.promised:.1%}", all(one.is_kept for one in those))


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, print the table and return 0, whether or not the promises are kept."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    rates: list[Rate] = []
    for name in chosen.only or COUNTED:
        sys.stderr.write(f"{name}\n")
        rates += COUNTED[name](chosen.repetitions, chosen.seed)
    figures = to_figures(rates)
    console = harness.open_console(120)
    title = f"Promises of the statistics, {chosen.repetitions} repetitions of each case"
    labels = ["Promise", "Case"]
    console.print(harness.make_table(title, labels, COLUMNS, {(one.model, one.split): one for one in figures}))
    for sentence in verdicts(rates):
        console.print(sentence)
    parameters: Mapping[str, Any] = {"seed": chosen.seed, "machine": harness.describe_machine()}
    console.print(f"Machine: {parameters['machine']}")
    harness.write_rows(chosen.json, harness.rows_of(figures, parameters))
    return harness.DONE


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("statistics", __doc__)
    parser.add_argument("--only", nargs="+", choices=list(COUNTED), help="count these alone (all)")
    parser.add_argument("--repetitions", type=harness.at_least_one, default=500, help="times each case is drawn (500)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the draws (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
