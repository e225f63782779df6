"""Time and memory of the full-catalogue evaluation, beside the bare matrix product and beside Spark.

    python -m benchmarks.evaluation --repetitions 3 --scaling
    python -m benchmarks.evaluation --users 20000 --interactions 175000 --without-spark

The input is made at the size of the 5-core of Amazon Electronics: users' activity and items' popularity follow the
quantiles of real data, and factors are normal, with a column that rises with popularity. It is published in a
temporary store as the pipeline does it. Each contestant then runs in a fresh process on all cores:

    product     user factors by item factors in float32, in blocks; nothing is ranked: the floor
    evaluation  the pipeline's task: all items ranked for each user, seen ones left out, all metrics at 5, 10 and 20
                with intervals, published in the store
    graph       fit of the item graph, in the order of time, and its lists of 20 of all users, by the pipeline's tasks
    spark       recommendForAllUsers(20), then NDCG, precision, MAP and recall at 5, 10 and 20; seen items stay in

Peak memory is what the process held at most (VmHWM) from when its imports were done and its workers started; processor
time is that of all its threads. Both leave out Spark's JVM. Where other work keeps the cores busy, compare processor
time: the ratio of times is then mostly that of who had to wait.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.harness import Figures
from benchmarks.measuring import MEGABYTE, Measurement, Spread, measure_in_child
from benchmarks.synthetic import Size
from flows.child_server import inherited
from schema.errors import InvalidInput

PRODUCT, EVALUATION, GRAPH, SPARK = "product", "evaluation", "graph", "spark"
DIVISORS = (100, 10)
MOST_RATIO = 2.5
MOST_PEAK_MEGABYTES = 4000
MOST_GRAPH_SECONDS, MOST_GRAPH_MEGABYTES = 15, 1000
MOST_SCALING = 11.0  # for ten times the users
OF_PYTHON = ("cpu_seconds", "peak_megabytes", "peak_above_idle_megabytes")
LABELS = {
    PRODUCT: "product alone, nothing ranked",
    EVALUATION: "evaluation, all metrics with intervals",
    GRAPH: "item graph: fit and lists of 20",
    SPARK: "Spark: lists and 4 metrics *",
}
COLUMNS = (
    ("Seconds", "seconds", 2),
    ("(range)", "seconds", None),
    ("x product", "ratio_to_product", 2),
    ("CPU s", "cpu_seconds", 2),
    ("Peak MB", "peak_megabytes", 0),
    ("above idle", "peak_above_idle_megabytes", 0),
    ("NDCG@10", "ndcg_10", 4),
)
SCALING_COLUMNS = (
    ("Seconds", "scaling_seconds", 2),
    ("(range)", "scaling_seconds", None),
    ("x line above", "scaling_ratio", 2),
)
SPARK_NOTE = "* Spark leaves seen items in its lists, gives no intervals, and its time is without the start of its JVM"

Measurements = dict[str, list[Measurement]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and return 0, whether or not the aims are met."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    from evaluation.ranking import DEFAULT_KS

    size = Size(chosen.users, chosen.items, chosen.interactions, chosen.rank)
    if not chosen.without_spark:
        _require_java()
    parameters = {
        **asdict(size),
        "ks": list(DEFAULT_KS),
        "seed": chosen.seed,
        "repetitions": chosen.repetitions,
        "machine": harness.describe_machine(),
    }
    contestants = [name for name in LABELS if name != SPARK or not chosen.without_spark]
    with tempfile.TemporaryDirectory(prefix="evaluation-") as folder:
        measured = _measure_rounds(size, contestants, chosen, Path(folder, "input"))
        by_users = {size.users: measured[EVALUATION]}
        for smaller in (size.shrink(divisor) for divisor in DIVISORS if chosen.scaling):
            made = Path(folder, str(smaller.users))
            by_users[smaller.users] = _measure_rounds(smaller, [EVALUATION], chosen, made)[EVALUATION]
    figures, steps = summarise(measured), scale(by_users) if chosen.scaling else []
    _show(figures, steps, parameters)
    harness.write_rows(chosen.json, harness.rows_of([*figures, *steps], parameters))
    return harness.DONE


def _require_java() -> None:
    """Check that there is a fit Java before minutes are spent on the others."""
    from spark.jvm import require_java

    try:
        require_java()
    except ValueError as error:
        raise InvalidInput(f"{error} To leave Spark out, add --without-spark.") from error


def _measure_rounds(size: Size, contestants: Sequence[str], chosen: argparse.Namespace, folder: Path) -> Measurements:
    """Make an input in a folder, and return one measurement of each contestant on it in every repetition."""
    from benchmarks.contestants import publish_input

    sys.stderr.write(f"making {size.interactions:,} interactions of {size.users:,} users\n")
    publish_input(folder, size, chosen.seed)
    measured: Measurements = {name: [] for name in contestants}
    for name in harness.take_turns(contestants, chosen.repetitions):
        measured[name].append(measure_contestant(name, folder))
    return measured


def measure_contestant(contestant: str, folder: Path) -> Measurement:
    """Run a contestant on a copy of the input in a folder; its answer is the NDCG@10 that it found.

    It sees none of the user's own settings, and all that its process leaves is removed, such as the scores that it
    published. The project's sessions restrict the JVM to its quick compiler, which suits short jobs; a long one is
    faster with the thorough one, so Spark gets that here.

    Raises:
        Unavailable: If it fails.
    """
    from benchmarks.contestants import open_graph, open_pipeline, open_product
    from benchmarks.spark_contestant import open_spark

    openers = {PRODUCT: open_product, EVALUATION: open_pipeline, GRAPH: open_graph, SPARK: open_spark}
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{contestant}-") as scratch:
        own = shutil.copytree(folder, Path(scratch, "input"), copy_function=os.link)
        environment = {
            **inherited("JAVA_HOME"),
            "PREFECT_HOME": f"{scratch}/prefect",
            "TMPDIR": scratch,
            "SPARK_LOCAL_DIRS": scratch,
            "_JAVA_OPTIONS": f"-XX:TieredStopAtLevel=4 -Djava.io.tmpdir={scratch}",
        }
        return measure_in_child(openers[contestant], {"folder": str(own)}, environment)


def summarise(measurements: Measurements) -> list[Figures]:
    """Return the figures of each contestant, from one measurement of each in every repetition.

    They are the seconds and, but for Spark, whose JVM does the work, processor seconds of a run, the ratio of its time
    to the product's, the peak of memory in megabytes of 1,000,000 bytes, the same above idle, and the NDCG@10.
    """
    figures = []
    for contestant, measured in measurements.items():
        seconds = [one.seconds for one in measured]
        values = {
            "seconds": Spread.of(seconds),
            "cpu_seconds": Spread.of([one.cpu_seconds for one in measured]),
            "ratio_to_product": Spread.of_ratios(seconds, [one.seconds for one in measurements[PRODUCT]]),
            "peak_megabytes": Spread.of([one.peak_bytes / MEGABYTE for one in measured]),
            "peak_above_idle_megabytes": Spread.of([one.bytes_above_idle / MEGABYTE for one in measured]),
        }
        if contestant == SPARK:
            values = {name: found for name, found in values.items() if name not in OF_PYTHON}
        if contestant in (EVALUATION, SPARK):
            values["ndcg_10"] = Spread.of([measured[0].answer])
        figures.append(Figures(contestant, "test", values))
    return figures


def scale(by_users: Mapping[int, Sequence[Measurement]]) -> list[Figures]:
    """Return the time of the evaluation from few users to many, and its ratio to that of the next smaller number."""
    steps: list[Figures] = []
    for users, measured in sorted(by_users.items()):
        values = {"scaling_seconds": Spread.of([one.seconds for one in measured])}
        if steps:
            ratio = values["scaling_seconds"].value / steps[-1].values["scaling_seconds"].value
            values["scaling_ratio"] = Spread.of([ratio])
        steps.append(Figures(EVALUATION, "test", values, {"users": users}))
    return steps


def verdicts(figures: Sequence[Figures], steps: Sequence[Figures]) -> Iterator[str]:
    """Yield a sentence for each aim; memory is judged by its greatest peak."""
    for figure in figures:
        if figure.model == EVALUATION:
            ratio, peak = figure.values["ratio_to_product"].value, figure.values["peak_megabytes"].high
            found = f"evaluation: {ratio:.2f} x the product"
            yield harness.describe_aim(found, f"at most {MOST_RATIO}", ratio <= MOST_RATIO)
            found = f"evaluation: peak {peak:.0f} MB"
            yield harness.describe_aim(found, f"at most {MOST_PEAK_MEGABYTES}", peak <= MOST_PEAK_MEGABYTES)
        if figure.model == GRAPH:
            seconds, above = figure.values["seconds"].value, figure.values["peak_above_idle_megabytes"].high
            is_met = seconds <= MOST_GRAPH_SECONDS and above <= MOST_GRAPH_MEGABYTES
            found = f"item graph: {seconds:.1f} s and {above:.0f} MB above idle"
            yield harness.describe_aim(found, f"at most {MOST_GRAPH_SECONDS} and {MOST_GRAPH_MEGABYTES}", is_met)
    for before, step in pairwise(steps):
        few, many, ratio = before.parameters["users"], step.parameters["users"], step.values["scaling_ratio"].value
        most = MOST_SCALING / 10 * many / few
        found = f"{few:,} to {many:,} users: {ratio:.2f} x the time"
        yield harness.describe_aim(found, f"at most {most:.3g}", ratio <= most)


def _show(figures: Sequence[Figures], steps: Sequence[Figures], parameters: Mapping[str, Any]) -> None:
    console = harness.open_console(120)
    title = f"Full-catalogue evaluation, median of {parameters['repetitions']}"
    console.print(harness.make_table(title, ["Contestant"], COLUMNS, {(LABELS[one.model],): one for one in figures}))
    if any(figure.model == SPARK for figure in figures):
        console.print(SPARK_NOTE)
    if steps:
        rows = {(f"{step.parameters['users']:,}",): step for step in steps}
        console.print(harness.make_table("The evaluation, by users", ["Users"], SCALING_COLUMNS, rows))
    console.print(f"Machine: {parameters['machine']}")
    size = ", ".join(f"{parameters[name]:,} {name}" for name in ("users", "items", "interactions"))
    ks = ", ".join(map(str, parameters["ks"]))
    console.print(f"Input: {size}, rank {parameters['rank']}, K = {ks}, seed {parameters['seed']}")
    for sentence in verdicts(figures, steps):
        console.print(sentence)


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("evaluation", __doc__)
    for name, value in asdict(Size()).items():
        what = "length of a factor vector" if name == "rank" else f"{name} of the input"
        parser.add_argument(f"--{name}", type=harness.at_least_one, default=value, help=f"{what} ({value:,})")
    parser.add_argument("--repetitions", type=harness.at_least_one, default=1, help="runs of each contestant (1)")
    parser.add_argument("--scaling", action="store_true", help="also the evaluation of 1/100 and 1/10 of the users")
    parser.add_argument("--without-spark", action="store_true", help="leave Spark out, and need no Java")
    parser.add_argument("--seed", type=int, default=1, help="seed of the input (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
