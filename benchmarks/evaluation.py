"""Time and memory of the full-catalogue evaluation, beside the bare matrix product and beside Spark.

    python -m benchmarks.evaluation --repetitions 3 --scaling
    python -m benchmarks.evaluation --users 20000 --interactions 175000 --without-spark

The input is made at the size of the 5-core of Amazon Electronics: users' activity and items' popularity follow the
quantiles of real data, and factors are normal, with a column that rises with popularity. It is published in a
temporary store as the pipeline does it. Each contestant then runs in a fresh process on all cores:

    product     user factors by item factors in float32, in blocks; nothing is ranked: the floor
    evaluation  the pipeline's task: all items ranked for each user, seen ones left out, all metrics at 5, 10 and 20
                with intervals, published in the store
    spark       recommendForAllUsers(20), then NDCG, precision, MAP and recall at 5, 10 and 20; seen items stay in

Peak memory is what the process held at most (VmHWM) from when its imports were done and its workers started; processor
time is that of all its threads. Both leave out Spark's JVM. Where other work keeps the cores busy, compare processor
time: the ratio of times is then mostly that of who had to wait.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.evaluating.drawing import Size
from benchmarks.evaluating.figures import Figure, Step, rows_of, scale, summarise
from benchmarks.evaluating.publishing import publish_input
from benchmarks.evaluating.rounds import CONTESTANTS, EVALUATION, SPARK, Measurement, measure, take_turns
from benchmarks.evaluating.table import SPARK_NOTE, scaling_table, table_of, verdicts
from benchmarks.machine import describe_machine
from benchmarks.rows import write_rows
from evaluation.evaluate import DEFAULT_KS
from schema.errors import InvalidInput, RecommenderError
from spark.java import require_java

DONE, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130
DIVISORS = (100, 10)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and return 0, whether or not the aims are met."""
    chosen = _parser().parse_args(arguments)
    try:
        size = Size(chosen.users, chosen.items, chosen.interactions, chosen.rank)
        if not chosen.without_spark:
            _require_java()
        with tempfile.TemporaryDirectory(prefix="evaluation-") as folder:
            measurements = list(_measure(chosen, size, Path(folder)))
        figures = summarise([one for one in measurements if one.users == size.users])
        steps = scale(measurements) if chosen.scaling else []
        parameters = _parameters(chosen, size)
        _show(figures, steps, parameters)
        if chosen.json:
            write_rows(chosen.json, list(rows_of(figures, steps, parameters)))
    except (RecommenderError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return BAD_USAGE if isinstance(error, InvalidInput) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE


def _require_java() -> None:
    """Check that there is a fit Java before minutes are spent on the others."""
    try:
        require_java()
    except ValueError as error:
        raise InvalidInput(f"{error} To leave Spark out, add --without-spark.") from error


def _measure(chosen: argparse.Namespace, size: Size, folder: Path) -> Iterator[Measurement]:
    """Yield a measurement of each contestant at the full size and, for scaling, of the evaluation at smaller ones."""
    contestants = [name for name in CONTESTANTS if name != SPARK or not chosen.without_spark]
    inputs = [(size, contestants)]
    if chosen.scaling:
        inputs += [(size.shrink(divisor), [EVALUATION]) for divisor in DIVISORS]
    for number, (made, who) in enumerate(inputs):
        sys.stderr.write(f"making {made.interactions:,} interactions of {made.users:,} users\n")
        publish_input(folder / str(number), made, chosen.seed)
        for repetition in range(chosen.repetitions):
            for contestant in take_turns(who, repetition):
                sys.stderr.write(f"{contestant}, {repetition + 1} of {chosen.repetitions}\n")
                yield measure(contestant, folder / str(number), made.users)


def _parameters(chosen: argparse.Namespace, size: Size) -> dict[str, Any]:
    about = {"seed": chosen.seed, "repetitions": chosen.repetitions, "machine": describe_machine()}
    return {**asdict(size), "ks": list(DEFAULT_KS), **about}


def _show(figures: Sequence[Figure], steps: Sequence[Step], parameters: Mapping[str, Any]) -> None:
    console = Console(width=120, highlight=False, emoji=False, markup=False)
    console.print(table_of(figures, f"Full-catalogue evaluation, median of {parameters['repetitions']}"))
    if any(figure.contestant == SPARK for figure in figures):
        console.print(SPARK_NOTE)
    if steps:
        console.print(scaling_table(steps))
    console.print(f"Machine: {parameters['machine']}")
    size = ", ".join(f"{parameters[name]:,} {name}" for name in ("users", "items", "interactions"))
    ks = ", ".join(map(str, parameters["ks"]))
    console.print(f"Input: {size}, rank {parameters['rank']}, K = {ks}, seed {parameters['seed']}")
    for sentence in verdicts(figures, steps):
        console.print(sentence)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, found {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, value in asdict(Size()).items():
        what = "length of a factor vector" if name == "rank" else f"{name} of the input"
        parser.add_argument(f"--{name}", type=_at_least_one, default=value, help=f"{what} ({value:,})")
    parser.add_argument("--repetitions", type=_at_least_one, default=1, help="runs of each contestant (1)")
    parser.add_argument("--scaling", action="store_true", help="also the evaluation of 1/100 and 1/10 of the users")
    parser.add_argument("--without-spark", action="store_true", help="leave Spark out, and need no Java")
    parser.add_argument("--seed", type=int, default=1, help="seed of the input (1)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the figures here, as JSON")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, and cleans up
    sys.exit(main())
