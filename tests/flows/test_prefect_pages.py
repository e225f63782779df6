"""What someone sees of a training on Prefect's pages: how far it is, what came of it, and where everything is."""

import re
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
)
from prefect.runtime import flow_run
from sample_artifacts import MODEL, PROMOTION, publish, publish_lineage
from workplace import Workplace

from flows.promote import serve
from models.registry import Candidate
from reports.findings import rank_models
from reports.report_input import HEADLINES, ScoredModel
from reports.tables import escape_markdown, tabulate_models
from reports.terminal import training_markdown
from schema.metric import MetricRow
from storage import artifacts, layout
from storage.champion import ChampionTerm, champion_id, read_history
from storage.s3_options import S3Options
from tasks import execution, links
from tasks.addresses import flow_run_page
from tasks.links import CHAMPION, FIRST
from tasks.options import PlaceOptions


@pytest.fixture(scope="module")
def run_id(training: tuple[Workplace, dict[str, Any]]) -> str:
    """The flow run of the training."""
    found = re.search(r"/runs/flow-run/([0-9a-f-]{36})", training[1]["stderr"])
    assert found
    return found[1]


@pytest.fixture(scope="module")
def pages(run_id: str, prefect_api: str) -> dict[str, Any]:
    return artifacts_of(run_id)


def artifacts_of(run_id: str) -> dict[str, Any]:
    """Return the artifacts of a flow run and its task runs, by key."""
    chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        return {found.key: found for found in client.read_artifacts(artifact_filter=chosen) if found.key}


def test_page_to_read_first_stands_alone_before_those_of_tasks_and_no_progress_is_left(pages, training):
    assert [key for key, one in pages.items() if one.task_run_id is None] == [FIRST]
    assert [key for key in pages if key.startswith("progress-")] == []
    assert pages[FIRST].description.startswith("Read this first")
    workplace, record = training
    store = (workplace.folder / "store").as_uri()
    for role, kind in {"report": layout.REPORTS, "model": layout.MODELS, "raw": layout.RAW}.items():
        assert f"| {role} | `{store}/{kind}/{record['ids'][role]}" in pages[FIRST].data


def test_addresses_that_are_named_open_the_version_that_the_front_page_opens(prefect_api):
    address = flow_run_page(uuid4())
    assert address
    browsing = {"headers": {"Accept": "text/html"}, "follow_redirects": True}
    front, page = (httpx.get(one, **browsing) for one in (prefect_api.removesuffix("api"), address))
    assert page.text == front.text
    assert httpx.get(f"{prefect_api.removesuffix('api')}ui-settings").json()["default_ui"] == "v1"


def test_long_work_shows_how_far_it_is_until_it_is_done(prefect_api, monkeypatch):
    monkeypatch.setattr(execution, "UPDATE_SECONDS", 0.0)
    seen: list[Any] = []

    @flow
    def work(*, fails: bool) -> None:
        with execution.progress("Reading a.gz", key="read", unit=" lines") as advance:
            advance(3, 4)
            seen.append(artifacts_of(str(flow_run.id))["progress-read"])
            if fails:
                raise ValueError("broken off")
        seen.append(artifacts_of(str(flow_run.id)))

    work(fails=False)
    assert (seen[0].data, seen[0].description, seen[1]) == (75.0, "Reading a.gz: 3 done", {})
    with pytest.raises(ValueError, match="broken off"):
        work(fails=True)
    assert set(artifacts_of(seen[2].flow_run_id)) == {"progress-read"}


@pytest.mark.parametrize(
    ("s3", "shown"),
    [
        (S3Options(), "| model | `s3://shop/a/models/ab12` |"),
        (
            S3Options(s3_console_url="http://host:9001"),
            "| model | [models/ab12](http://host:9001/browser/shop/a%2Fmodels%2Fab12%2F) |",
        ),
    ],
)
def test_page_to_read_first_links_to_where_there_is_a_page(s3, shown, monkeypatch):
    made: list[str] = []
    monkeypatch.setattr(links, "create_markdown_artifact", lambda page, **_: made.append(page))
    store = SimpleNamespace(locate="s3://shop/a/{}".format)
    monkeypatch.setattr(PlaceOptions, "open_store", lambda _: store)
    record = {"ids": {"model": "ab12", "mlflow_run": "cd"}, "pages": {"The report": "http://m/#/a", "Nothing": None}}
    links.show_first(PlaceOptions(store_uri="s3://shop/a", s3=s3), record)
    assert "- [The report](http://m/#/a)\n" in made[0]
    assert shown in made[0]
    assert "Nothing" not in made[0]


