"""The result of a training or an evaluation as a short table for the terminal."""

from collections.abc import Sequence
from dataclasses import replace

from rich.table import Table
from rich.text import Text

from reports.display import clean_text, format_count
from reports.findings import gather_warnings, judge, metric_columns, rank_models, say_popularity
from reports.report_input import PRIMARY, ReportInput, ScoredModel
from reports.tables import open_console, printed, tabulate_models
from reports.verdicts import say_lead
from schema.metric import HELD_OUT_ONLY, Metric

_MOST_COLUMNS = 4
ORIGINAL = (
    Metric("rmse"),
    Metric(f"{HELD_OUT_ONLY}precision", 10),
    Metric(f"{HELD_OUT_ONLY}ndcg", 10),
    Metric("precision", 10),
    Metric("ndcg", 10),
)


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
    for sentence in (say_popularity(report.test), say_lead(report.lead) if report.lead else ""):
        if sentence:
            console.print(Text(clean_text(sentence, limit=600)))
    for warning in gather_warnings(report):
        console.print(Text("Warning: " + clean_text(warning, limit=600), style="yellow"))
    if report.data.is_sample_data:
        console.print(Text("Sample data: these figures say nothing about real shoppers.", style="yellow"))
    for note in report.data.notes:
        console.print(Text("Note: " + clean_text(note, limit=400)))
    return printed(console)


def original_table(models: Sequence[ScoredModel], width: int = 100) -> str:
    """Return RMSE, the two metrics over held-out rows only, and the same two over the full catalogue, as text.

    Args:
        models: Rows in the order of the table, a random scorer among them.
        width: Columns of the terminal.
    """
    return tabulate_models(models, ORIGINAL).to_text(width)


def _test_table(report: ReportInput) -> Table:
    sample = "" if report.sampled_users is None else f", on a sample of {format_count(report.sampled_users)} users"
    marked = [
        replace(model, label=("→ " if model.is_chosen else "  ") + clean_text(model.label, limit=60))
        for model in rank_models(report.test)
    ]
    table = tabulate_models(marked, metric_columns(report.test, PRIMARY.k)[:_MOST_COLUMNS])
    return table.to_rich(f"Test split, all items ranked{sample}; below each figure its 95 % interval")
