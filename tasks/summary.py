"""What Prefect's page of a training says at its end: how good the model is, where everything is, and the ids of all."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact

from models.registry import Candidate
from reports.display import clean_text, format_count, format_interval, format_metric, metric_label
from schema.metric import Metric
from tasks.tracking import hide_user

METRICS = (Metric("ndcg", 10), Metric("recall", 10), Metric("hit_rate", 10), Metric("coverage", 10), Metric("rmse"))
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
    tracked = f"[{mlflow}]({mlflow})" if mlflow else f"{cell(tracking_uri)}, which `make mlflow` shows"
    places = [f"- {role}: {_place(str(uri))}" for role, uri in record["uris"].items()]
    return "\n".join(
        [
            f"# {cell(name)}: {cell(chosen.label)}",
            f"\n{', '.join(counts)}.\n",
            "## On the test part, all items ranked\n",
            *result_table(record["metrics"], chosen),
            "\n## Where it is\n",
            *places,
            f"- MLflow: {tracked}",
            "\n## Ids\n",
            *_table(("artifact", "id"), [(role, f"`{one}`") for role, one in record["ids"].items()]),
        ]
    )


def result_table(rows: Sequence[Mapping[str, Any]], chosen: Candidate) -> Iterator[str]:
    """Yield the lines of a Markdown table of the test metrics, a candidate on each, best NDCG@10 first.

    Args:
        rows: Metric rows of the result record.
        chosen: The candidate whose row is set in bold.
    """
    tested = [row for row in rows if row["split"] == "test"]
    by_label: dict[str, dict[Metric, Mapping[str, Any]]] = {}
    for row in tested:
        label = Candidate(model=row["model"], parameters=row["parameters"]).label
        by_label.setdefault(label, {})[Metric(row["metric"], row["k"])] = row
    ordered = sorted(by_label, key=lambda label: -float(by_label[label].get(METRICS[0], {"value": -1.0})["value"]))
    lines = []
    for label in ordered:
        named = f"**{cell(label)}**" if label == chosen.label else cell(label)
        lines.append((named, *(_figure(by_label[label].get(metric)) for metric in METRICS)))
    yield from _table(("model", *(metric_label(one) for one in METRICS)), lines)


def cell(text: str) -> str:
    r"""Return text that Markdown shows as it is, in a table as well.

    Example:
        >>> cell("a|b [c](d) <e>")
        'a\\|b \\[c\\](d) \\<e\\>'
    """
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#" else character for character in clean_text(text))


def _figure(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return format_metric(None)
    return f"{format_metric(row['value'])} ({format_interval(row['low'], row['high'])})"


def _place(uri: str) -> str:
    return f"[{uri}]({uri})" if uri.startswith(WEB) else f"`{uri}`"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    for line in (head, ["---"] * len(head), *lines):
        yield f"| {' | '.join(line)} |"
