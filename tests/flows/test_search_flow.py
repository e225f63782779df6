"""A training that searches: what is asked of it, what it tries, and where it says so."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from models.registry import KINDS
from storage import layout
from tasks import racing
from tasks.racing import Budget


def test_a_training_tries_what_is_asked_for_and_says_so_everywhere(trained, sample_flags):
    workplace, before = trained
    asked = ["--model", "item-knn,als-implicit", "--search-tries", "2", "--search-seed", "5"]
    record = workplace.result("train", *sample_flags, *asked)
    assert {row["model"] for row in before["metrics"]} - {row["model"] for row in record["metrics"]} == {
        "als-explicit",
        "item-graph",
    }
    [search] = [one for one in workplace.manifests() if one.kind == layout.SEARCHES]
    assert (search.parameters["search_seed"], search.parameters["drawn"]) == (5, {"item-knn": ["knn_shrinkage"]})
    tried = json.loads((workplace.folder / "store" / search.name / layout.SEARCH).read_text())["tried"]
    assert [one["model"] for one in tried] == ["item-knn", "item-knn"]
    shrinkages = {one["parameters"]["knn_shrinkage"] for one in tried} | {10.0}
    assert len(shrinkages) == 3

    client = MlflowClient(tracking_uri=workplace.tracking_uri)
    parent = client.get_run(record["ids"]["mlflow_run"])
    nested = client.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}' and params.model = 'item-knn'"
    )
    assert {float(run.data.params["knn_shrinkage"]) for run in nested} == shrinkages
    page = (workplace.folder / "store" / "reports" / record["ids"]["report"] / layout.REPORT).read_text()
    assert "the search tried others of 1 kind." in page
    tests = {run.data.params["knn_shrinkage"] for run in nested if "test/ndcg_10" in run.data.metrics}
    assert len(tests) == 1  # of a baseline, the best on validation alone is put to the test


def test_without_settings_a_training_tries_and_draws_what_is_worth_it(trained, sample_flags):
    workplace, _ = trained
    unset = dict.fromkeys(("SEARCH_KINDS", "SEARCH_TRIES"), "")
    workplace = replace(workplace, variables={**workplace.variables, **unset})
    before = {one.name for one in workplace.manifests()}
    record = workplace.result("train", *sample_flags)
    tried = {row["model"] for row in record["metrics"] if row["split"] == "validation"}
    assert tried >= {kind.name for kind in KINDS.values() if kind.is_automatic and kind.ranges}
    assert not tried & {kind.name for kind in KINDS.values() if not (kind.is_automatic or kind.is_baseline)}
    [search] = [one for one in workplace.manifests() if one.kind == layout.SEARCHES and one.name not in before]
    assert search.counts["n_drawn"] >= round(record["counts"]["split"]["train_n_rows"] / 10_000) > 0


def test_the_search_draws_for_as_long_as_the_budget_lasts(monkeypatch: pytest.MonkeyPatch):
    budget = Budget(minutes=0.5, began=100.0)
    for now, is_early in ((100.0, True), (129.9, True), (130.0, False)):
        monkeypatch.setattr(racing, "time", SimpleNamespace(monotonic=lambda now=now: now))
        assert budget.allows(1000, 1000.0) is is_early
