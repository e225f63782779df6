"""Shared frame of the benchmarks: command line, exit codes, tables and JSON rows."""

import argparse
import json
import os
import platform
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from benchmarks.measuring import Spread
from schema.errors import InvalidInput, RecommenderError
from schema.metric import Metric
from schema.proxies import keep_loopback_direct
from storage.files import try_place

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

DONE, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130
FIELDS = ("model", "parameters", "split", "metric", "k", "value", "low", "high")
CPU_INFO = Path("/proc/cpuinfo")

Column = tuple[str, str, int | None]
Labels = TypeVar("Labels", bound=tuple[str, ...])


@dataclass(frozen=True)
class Figures:
    """Figures of one contestant.

    Attributes:
        model: Name of the contestant.
        split: What it worked on, or "".
        values: Spread of each metric, by a key such as "seconds" or "ndcg_10"; without those that it does not have.
        parameters: Of this contestant, beside those of the whole benchmark.
    """

    model: str
    split: str
    values: Mapping[str, Spread]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def describe_aim(finding: str, aim: str, is_met: bool) -> str:
    """Return a sentence on what was found and what is aimed at.

    Example:
        >>> describe_aim("evaluation: peak 300 MB", "at most 4000", True)
        'evaluation: peak 300 MB; aim at most 4000: met'
    """
    return f"{finding}; aim {aim}: {'met' if is_met else 'NOT met'}"


def take_turns(names: Sequence[str], repetitions: int) -> Iterator[str]:
    """Yield all names in each repetition, beginning with another one each time, and tell of them on standard error.

    Example:
        >>> list(take_turns(["product", "evaluation"], repetitions=2))
        ['product', 'evaluation', 'evaluation', 'product']
    """
    for repetition in range(repetitions):
        first = repetition % len(names)
        for name in (*names[first:], *names[:first]):
            sys.stderr.write(f"{name}, {repetition + 1} of {repetitions}\n")
            yield name


def command_parser(name: str, text: str) -> argparse.ArgumentParser:
    """Return the parser of a benchmark's command line, with ``--json`` and the docstring of its module as the help."""
    description, _, epilog = text.partition("\n")
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the figures here, as JSON")
    return parser


def at_least_one(text: str) -> int:
    """Parse a whole number of 1 or more from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, found {text!r}")
    return int(text)


def some_of(names: str, known: Iterable[str]) -> list[str]:
    """Return the names that ``--only`` has, separated by commas.

    Raises:
        InvalidInput: If one of them is unknown.

    Example:
        >>> some_of("gunzip,ingest", ["ingest", "gunzip", "spark"])
        ['gunzip', 'ingest']
    """
    asked, able = names.split(","), list(known)
    if unknown := sorted({*asked} - {*able}):
        raise InvalidInput(f"--only has {', '.join(unknown)}; expected some of {', '.join(able)}.")
    return asked


def run_command(
    parser: argparse.ArgumentParser, work: Callable[[argparse.Namespace], int], arguments: Sequence[str] | None
) -> int:
    """Return the exit code of a benchmark: its own, or that of the error that ended it. SIGTERM acts as Ctrl-C does."""
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    keep_loopback_direct()
    try:
        if chosen.json:
            try_place(chosen.json, "--json", is_file=True)
        return work(chosen)
    except (RecommenderError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return BAD_USAGE if isinstance(error, InvalidInput) else FAILED
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing is left of it\n")
        return INTERRUPTED


def say(line: str) -> None:
    """Print a line with the time of day, at once."""
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


def open_console(width: int) -> "Console":
    """Return a console that prints text as it is."""
    from rich.console import Console

    return Console(width=width, highlight=False, emoji=False, markup=False)


def make_table(title: str, labels: Sequence[str], columns: Sequence[Column], rows: Mapping[Labels, Figures]) -> "Table":
    """Return a table of figures.

    Args:
        title: Above the table.
        labels: Headings of the labels.
        columns: Heading, metric and number of digits of each figure; without digits the range of repetitions is shown.
        rows: Figures by their labels.
    """
    from reports.tables import TextTable

    shown = [
        [*own_labels, *(_cell(figures.values.get(metric), digits) for _, metric, digits in columns)]
        for own_labels, figures in rows.items()
    ]
    return TextTable([*labels, *(name for name, _, _ in columns)], shown, n_left=len(labels)).to_rich(title)


def _cell(found: Spread | None, digits: int | None) -> str:
    if found is None:
        return "n/a"
    if digits is None:
        return f"{found.low:.2f}-{found.high:.2f}" if found.low < found.high else ""
    return f"{found.value:.{digits}f}"


def rows_of(figures: Sequence[Figures], parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each figure, as `write_rows` takes them."""
    return [
        {
            "model": one.model,
            "parameters": {**parameters, **one.parameters},
            "split": one.split or None,
            "metric": Metric.parse(key).name,
            "k": Metric.parse(key).k,
            **spread._asdict(),
        }
        for one in figures
        for key, spread in one.values.items()
    ]


def write_rows(path: Path | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of model, parameters, split, metric, k, value, low and high to a file, made with its folders.

    A missing field becomes null; without a path nothing is written.
    """
    if path:
        complete = [{name: row.get(name) for name in FIELDS} for row in rows]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"rows": complete}, indent=2) + "\n", "utf-8")


def describe_machine() -> str:
    """Return the CPU's model, the cores that this process may use, the memory and the kernel."""
    n_cores, gib = len(os.sched_getaffinity(0)), psutil.virtual_memory().total / 1024**3
    cores = f"{n_cores} core{'s' if n_cores > 1 else ''}"
    return f"{_cpu_model()}, {cores}, {gib:.0f} GiB of memory, {platform.system()} {platform.release()}"


def _cpu_model() -> str:
    text = CPU_INFO.read_text("utf-8") if CPU_INFO.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)  # ARM's kernel gives none
    return " ".join(found[1].split()) if found else platform.machine()
