import pytest

from reports.report import render_report
from storage.code_version import reached_symbols
from tasks.model import write_evaluation, write_model
from tasks.report import publish_training_report


@pytest.mark.parametrize("write", [write_model, write_evaluation])
def test_nothing_that_only_shows_decides_the_id_of_a_model_or_an_evaluation(write):
    assert callable(write)
    assert sorted(module for module, _ in reached_symbols([write]) if module.startswith("reports")) == []


def test_what_the_report_shows_decides_its_id():
    reached = {module for module, _ in reached_symbols([publish_training_report.fn, render_report])}
    assert {"reports.report_input", "reports.data_summary", "tasks.evidence", "evaluation.checks"} <= reached
