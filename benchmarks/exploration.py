"""Time and memory of the exploration of reviews, beside the basic tables by plain pandas.

    python -m benchmarks.exploration --repetitions 3 --scaling
    python -m benchmarks.exploration --users 1924030 --items 630010 --interactions 16891880 --without-pandas

The input is made at the size of the 5-core of Amazon Electronics: users' activity and items' popularity follow the
quantiles of real data, ratings have the shares of real ones, and there is ever more of everything from year to year.
It is written as an ingest writes reviews. Each contestant then reads and explores it in a fresh process:

    exploration  what `flows/explore.py` does with ingested reviews: all tables from summary and long tail to links of
                 items, bursts and k-cores, the default split of a training with its yardsticks, figures and page
    pandas       summary, ratings by year, activity, popularity, growth and k-cores alone

Peak memory is what the process held at most (VmHWM) from when its imports were done. With --scaling, both also have a
tenth of the users and items.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.explorers import open_exploration, open_pandas, write_reviews
from benchmarks.harness import Figures
from benchmarks.measuring import MEGABYTE, Measurement, Spread, measure_in_child
from benchmarks.synthetic import Size

EXPLORATION, PANDAS = "exploration", "pandas"
OPENERS = {EXPLORATION: open_exploration, PANDAS: open_pandas}
MOST_SECONDS, MOST_PEAK_MEGABYTES = 30, 1000  # for the 1.69 million reviews of Electronics
MOST_SCALING = 11.0  # for ten times the rows
COLUMNS = (
    ("Seconds", "seconds", 2),
    ("(range)", "seconds", None),
    ("CPU s", "cpu_seconds", 2),
    ("Peak MB", "peak_megabytes", 0),
    ("above idle", "peak_above_idle_megabytes", 0),
    ("Gini of items", "gini", 4),
)

Measurements = dict[str, list[Measurement]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return 0, whether or not the aims are met."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    size = Size(chosen.users, chosen.items, chosen.interactions)
    tenth = Size(size.users // 10, size.items // 10, size.interactions // 10) if chosen.scaling else None
    parameters = {
        **{name: value for name, value in asdict(size).items() if name != "rank"},
        "seed": chosen.seed,
        "repetitions": chosen.repetitions,
        "machine": harness.describe_machine(),
    }
    contestants = [EXPLORATION] if chosen.without_pandas else list(OPENERS)
    figures: list[Figures] = []
    for one in (tenth, size):
        if one:
            figures += summarise(_measure_rounds(one, contestants, chosen), one.interactions)
    _show(figures, parameters)
    harness.write_rows(chosen.json, harness.rows_of(figures, parameters))
    return harness.DONE


def _measure_rounds(size: Size, contestants: Sequence[str], chosen: argparse.Namespace) -> Measurements:
    """Make an input, and return one measurement of each contestant on it in every repetition."""
    measured: Measurements = {name: [] for name in contestants}
    with tempfile.TemporaryDirectory(prefix="exploration-") as folder:
        sys.stderr.write(f"making {size.interactions:,} reviews of {size.users:,} users\n")
        write_reviews(Path(folder), size, chosen.seed)
        for name in harness.take_turns(contestants, chosen.repetitions):
            measured[name].append(measure_in_child(OPENERS[name], {"folder": folder}, {}))
    return measured


def summarise(measurements: Measurements, n_rows: int) -> list[Figures]:
    """Return the figures of each contestant on so many rows, from one measurement of each in every repetition.

    They are the seconds and processor seconds, the peak of memory in megabytes of 1,000,000 bytes, the same above what
    was held before, and the Gini coefficient of the items, which all must find alike.
    """
    return [
        Figures(
            contestant,
            "",
            {
                "seconds": Spread.of([one.seconds for one in measured]),
                "cpu_seconds": Spread.of([one.cpu_seconds for one in measured]),
                "peak_megabytes": Spread.of([one.peak_bytes / MEGABYTE for one in measured]),
                "peak_above_idle_megabytes": Spread.of([one.bytes_above_idle / MEGABYTE for one in measured]),
                "gini": Spread.of([one.answer for one in measured]),
            },
            {"rows": n_rows},
        )
        for contestant, measured in measurements.items()
    ]


def verdicts(figures: Sequence[Figures]) -> Iterator[str]:
    """Yield a sentence for each aim of the exploration: at the size of Electronics, and from a tenth of the rows."""
    steps = [one for one in figures if one.model == EXPLORATION]
    largest = steps[-1]
    if largest.parameters["rows"] <= Size().interactions:
        seconds, peak = largest.values["seconds"].value, largest.values["peak_megabytes"].high
        is_met = seconds <= MOST_SECONDS and peak <= MOST_PEAK_MEGABYTES
        found = f"exploration: {seconds:.1f} s, peak {peak:.0f} MB"
        yield harness.describe_aim(found, f"at most {MOST_SECONDS} and {MOST_PEAK_MEGABYTES}", is_met)
    for before, after in pairwise(steps):
        ratio = after.values["seconds"].value / before.values["seconds"].value
        few, many = before.parameters["rows"], after.parameters["rows"]
        found = f"{few:,} to {many:,} rows: {ratio:.2f} x the time"
        most = MOST_SCALING / 10 * many / few
        yield harness.describe_aim(found, f"at most {most:.3g}", ratio <= most)


def _show(figures: Sequence[Figures], parameters: Mapping[str, Any]) -> None:
    console = harness.open_console(120)
    rows = {(one.model, f"{one.parameters['rows']:,}"): one for one in figures}
    title = f"Exploration of reviews, median of {parameters['repetitions']}"
    console.print(harness.make_table(title, ["Contestant", "Rows"], COLUMNS, rows))
    console.print(f"Machine: {parameters['machine']}")
    size = ", ".join(f"{parameters[name]:,} {name}" for name in ("users", "items", "interactions"))
    console.print(f"Input: {size}, seed {parameters['seed']}")
    for sentence in verdicts(figures):
        console.print(sentence)


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("exploration", __doc__)
    for name, value in asdict(Size()).items():
        if name != "rank":
            what = f"{name} of the input ({value:,})"
            parser.add_argument(f"--{name}", type=harness.at_least_one, default=value, help=what)
    parser.add_argument("--repetitions", type=harness.at_least_one, default=1, help="runs of each contestant (1)")
    parser.add_argument("--scaling", action="store_true", help="also a tenth of the users, items and interactions")
    parser.add_argument("--without-pandas", action="store_true", help="the exploration alone")
    parser.add_argument("--seed", type=int, default=1, help="seed of the input (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
