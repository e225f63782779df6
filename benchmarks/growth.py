"""Time and memory of each step of a training as the rows grow: ten times the rows, at most eleven times the time.

    python -m benchmarks.growth --repetitions 3
    python -m benchmarks.growth --rows 17000,170000 --only ingest,dataset

The raw files are drawn like that of `benchmarks.ingest`, with as many reviews to a user and to an item in each size.
Each step is run as a flow runs it, in a fresh process, on what the step before published in a folder:

    ingest   from the raw file to published reviews
    dataset  one of each pair, 5-core and dense indices by Spark on this machine, with its start
    split    train, validation and test, by time
    als      a fit of implicit ALS by this machine: rank 32, 10 iterations
    graph    a fit of the item graph by this machine
    lists    10 items for 20,000 users from the factors; for all users it grows with users times items

Seconds are those of the step, without the start of Prefect. Processor time is that of the flow's process from start to
end and of its JVM, and says more where other work keeps the cores busy. Peak memory is what that process held at most
(VmHWM), its Dask in threads of it included, and beside it what Spark's JVM held, whose heap may take a quarter of the
machine. At last it prints what Spark moved for the dataset, and each exchange of the largest size.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmarks import harness
from benchmarks.harness import Figures
from benchmarks.measuring import MEGABYTE, Measurement, Spread, measure_in_child
from benchmarks.review_file import cached_reviews
from benchmarks.synthetic import Size
from flows.child_server import inherited

if TYPE_CHECKING:
    from rich.console import Console

STEPS = ("ingest", "dataset", "split", "als", "graph", "lists")
NEEDS: Mapping[str, Sequence[str]] = {
    "dataset": ["ingest"],
    "split": ["dataset"],
    "als": ["split"],
    "graph": ["split"],
    "lists": ["als"],
}
MOST_OF_TEN = 11.0
COLUMNS = (
    ("Seconds", "seconds", 2),
    ("(range)", "seconds", None),
    ("x before", "ratio_to_before", 2),
    ("(range)", "ratio_to_before", None),
    ("CPU s", "cpu_seconds", 1),
    ("x before", "cpu_ratio_to_before", 2),
    ("Peak MB", "peak_megabytes", 0),
    ("of JVM", "jvm_megabytes", 0),
)

MOVED = "dataset: moved by Spark"
MOVED_COLUMNS = (
    ("Shuffled MB", "shuffled_megabytes", 1),
    ("bytes a row", "shuffled_bytes_per_row", 1),
    ("Read MB", "read_megabytes", 1),
    ("Broadcast MB", "broadcast_megabytes", 1),
    ("To driver MB", "result_megabytes", 2),
)
EXCHANGE_COLUMNS = (("Rows", "moved_rows", 0), ("MB", "moved_megabytes", 1), ("bytes a row", "bytes_per_row", 1))

Measurements = Mapping[int, Mapping[str, Sequence[Measurement]]]
"""By number of rows and step: one measurement of each repetition."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return 0, whether or not the aims are met."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    wanted = with_needs(harness.some_of(chosen.only, STEPS))
    sizes = sorted(chosen.rows)
    measured: dict[int, dict[str, list[Measurement]]] = {n: {step: [] for step in wanted} for n in sizes}
    for number in range(chosen.repetitions):
        for n_rows in sizes:
            sys.stderr.write(f"{n_rows:,} rows, {number + 1} of {chosen.repetitions}\n")
            for step, one in measure_steps(n_rows, chosen.seed, wanted):
                measured[n_rows][step].append(one)
    figures = summarise(measured)
    machine = harness.describe_machine()
    parameters = {"seed": chosen.seed, "repetitions": chosen.repetitions, "machine": machine}
    console = harness.open_console(110)
    rows = {(one.model, f"{one.parameters['rows']:,}"): one for one in figures}
    console.print(harness.make_table("Steps of a training, by rows", ["Step", "Rows"], COLUMNS, rows))
    console.print(f"Machine: {machine}; median of {chosen.repetitions}")
    for sentence in verdicts(figures):
        console.print(sentence)
    moved = [
        figure
        for n_rows, by_step in measured.items()
        for figure in summarise_traffic(n_rows, by_step.get("dataset", ()))
    ]
    show_traffic(console, moved)
    harness.write_rows(chosen.json, harness.rows_of([*figures, *moved], parameters))
    return harness.DONE


def with_needs(wanted: Iterable[str]) -> list[str]:
    """Return the steps with those that they build on, in order.

    Example:
        >>> with_needs(["lists", "dataset"])
        ['ingest', 'dataset', 'split', 'als', 'lists']
    """
    found, to_do = set[str](), list(wanted)
    while to_do:
        found.add(step := to_do.pop())
        to_do += NEEDS.get(step, ())
    return [step for step in STEPS if step in found]


