"""The report's last word as a short table for the terminal."""

from io import StringIO
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reports.display import clean_text, format_count, format_interval, format_metric, metric_label
from reports.findings import gather_warnings, judge, metric_columns, rank_models, say_popularity
from reports.report_input import PRIMARY, ReportInput, ScoredModel
from schema.metric import Metric, MetricRow

_MOST_COLUMNS = 4


def terminal_table(report: ReportInput, width: int = 100, has_colour: bool = False) -> str:
    """Return the test metrics of the chosen model and the baselines, and the verdict, as lines of text.

    Args:
        report: What the HTML report shows.
        width: Columns of the terminal.
        has_colour: Whether to add colour codes; for a terminal only, never for a file or a pipe.
    """
    console = open_console(width, has_colour=has_colour)
    console.print(_test_table(report))
    tone = {"good": "green", "even": "yellow", "bad": "red"}
    verdict = judge(report)
    console.print(Text(clean_text(verdict.sentence, limit=600), style=tone[verdict.tone]))
    for sentence in (say_popularity(report.test), report.lead.sentence if report.lead else ""):
        if sentence:
            console.print(Text(clean_text(sentence, limit=600)))
    for warning in gather_warnings(report):
        console.print(Text("Warning: " + clean_text(warning, limit=600), style="yellow"))
    if report.data.is_sample_data:
        console.print(Text("Sample data: these figures say nothing about real shoppers.", style="yellow"))
    for note in report.data.notes:
        console.print(Text("Note: " + clean_text(note, limit=400)))
    return printed(console)


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


def _test_table(report: ReportInput) -> Table:
    columns = metric_columns(report.test, PRIMARY.k)[:_MOST_COLUMNS]
    sample = "" if report.sampled_users is None else f", on a sample of {format_count(report.sampled_users)} users"
    title = f"Test split, all items ranked{sample}; below each figure its 95 % interval"
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("Model", overflow="fold")
    for metric in columns:
        table.add_column(metric_label(metric), justify="right")
    for model in rank_models(report.test):
        table.add_row(*_cells(model, columns), style="bold" if model.is_chosen else "")
    return table


def _cells(model: ScoredModel, columns: list[Metric]) -> list[Text]:
    label = Text(("→ " if model.is_chosen else "  ") + clean_text(model.label, limit=60))
    return [label, *(metric_cell(model.find(metric)) for metric in columns)]


def metric_cell(row: MetricRow | None) -> Text:
    """Return a metric with its 95 % interval below it."""
    if row is None:
        return Text(format_metric(None))
    return Text(f"{format_metric(row.value)}\n{format_interval(row.low, row.high)}".rstrip())
