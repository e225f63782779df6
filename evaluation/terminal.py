"""The report's last word as a short table for the terminal."""

from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluation.display import clean_text, format_interval, format_metric, metric_label
from evaluation.findings import judge, metric_columns, rank_models
from evaluation.report_input import PRIMARY_K, PRIMARY_METRIC, ReportInput, ScoredModel

_MOST_COLUMNS = 4


def terminal_table(report: ReportInput, width: int = 100, has_colour: bool = False) -> str:
    """Return the test metrics of the chosen model and the baselines, and the verdict, as lines of text.

    Args:
        report: What the HTML report shows.
        width: Columns of the terminal.
        has_colour: Whether to add colour codes; for a terminal only, never for a file or a pipe.
    """
    target = StringIO()
    console = Console(
        file=target,
        width=width,
        color_system="standard" if has_colour else None,
        no_color=not has_colour,
        highlight=False,
        emoji=False,
        markup=False,
    )
    console.print(_test_table(report))
    tone = {"good": "green", "even": "yellow", "bad": "red"}
    verdict = judge(report)
    console.print(Text(clean_text(verdict.sentence, limit=400), style=tone[verdict.tone]))
    if report.is_sample_data:
        console.print(Text("Sample data: these figures say nothing about real shoppers.", style="yellow"))
    for note in report.notes:
        console.print(Text("Note: " + clean_text(note, limit=400)))
    return "\n".join(line.rstrip() for line in target.getvalue().splitlines()) + "\n"


def _test_table(report: ReportInput) -> Table:
    columns = metric_columns(report.test, PRIMARY_K)[:_MOST_COLUMNS]
    table = Table(title=Text("Test split, all items ranked"), box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("Model", overflow="fold")
    for metric, k in columns:
        table.add_column(metric_label(metric, k), justify="right")
        if (metric, k) == (PRIMARY_METRIC, PRIMARY_K):
            table.add_column("95 % interval", justify="right")
    for model in rank_models(report.test):
        table.add_row(*_cells(model, columns), style="bold" if model.is_chosen else "")
    return table


def _cells(model: ScoredModel, columns: list[tuple[str, int | None]]) -> list[Text]:
    cells = [Text(("→ " if model.is_chosen else "  ") + clean_text(model.label, limit=60))]
    for metric, k in columns:
        row = model.find(metric, k)
        cells.append(Text(format_metric(row.value if row else None)))
        if (metric, k) == (PRIMARY_METRIC, PRIMARY_K):
            cells.append(Text(format_interval(row.low, row.high) if row else ""))
    return cells