def measure_steps(
    n_rows: int, seed: int, steps: Iterable[str], variables: Mapping[str, str] | None = None
) -> Iterator[tuple[str, Measurement]]:
    """Yield each step with its measurement, one after the other on a store of their own, or where variables lead."""
    from benchmarks.growth_steps import open_step

    before = {"path": str(cached_reviews(Size.of_rows(n_rows), seed))}
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        own = {"STORE_URI": f"{folder}/store", "WORK_DIR": f"{folder}/work", "PREFECT_HOME": f"{folder}/home"}
        environment = {**inherited("JAVA_HOME"), **own, "TMPDIR": folder, "LOG_LEVEL": "WARNING", **(variables or {})}
        for step in steps:
            one = measure_in_child(open_step, {"step": step, "before": before}, environment)
            before[step] = one.answer["id"]
            sys.stderr.write(f"{step}: {one.answer['step_seconds']:.1f} s\n")
            yield step, one


def summarise(measured: Measurements) -> list[Figures]:
    """Return the figures of each step and size, with the ratios of its times to those of the next smaller size."""
    figures = []
    for step in next(iter(measured.values())):
        before: tuple[list[float], list[float]] | None = None
        for n_rows, by_step in measured.items():
            runs = by_step[step]
            seconds = [one.answer["step_seconds"] for one in runs]
            cpu_seconds = [one.cpu_seconds + one.answer["jvm_cpu_seconds"] for one in runs]
            values = {
                "seconds": Spread.of(seconds),
                "cpu_seconds": Spread.of(cpu_seconds),
                "peak_megabytes": Spread.of([one.peak_bytes / MEGABYTE for one in runs]),
            }
            if jvm := [one.answer["jvm_bytes"] / MEGABYTE for one in runs if one.answer["jvm_bytes"]]:
                values["jvm_megabytes"] = Spread.of(jvm)
            if before:
                values["ratio_to_before"] = Spread.of_ratios(seconds, before[0])
                values["cpu_ratio_to_before"] = Spread.of_ratios(cpu_seconds, before[1])
            figures.append(Figures(step, f"{n_rows} rows", values, {"rows": n_rows}))
            before = seconds, cpu_seconds
    return figures


def summarise_traffic(n_rows: int, datasets: Sequence[Measurement]) -> list[Figures]:
    """Return what Spark moved for a dataset of so many rows, all of it and by exchange; the same in each repetition."""
    if not datasets:
        return []
    traffic = datasets[0].answer["traffic"]
    names = {"written": "shuffled", "read": "read", "broadcast": "broadcast", "result": "result"}
    values = {f"{name}_megabytes": traffic[f"{of}_bytes"] / MEGABYTE for of, name in names.items()}
    values["shuffled_bytes_per_row"] = traffic["written_bytes"] / n_rows
    about = {"rows": n_rows}
    return [
        Figures(MOVED, f"{n_rows} rows", {name: Spread.of([value]) for name, value in values.items()}, about),
        *(
            Figures(
                one["kind"],
                f"{number}. {one['about']}",
                {
                    "moved_rows": Spread.of([one["n_rows"]]),
                    "moved_megabytes": Spread.of([one["n_bytes"] / MEGABYTE]),
                    "bytes_per_row": Spread.of([one["n_bytes"] / one["n_rows"]]),
                },
                about,
            )
            for number, one in enumerate(traffic["exchanges"], start=1)
        ),
    ]


def show_traffic(console: "Console", moved: Sequence[Figures]) -> None:
    """Print what Spark moved for each size, and each exchange of the largest."""
    totals = {(f"{one.parameters['rows']:,}",): one for one in moved if one.model == MOVED}
    if totals:
        most = moved[-1].parameters["rows"]
        largest = {
            (one.model, one.split): one for one in moved if one.model != MOVED and one.parameters["rows"] == most
        }
        console.print(harness.make_table(MOVED, ["Rows"], MOVED_COLUMNS, totals))
        title = f"Exchanges of more than 100 rows, of {most:,}"
        console.print(harness.make_table(title, ["Kind", "Dealt out by"], EXCHANGE_COLUMNS, largest))


def verdicts(figures: Sequence[Figures]) -> Iterator[str]:
    """Yield a sentence for each step and each growth of the rows."""
    for before, after in pairwise(figures):
        if before.model == after.model:
            few, many, ratio = (
                before.parameters["rows"],
                after.parameters["rows"],
                after.values["ratio_to_before"].value,
            )
            found = f"{after.model}: {few:,} to {many:,} rows take {ratio:.2f} x the time"
            most = MOST_OF_TEN / 10 * many / few
            yield harness.describe_aim(found, f"at most {most:.3g}", ratio <= most)


def parse_rows(text: str) -> list[int]:
    """Parse sizes, separated by commas, from the command line."""
    return [harness.at_least_one(one) for one in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("growth", __doc__)
    default = [170_000, 1_700_000, 17_000_000]
    parser.add_argument("--rows", type=parse_rows, default=default, help="sizes, with commas (170000,1700000,17000000)")
    parser.add_argument("--only", default=",".join(STEPS), help="steps, with commas, and what they build on (all)")
    parser.add_argument("--repetitions", type=harness.at_least_one, default=1, help="runs of each step (1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the input (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
