"""Pages of Prefect from which all that a run made, and the champion, are a click away."""

from collections.abc import Mapping
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact

from reports.tables import escape_markdown
from storage import layout
from storage.champion import ChampionTerm
from storage.inventory import find_report
from storage.manifest import Manifest
from tasks.addresses import store_page
from tasks.options import PlaceOptions

FIRST = "read-first"
CHAMPION = "champion"
COPY = "No web page may lead there: copy the address of the report into the browser."
KINDS = {
    **layout.INPUT_KINDS,
    "bundle": layout.BUNDLES,
    "evaluation": layout.EVALUATIONS,
    "previous": layout.MODELS,
    "promotion": layout.PROMOTIONS,
    "report": layout.REPORTS,
}


def show_first(places: PlaceOptions, record: Mapping[str, Any]) -> None:
    """Show where all that a run made is, as the one artifact of the flow run that belongs to none of its tasks.

    Args:
        places: Where the store is.
        record: The run's result record: ``ids`` of artifacts by role, and ``pages``, addresses by what they show.
    """
    pages = [f"- [{escape_markdown(name)}]({address})" for name, address in record.get("pages", {}).items() if address]
    made = {role: f"{KINDS[role]}/{one}" for role, one in record.get("ids", {}).items() if one and role in KINDS}
    rows = [f"| {role} | {linked(places, name)} |" for role, name in made.items()]
    if not rows:
        return
    advice = "" if store_page(places.store_uri, places.s3, "") else f"\n{COPY}"
    create_markdown_artifact(
        "\n".join([*pages, "", "| | in the store |", "| --- | --- |", *rows, advice]),
        key=FIRST,
        description="Read this first: report, model, MLflow and all that the run made or read",
    )


@task(name="show champion", task_run_name="show champion {model.id}")
def show_champion(
    places: PlaceOptions, model: Manifest, term: ChampionTerm, before: str | None, page: str | None
) -> None:
    """Show who is the champion now, as an artifact whose history is that of the champions.

    Args:
        places: Where the store is.
        model: The champion.
        term: When and why it became that.
        before: Id of the champion before.
        page: Address of the page in MLflow that shows who the champion is, where there is one.
    """
    report, reason = find_report(places.open_store(), model), escape_markdown(term.reason or "", 500)
    named = {
        "model": model.name,
        "report": report and report.name,
        "promotion": term.promotion and f"{layout.PROMOTIONS}/{term.promotion}",
        "champion before": before and f"{layout.MODELS}/{before}",
    }
    rows = [f"| {role} | {linked(places, name)} |" for role, name in named.items() if name]
    in_mlflow = f"[The champion in MLflow]({page})\n" if page else ""
    create_markdown_artifact(
        "\n".join([f"Since {term.promoted_at}. {reason}\n", in_mlflow, "| | in the store |", "| --- | --- |", *rows]),
        key=CHAMPION,
        description=f"{model.name} is the champion",
    )


def linked(places: PlaceOptions, name: str) -> str:
    """Return an artifact, named as ``kind/id``, as Markdown: a link to where a browser shows it, else where it is."""
    kind, identity = name.split("/")
    prefix = layout.artifact_prefix(kind, identity)
    page = store_page(places.store_uri, places.s3, f"{prefix}/")
    if page:
        return f"[{name}]({page})"
    return f"`{places.open_store().locate(f'{prefix}/{layout.REPORT}' if kind == layout.REPORTS else prefix)}`"
