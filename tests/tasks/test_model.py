"""What a training and an evaluation publish, and the report, which is an artifact of its own."""

from typing import Any, NoReturn

import pytest

from reports.report import render_report
from storage import layout
from storage.code_version import reached_symbols
from storage.manifest import Manifest
from tasks import model, report
from tasks.report import TEMPLATES, publish_training_report


def test_what_makes_a_model_or_an_evaluation_knows_nothing_of_reports():
    modules = {str(getattr(one, "__module__", "")) for one in vars(model).values()}
    assert "tasks.model" in modules
    assert sorted(name for name in modules if name.startswith("reports")) == []


def test_report_is_an_artifact_of_its_own_whose_id_follows_what_renders_it(monkeypatch):
    asked: dict[str, Any] = {}

    def publish(_: object, kind: str, **told: Any) -> NoReturn:
        asked.update(told, kind=kind)
        raise InterruptedError

    monkeypatch.setattr(report, "publish_once", publish)
    unused: Any = None
    evaluation = model.Evaluation(unused, unused, ())
    with pytest.raises(InterruptedError):
        report.publish_evaluation_report.fn(unused, evaluation, Manifest("evaluations", "1f3a", {}, {}, "", (), {}))
    assert (asked["kind"], asked["inputs"]) == (layout.REPORTS, {"evaluation": "1f3a"})
    assert render_report in asked["uses"]
    assert asked["files"] == TEMPLATES


def test_what_the_report_shows_decides_its_id():
    reached = {module for module, _ in reached_symbols([publish_training_report.fn, render_report])}
    assert {"reports.report_input", "reports.data_summary", "tasks.evidence", "evaluation.checks"} <= reached
