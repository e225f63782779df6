"""The figures of the evaluation as tables, and whether they are what is aimed at."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich import box
from rich.table import Table
from rich.text import Text

from benchmarks.evaluating.figures import Figure, Step
from benchmarks.evaluating.rounds import EVALUATION, PRODUCT, SPARK
from benchmarks.transfers.figures import Spread

MOST_RATIO = 2.5
MOST_PEAK_MEGABYTES = 4000
MOST_SCALING = 11.0  # for ten times the users
LABELS = {
    PRODUCT: "product alone, nothing ranked",
    EVALUATION: "evaluation, all metrics with intervals",
    SPARK: "Spark: lists and 4 metrics *",
}
SPARK_NOTE = "* Spark leaves seen items in its lists, gives no intervals, and its time is without the start of its JVM"


def table_of(figures: Sequence[Figure], title: str) -> Table:
    """Return a line for each contestant, with ranges where there was more than one repetition."""
    table = _table(title, "Contestant")
    for name in ("Seconds", "(range)", "x product", "CPU s", "Peak MB", "above idle", "NDCG@10"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in figures:
        table.add_row(
            LABELS[figure.contestant],
            f"{figure.seconds.value:.2f}",
            _range(figure.seconds),
            f"{figure.ratio_to_product.value:.2f}",
            _cell(figure.cpu_seconds, 2),
            _cell(figure.peak_megabytes, 0),
            _cell(figure.peak_above_idle_megabytes, 0),
            "" if figure.ndcg is None else f"{figure.ndcg:.4f}",
        )
    return table


def scaling_table(steps: Sequence[Step]) -> Table:
    """Return a line for each number of users."""
    table = _table("The evaluation, by users", "Users")
    for name in ("Seconds", "(range)", "x line above"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in steps:
        ratio = "" if step.ratio is None else f"{step.ratio:.2f}"
        table.add_row(f"{step.users:,}", f"{step.seconds.value:.2f}", _range(step.seconds), ratio)
    return table


def verdicts(figures: Sequence[Figure], steps: Sequence[Step]) -> Iterator[str]:
    """Yield a sentence for each aim; memory is judged by its greatest peak."""
    for figure in figures:
        if figure.contestant == EVALUATION and figure.peak_megabytes is not None:
            ratio, peak = figure.ratio_to_product.value, figure.peak_megabytes.high
            yield f"evaluation: {ratio:.2f} x the product; aim at most {MOST_RATIO}: {_met(ratio <= MOST_RATIO)}"
            is_met = peak <= MOST_PEAK_MEGABYTES
            yield f"evaluation: peak {peak:.0f} MB; aim at most {MOST_PEAK_MEGABYTES}: {_met(is_met)}"
    for before, step in pairwise(steps):
        if step.ratio is not None:
            told = f"{before.users:,} to {step.users:,} users: {step.ratio:.2f} x the time"
            most = MOST_SCALING / 10 * step.users / before.users
            yield f"{told}; aim at most {most:.3g}: {_met(step.ratio <= most)}"


def _table(title: str, first: str) -> Table:
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column(first, no_wrap=True)
    return table


def _cell(found: Spread | None, digits: int) -> str:
    return "n/a" if found is None else f"{found.value:.{digits}f}"


def _range(found: Spread) -> str:
    return f"{found.low:.2f}-{found.high:.2f}" if found.low < found.high else ""


def _met(is_met: bool) -> str:
    return "met" if is_met else "NOT met"
