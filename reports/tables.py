"""Text and tables for a terminal, for Markdown and for Prefect; text that others wrote is shown, never interpreted."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from reports.display import clean_text, format_interval, format_metric, metric_label
from schema.metric import Metric, MetricRow

if TYPE_CHECKING:
    from reports.report_input import ScoredModel

MOST_ROWS = 100
DIGITS = 16
PIPE_COLUMNS = 200

_RIGHT = frozenset({"files", "size"})

Cell = str | tuple[str, str]
"""Text, or a figure with its interval, which stands below it on a terminal and behind it elsewhere."""


@dataclass(frozen=True)
class TextTable:
    """Rows of cells; text that others wrote is cleaned when it is shown.

    Attributes:
        columns: Names of the columns.
        rows: The cells, as many in each row as there are columns.
        strong: Numbers of the rows that stand out, from 0.
        n_left: Columns set flush left, from the first; the others are figures, flush right.
        limit: Characters of the longest text that is shown whole.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    strong: Collection[int] = ()
    n_left: int = 1
    limit: int = 120

    def to_rich(self, title: str | None = None) -> Table:
        """Return the table for a terminal; no cell is cut."""
        table = Table(title=Text(title) if title else None, box=box.SIMPLE_HEAD, title_justify="left")
        for place, name in enumerate(self.columns):
            table.add_column(text(name), justify="left" if place < self.n_left else "right", overflow="fold")
        for number, row in enumerate(self.rows):
            cells = (Text(self._text(cell, "{}\n{}")) for cell in row)
            table.add_row(*cells, style="bold" if number in self.strong else "")
        return table

    def to_text(self, width: int, title: str | None = None) -> str:
        """Return the table as lines for a terminal of so many columns."""
        console = open_console(width)
        console.print(self.to_rich(title))
        return printed(console)

    def to_markdown(self) -> str:
        """Return the table as Markdown, the first cell of strong rows in bold; no text can change its form."""
        lines = [[escape_markdown(name, self.limit) for name in self.columns], ["---"] * len(self.columns)]
        for number, row in enumerate(self.rows):
            cells = [escape_markdown(self._text(cell, "{} ({})"), 2 * self.limit) for cell in row]
            lines.append([f"**{cells[0]}**", *cells[1:]] if number in self.strong else cells)
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def to_records(self) -> list[dict[str, str]]:
        """Return a mapping of each row's cells by the names of their columns."""
        cells = ([self._text(cell, "{} ({})") for cell in row] for row in self.rows)
        return [dict(zip(self.columns, row, strict=True)) for row in cells]

    def _text(self, cell: Cell, form: str) -> str:
        if isinstance(cell, str):
            return clean_text(cell, self.limit)
        return form.format(*cell) if cell[1] else cell[0]


def tabulate_models(models: "Iterable[ScoredModel]", metrics: Sequence[Metric], head: str = "Model") -> TextTable:
    """Return a row for each model, in the order given: its label, and its metrics with their 95 % intervals."""
    listed = list(models)
    rows = [[model.label, *(measured_cell(model.find(metric)) for metric in metrics)] for model in listed]
    strong = {number for number, model in enumerate(listed) if model.is_chosen}
    return TextTable([head, *map(metric_label, metrics)], rows, strong)


def measured_cell(row: MetricRow | None) -> Cell:
    """Return a metric with its 95 % interval; a dash for one that was not measured."""
    return (format_metric(row.value), format_interval(row.low, row.high)) if row else format_metric(None)


def escape_markdown(text: str, limit: int = 120) -> str:
    r"""Return text that Markdown shows as it is, in a table as well.

    Example:
        >>> escape_markdown("a|b [c](d) <e>")
        'a\\|b \\[c\\](d) \\<e\\>'
    """
    shown = clean_text(text, limit)
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#" else character for character in shown)


def open_console(width: int, *, has_colour: bool = False) -> Console:
    """Return a console that prints what it is given, and nothing made of it, to be read by `printed`."""
    return Console(
        file=StringIO(),
        width=width,
        color_system="standard" if has_colour else None,
        no_color=not has_colour,
        highlight=False,
        emoji=False,
        markup=False,
    )


def printed(console: Console) -> str:
    """Return what was printed, without spaces at the ends of lines."""
    target: Any = console.file
    return "\n".join(line.rstrip() for line in target.getvalue().splitlines()) + "\n"


def stdout() -> Console:
    """Return a console on stdout, as wide as the terminal, or wide enough for a pipe."""
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    return Console(width=width, markup=False, emoji=False, highlight=False)


@contextmanager
def progress_bar(what: str, n_bytes: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr if that is a terminal; yield a function to call with the bytes done."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    screen = Console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=screen, transient=True, disable=not screen.is_terminal
    ) as bar:
        task = bar.add_task(what, total=n_bytes)
        yield lambda n_done: bar.advance(task, n_done)


def text(value: str, style: str = "", limit: int = 120) -> Text:
    """Return text on one line, cut to a length, in which every character shows."""
    return Text(clean_text(value, limit), style=style)


def heading(value: str) -> Text:
    """Return a heading with an empty line before it."""
    return Text("\n").append_text(text(value, "bold"))


def table_of(*columns: str) -> Table:
    """Return a table without rows; none of its columns is ever cut."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(text(name), justify="right" if name in _RIGHT else "left", overflow="fold")
    return table


def pairs(values: Mapping[str, str]) -> Table:
    """Return names with their values, the first hundred in order of their names."""
    grid = Table.grid(padding=(0, 2))
    for name, value in sorted(values.items())[:MOST_ROWS]:
        grid.add_row(text(name, "cyan"), text(value, limit=400))
    for note in more(len(values)):
        grid.add_row("", note)
    if not values:
        grid.add_row(text("none", "dim"))
    return grid


def more(n_rows: int) -> Iterator[Text]:
    """Yield a line that says how many rows are not shown, if some are not."""
    if n_rows > MOST_ROWS:
        yield text(f"… and {n_rows - MOST_ROWS:,} more; --json has them all")


def short(digest: str) -> str:
    """Return the first digits of an id or a digest.

    Example:
        >>> short("0123456789abcdef"), short("0123456789abcdef0")
        ('0123456789abcdef', '0123456789abcdef…')
    """
    return digest if len(digest) <= DIGITS else digest[:DIGITS] + "…"


def number(n_things: int, noun: str) -> str:
    """Return how many there are.

    Example:
        >>> number(1, "file"), number(2000, "file")
        ('1 file', '2,000 files')
    """
    return f"{n_things:,} {noun}{'' if n_things == 1 else 's'}"
