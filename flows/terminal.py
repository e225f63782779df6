"""Tables and progress on a terminal; text that others wrote is shown and never interpreted."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from reports.display import clean_text

MOST_ROWS = 100
DIGITS = 16
PIPE_COLUMNS = 200

_RIGHT = frozenset({"files", "size"})


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