def test_each_champion_is_shown_with_what_leads_to_it(prefect_api, tmp_path):
    places = PlaceOptions(store_uri=str(tmp_path))
    store = places.open_store()
    publish_lineage(store)
    publish(store, layout.MODELS, "second")
    publish(store, layout.REPORTS, "paper", {"model": MODEL}, {layout.REPORT: b"<html>"})

    @flow
    def promote_both() -> str:
        for name, promotion in ((MODEL, PROMOTION), ("second", None)):
            model = artifacts.find(store, layout.MODELS, name)
            assert model
            term = ChampionTerm(name, "today", "it is *better*", promotion)
            serve(places, model, model, term, read_history(store))  # stands for its own bundle
        return str(flow_run.id)

    run = promote_both()
    with get_client(sync_client=True) as client:
        chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        found = sorted(client.read_artifacts(artifact_filter=chosen), key=lambda one: str(one.created))
    first, second = (one for one in found if one.key == CHAMPION)
    assert (first.description, second.description) == (
        f"models/{MODEL} is the champion",
        "models/second is the champion",
    )
    assert f"| report | `file://{tmp_path}/reports/paper/report.html` |" in first.data
    assert f"| promotion | `file://{tmp_path}/promotions/{PROMOTION}` |" in first.data
    assert first.data.startswith("Since today. it is \\*better\\*\n")
    assert f"| champion before | `file://{tmp_path}/models/{MODEL}` |" in second.data
    assert champion_id(store) == "second"


def test_summary_names_every_artifact_the_report_and_mlflow(pages, training):
    workplace, record = training
    page = pages["training"]
    assert page.type == "markdown"
    for role, identity in record["ids"].items():
        assert f"| {role} | `{identity}` |" in page.data
    for uri in record["uris"].values():
        assert uri in page.data
    assert escape_markdown(workplace.tracking_uri) in page.data


def test_summary_has_the_result_with_the_chosen_model_first_and_in_bold(pages, training):
    rows = [line for line in pages["training"].data.splitlines() if re.match(r"\| \W*[a-z-]+.*\d\.\d{4}", line)]
    chosen = Candidate(**training[1]["chosen"])
    assert rows[0].startswith(f"| **{chosen.label}** | 0.")
    assert any(row.startswith("| popularity | 0.") for row in rows)


def test_tables_of_the_candidates_the_k_core_and_the_quarantine_are_there(pages):
    assert {"candidates", "k-core", "quarantine", "result"} <= set(pages)


def test_names_of_flow_and_task_runs_tell_the_data(run_id, training, prefect_api):
    ids = training[1]["ids"]
    one = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        named = client.read_flow_run(run_id).name
        tasks = {run.name for run in client.read_task_runs(flow_run_filter=one, task_run_filter=TaskRunFilter())}
    assert named == "train on sample-reviews.json.gz"
    assert tasks >= {
        "fetch raw file sample-reviews.json.gz",
        "read raw file sample-reviews.json.gz",
        "publish reviews of sample-reviews.json.gz",
        f"build dataset of reviews {ids['reviews']}",
        f"split dataset {ids['dataset']}",
        f"choose by ndcg_10 on {ids['split']}",
        f"publish model of dataset {ids['dataset']}",
        f"publish recommendations of model {ids['model']}",
        "summarise the training on sample-reviews.json.gz",
    }


def test_summary_shows_what_a_file_is_called_and_obeys_none_of_it(training):
    tested = [ScoredModel("popularity", {}, [], is_chosen=True)]
    shown = training_markdown(
        "a|b [c](d) <e>", training[1], tested, "https://host/#/experiments/1/runs/x", "https://host"
    )
    assert shown.startswith("# a\\|b \\[c\\](d) \\<e\\>: ")
    assert "[https://host/#/experiments/1/runs/x](https://host/#/experiments/1/runs/x)" in shown


def test_result_table_puts_the_best_first_and_a_dash_for_what_was_not_measured():
    def row(metric: str, value: float) -> MetricRow:
        figures = {"value": value, "low": value - 0.1, "high": value + 0.1, "k": 10, "n_users": 9}
        return MetricRow(model="", parameters={}, split="test", metric=metric, **figures)

    tested = [
        ScoredModel("popularity", {}, [row("ndcg", 0.2)]),
        ScoredModel("item-knn", {}, [row("ndcg", 0.3), row("recall", 0.5)], is_chosen=True),
    ]
    table = tabulate_models(rank_models(tested), HEADLINES, head="model")
    head, rule, best, worst = table.to_markdown().splitlines()
    assert set(rule) == set("| -")
    assert head.startswith("| model | NDCG@10 | Recall@10 |")
    assert best.startswith("| **item-knn** | 0.3000 (0.2000–0.4000) | 0.5000 (0.4000–0.6000) |")  # noqa: RUF001
    assert worst.startswith("| popularity | 0.2000 (0.1000–0.3000) | – |")  # noqa: RUF001
