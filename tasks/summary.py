"""Show the end of a training on Prefect's pages: how good the model is, where everything is, and the ids of all."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact

from models.registry import Candidate
from reports.display import clean_text, format_count
from reports.findings import rank_models
from reports.report_input import HEADLINES, ScoredModel
from reports.tables import TextTable, escape_markdown, tabulate_models
from schema.metric import MetricRow
from tasks.tracking import hide_user

COUNTED = (
    ("reviews", "n_lines", "lines read"),
    ("reviews", "n_quarantined", "lines in quarantine"),
    ("dataset", "n_interactions", "interactions"),
    ("dataset", "n_users", "users"),
    ("dataset", "n_items", "items"),
)
WEB = ("http://", "https://")


@task(name="summarise", task_run_name="summarise the training on {name}")
def summarise(name: str, record: Mapping[str, Any], tracking_uri: str, experiment: str) -> None:
    """Show the outcome of a training on Prefect's pages, as ``training``, and where MLflow has pages, a link to them.

    Args:
        name: What was trained on.
        record: The training's result record.
        tracking_uri: Where MLflow keeps its runs.
        experiment: Id of the MLflow experiment.
    """
    address = mlflow_address(tracking_uri, experiment, str(record["ids"]["mlflow_run"]))
    create_markdown_artifact(
        training_summary(name, record, address, hide_user(tracking_uri)),
        key="training",
        description=f"The training on {clean_text(name)}: its result, where it is, and the ids of everything",
    )
    if address:
        create_link_artifact(address, link_text="MLflow run", key="mlflow", description="The training in MLflow")


def mlflow_address(tracking_uri: str, experiment: str, run: str) -> str | None:
    """Return the page of an MLflow run, where it is tracked by a server.

    Example:
        >>> mlflow_address("https://ada:secret@host:5000/", "1", "ab12")
        'https://host:5000/#/experiments/1/runs/ab12'
        >>> mlflow_address("sqlite:///mlflow.db", "1", "ab12")
    """
    if not tracking_uri.startswith(WEB):
        return None
    return f"{hide_user(tracking_uri).rstrip('/')}/#/experiments/{experiment}/runs/{run}"


def training_summary(name: str, record: Mapping[str, Any], mlflow: str | None, tracking_uri: str) -> str:
    """Return the outcome of a training as Markdown; nothing that a file or a product is called can change its form.

    Args:
        name: What was trained on.
        record: The training's result record.
        mlflow: Address of the MLflow run's page, if it has one.
        tracking_uri: Where MLflow keeps its runs, without secrets.
    """
    chosen = Candidate(**record["chosen"])
    counts = (f"{format_count(int(record['counts'][role][count]))} {words}" for role, count, words in COUNTED)
    tracked = f"[{mlflow}]({mlflow})" if mlflow else f"{escape_markdown(tracking_uri)}, which `make mlflow` shows"
    places = [f"- {role}: {_place(str(uri))}" for role, uri in record["uris"].items()]
    return "\n".join(
        [
            f"# {escape_markdown(name)}: {escape_markdown(chosen.label)}",
            f"\n{', '.join(counts)}.\n",
            "## On the test part, all items ranked\n",
            result_table(record["metrics"], chosen).to_markdown(),
            "\n## Where it is\n",
            *places,
            f"- MLflow: {tracked}",
            "\n## Ids\n",
            "| artifact | id |\n| --- | --- |",
            *(f"| {role} | `{one}` |" for role, one in record["ids"].items()),
        ]
    )


def result_table(rows: Sequence[Mapping[str, Any]], chosen: Candidate) -> TextTable:
    """Return the test metrics of each candidate, best NDCG@10 first.

    Args:
        rows: Metric rows of the result record.
        chosen: The candidate whose row stands out.
    """
    tested: dict[str, list[MetricRow]] = {}
    for row in (MetricRow(**row) for row in rows if row["split"] == "test"):
        tested.setdefault(Candidate(model=row.model, parameters=row.parameters).label, []).append(row)
    models = [ScoredModel(label, {}, measured, is_chosen=label == chosen.label) for label, measured in tested.items()]
    return tabulate_models(rank_models(models), HEADLINES, head="model")


def _place(uri: str) -> str:
    return f"[{uri}]({uri})" if uri.startswith(WEB) else f"`{uri}`"
