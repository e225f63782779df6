import pytest
from sample_report import make_full_report, make_report

from reports.report_input import ReportInput


@pytest.fixture
def full_input() -> ReportInput:
    return make_full_report()


@pytest.fixture
def report_input() -> ReportInput:
    return make_report()
