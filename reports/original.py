"""The original project's table for the terminal: its own figures, and honest ones beside them."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from reports.display import clean_text, metric_label
from reports.report_input import ScoredModel
from reports.terminal import metric_cell, open_console, printed
from schema.metric import Metric

COLUMNS = (
    Metric("rmse"),
    Metric("held_out_only_precision", 10),
    Metric("held_out_only_ndcg", 10),
    Metric("precision", 10),
    Metric("ndcg", 10),
)


def original_table(models: Sequence[ScoredModel], width: int = 100) -> str:
    """Return RMSE, the two metrics over held-out rows only, and the same two over the full catalogue, as text.

    Below each figure stands its 95 % interval.

    Args:
        models: Rows in the order of the table, a random scorer among them.
        width: Columns of the terminal.
    """
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Model", overflow="fold")
    for metric in COLUMNS:
        table.add_column(metric_label(metric), justify="right")
    for model in models:
        table.add_row(Text(clean_text(model.label)), *(metric_cell(model.find(column)) for column in COLUMNS))
    console = open_console(width)
    console.print(table)
    return printed(console)
