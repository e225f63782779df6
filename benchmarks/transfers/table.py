"""The figures of transfers as a table, and whether they are what is aimed at."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from benchmarks.transfers.figures import Figure, Spread
from benchmarks.transfers.methods import BOTO3, STORE, STORE_VERIFIED

MOST_RATIO = 1.5
LEAST_TOO_MANY_MEGABYTES = 200
LABELS = {BOTO3: "boto3 alone", STORE: "store", STORE_VERIFIED: "store, SHA-256 checked"}


def table_of(figures: Sequence[Figure], title: str) -> Table:
    """Return a line for each figure, with ranges where there was more than one repetition."""
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("Transfer", no_wrap=True)
    table.add_column("By", no_wrap=True)
    for name in ("Seconds", "(range)", "MB/s", "x boto3", "Peak MB"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in figures:
        table.add_row(figure.direction, LABELS[figure.model], *_cells(figure))
    return table


def verdicts(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield a sentence for each aim and method of the store's; memory is judged by its greatest peak.

    What is checked as well does more than boto3 does, so that no aim is set for its time.
    """
    for figure in figures:
        name = f"{figure.direction} by {LABELS[figure.model]}"
        if figure.model == STORE:
            ratio = figure.ratio_to_boto3.value
            yield f"{name}: {ratio:.2f} x boto3's time; aim at most {MOST_RATIO}: {_met(ratio <= MOST_RATIO)}"
        if figure.model != BOTO3:
            peak = figure.peak_megabytes.high
            is_met = peak < LEAST_TOO_MANY_MEGABYTES
            yield f"{name}: at most {peak:.0f} MB above idle; aim below {LEAST_TOO_MANY_MEGABYTES}: {_met(is_met)}"


def _cells(figure: Figure) -> list[str]:
    return [
        f"{figure.seconds.value:.2f}",
        _range(figure.seconds),
        f"{figure.megabytes_per_second.value:.0f}",
        f"{figure.ratio_to_boto3.value:.2f}",
        f"{figure.peak_megabytes.value:.0f}",
    ]


def _range(spread: Spread) -> str:
    return f"{spread.low:.2f}-{spread.high:.2f}" if spread.low < spread.high else ""


def _met(is_met: bool) -> str:
    return "met" if is_met else "NOT met"
