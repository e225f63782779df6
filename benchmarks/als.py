"""Time, memory and loss of a fit of ALS: Spark's, this machine's and the library implicit's.

    python -m benchmarks.als --repetitions 3
    python -m benchmarks.als --rank 64 --only spark,local --objective explicit

The input is drawn at the size of the 5-core of Amazon Electronics (`benchmarks.synthetic`), with random ratings. Each
contestant reads it, fits in a fresh process and returns factors; a JVM is up by then, with its thorough compiler.

    spark     Spark MLlib's ALS with the blocks that the pipeline takes
    local     the pipeline's own, which has the same loss
    implicit  the library implicit by its conjugate gradients, for the implicit objective: it regularises every row
              alike, whatever its number of interactions, so that this loss is not what it minimises

The loss is that of `models.als_local.factorise_locally`, for each interaction.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import harness
from benchmarks.als_contestants import OPENERS, ROWS
from benchmarks.harness import Figures
from benchmarks.measuring import MEGABYTE, Measurement, Spread, measure_in_child
from benchmarks.synthetic import Size, draw_interactions
from flows.child_server import inherited

GIVEN: Mapping[str, Any] = {"alpha": 10.0, "maxiter": 10, "seed": 42}
REG = {"implicit": 4.0, "explicit": 0.1}
SHARES_OF_RATINGS = (0.06, 0.05, 0.09, 0.2, 0.6)
LEAST_RATIO, MOST_DIFFERENCE = 8.0, 1e-3
COLUMNS = (
    ("Seconds", "seconds", 2),
    ("(range)", "seconds", None),
    ("x local", "ratio_to_local", 2),
    ("(range)", "ratio_to_local", None),
    ("Peak MB", "peak_megabytes", 0),
    ("Loss", "loss", 5),
)


def write_input(folder: Path, size: Size, seed: int) -> None:
    """Write the interactions, with ratings from 1 to 5, to a folder."""
    user_idx, item_idx = draw_interactions(size, seed)
    rng = np.random.default_rng(seed)
    rating = rng.choice(np.arange(1, 6, dtype=np.float32), len(user_idx), p=SHARES_OF_RATINGS)
    columns = {"user_idx": user_idx, "item_idx": item_idx, "rating": rating}
    pq.write_table(pa.table({**columns, "timestamp": np.zeros(len(user_idx), dtype=np.int64)}), folder / ROWS)


def summarise(objective: str, measured: Mapping[str, Sequence[Measurement]]) -> list[Figures]:
    """Return the figures of each contestant on an objective; Spark's memory is that of its JVM, and not shown."""
    figures = []
    for name, runs in measured.items():
        seconds = [one.seconds for one in runs]
        values = {"seconds": Spread.of(seconds), "loss": Spread.of([one.answer for one in runs])}
        if "local" in measured:
            values["ratio_to_local"] = Spread.of_ratios(seconds, [one.seconds for one in measured["local"]])
        if name != "spark":
            values["peak_megabytes"] = Spread.of([one.peak_bytes / MEGABYTE for one in runs])
        figures.append(Figures(name, objective, values))
    return figures


def verdicts(figures: Sequence[Figures]) -> Iterator[str]:
    """Yield a sentence for each aim: how much faster than Spark, with which loss."""
    by_name = {(one.split, one.model): one.values for one in figures}
    for (objective, name), values in by_name.items():
        if name == "spark" and "ratio_to_local" in values:
            ratio, own = values["ratio_to_local"].value, by_name[objective, "local"]["loss"].value
            more = own / values["loss"].value - 1
            found = f"{objective}: Spark takes {ratio:.1f} x the time of this machine"
            yield harness.describe_aim(found, f"at least {LEAST_RATIO}", ratio >= LEAST_RATIO)
            found = f"{objective}: the loss of this machine is {more:+.2%} of Spark's"
            yield harness.describe_aim(found, f"at most {MOST_DIFFERENCE:+.1%}", more <= MOST_DIFFERENCE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return 0, whether or not the aims are met."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    names = harness.some_of(chosen.only, OPENERS)
    size, figures = Size().shrink(chosen.divisor), []
    with tempfile.TemporaryDirectory(prefix="als-") as folder:
        write_input(Path(folder), size, chosen.seed)
        for objective in chosen.objective:
            fit = {**GIVEN, "implicit": objective == "implicit", "rank": chosen.rank, "reg": REG[objective]}
            able = [name for name in names if name != "implicit" or objective == "implicit"]
            measured: dict[str, list[Measurement]] = {name: [] for name in able}
            for name in harness.take_turns(able, chosen.repetitions):
                arguments = {"folder": folder, "n_users": size.users, "n_items": size.items, **fit}
                environment = {**inherited("JAVA_HOME"), "_JAVA_OPTIONS": "-XX:TieredStopAtLevel=4"}
                measured[name].append(measure_in_child(OPENERS[name], arguments, environment))
            figures += summarise(objective, measured)
    about = {"repetitions": chosen.repetitions, "seed": chosen.seed, "machine": harness.describe_machine()}
    parameters = {**asdict(size), "rank": chosen.rank, **GIVEN, **about}
    console = harness.open_console(120)
    title = f"ALS of rank {chosen.rank}, {GIVEN['maxiter']} iterations, {size.interactions:,} interactions"
    rows = {(one.split, one.model): one for one in figures}
    console.print(harness.make_table(title, ["Objective", "Fitted by"], COLUMNS, rows))
    console.print(f"Machine: {about['machine']}; median of {chosen.repetitions}")
    for sentence in verdicts(figures):
        console.print(sentence)
    harness.write_rows(chosen.json, harness.rows_of(figures, parameters))
    return harness.DONE


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("als", __doc__)
    parser.add_argument("--only", default=",".join(OPENERS), help="contestants (spark,local,implicit)")
    parser.add_argument("--objective", nargs="+", choices=list(REG), default=list(REG), help="what is minimised (both)")
    parser.add_argument("--rank", type=harness.at_least_one, default=32, help="length of a factor vector (32)")
    parser.add_argument("--divisor", type=harness.at_least_one, default=1, help="take a divisor-th of the users (1)")
    parser.add_argument("--repetitions", type=harness.at_least_one, default=1, help="runs of each contestant (1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the input (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
