"""The result of a training or an evaluation in short: for the terminal, and as Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.table import Table

from reports.display import COVERAGE_OF_SAMPLE, clean_text, format_count, say_sample
from reports.findings import gather_warnings, judge, metric_columns, rank_models, say_popularity
from reports.report_input import HEADLINES, PRIMARY, ReportInput, ScoredModel
from reports.tables import escape_markdown, open_console, printed, tabulate_models, text
from reports.verdicts import say_lead
from schema.metric import HELD_OUT_ONLY, Metric

_MOST_COLUMNS = 4
COUNTED = (
    ("reviews", "n_lines", "lines read"),
    ("reviews", "n_quarantined", "lines in quarantine"),
    ("dataset", "n_interactions", "interactions"),
    ("dataset", "n_users", "users"),
    ("dataset", "n_items", "items"),
)
ORIGINAL = (
    Metric("rmse"),
    Metric(f"{HELD_OUT_ONLY}precision", 10),
    Metric(f"{HELD_OUT_ONLY}ndcg", 10),
    Metric("precision", 10),
    Metric("ndcg", 10),
)


def terminal_table(report: ReportInput, width: int = 100, has_colour: bool = False) -> str:
    """Return the test metrics of the chosen model and the baselines, and the verdict, as lines of text.

    Colour codes are for a terminal only, never for a file or a pipe.
    """
    console = open_console(width, has_colour=has_colour)
    console.print(_test_table(report))
    tone = {"good": "green", "even": "yellow", "bad": "red"}
    verdict = judge(report)
    console.print(text(verdict.sentence, tone[verdict.tone], limit=600))
    for sentence in (say_popularity(report.test), say_lead(report.lead) if report.lead else ""):
        if sentence:
            console.print(text(sentence, limit=600))
    if report.sampled_users is not None:
        console.print(text(COVERAGE_OF_SAMPLE, limit=600))
    for warning in gather_warnings(report):
        console.print(text(f"Warning: {warning}", "yellow", limit=600))
    if report.data.is_sample_data:
        console.print(text("Sample data: these figures say nothing about real shoppers.", "yellow"))
    for note in report.data.notes:
        console.print(text(f"Note: {note}", limit=400))
    return printed(console)


def original_table(models: Sequence[ScoredModel], width: int = 100) -> str:
    """Return RMSE, the two metrics over held-out rows only, and the same two over the full catalogue, as text."""
    return tabulate_models(models, ORIGINAL).to_text(width)


def _test_table(report: ReportInput) -> Table:
    marked = [
        replace(model, label=("→ " if model.is_chosen else "  ") + clean_text(model.label, limit=60))
        for model in rank_models(report.test)
    ]
    table = tabulate_models(marked, metric_columns(report.test, PRIMARY.k)[:_MOST_COLUMNS])
    return table.to_rich(
        f"Test split, all items ranked{say_sample(report.sampled_users)}; below each figure its 95 % interval"
    )


def training_markdown(
    name: str, record: Mapping[str, Any], tested: Sequence[ScoredModel], mlflow: str | None, tracking_uri: str
) -> str:
    """Return the outcome of a training as Markdown; nothing that a file or a product is called can change its form.

    Args:
        name: What was trained on.
        record: The training's result record.
        tested: The models on the test part, one of them chosen.
        mlflow: Address of the MLflow run's page, if it has one.
        tracking_uri: Where MLflow keeps its runs, without secrets.
    """
    chosen = next(one for one in tested if one.is_chosen)
    counts = (f"{format_count(int(record['counts'][role][count]))} {words}" for role, count, words in COUNTED)
    tracked = f"[{mlflow}]({mlflow})" if mlflow else f"{escape_markdown(tracking_uri)}, which `make mlflow` shows"
    return "\n".join(
        [
            f"# {escape_markdown(name)}: {escape_markdown(chosen.label)}",
            f"\n{', '.join(counts)}.\n",
            "## On the test part, all items ranked\n",
            tabulate_models(rank_models(tested), HEADLINES, head="model").to_markdown(),
            "\n## Where it is\n",
            *(f"- {role}: {_link(str(uri))}" for role, uri in record["uris"].items()),
            f"- MLflow: {tracked}",
            "\n## Ids\n",
            "| artifact | id |\n| --- | --- |",
            *(f"| {role} | `{one}` |" for role, one in record["ids"].items()),
        ]
    )


def _link(uri: str) -> str:
    return f"[{uri}]({uri})" if uri.startswith(("http://", "https://")) else f"`{uri}`"
