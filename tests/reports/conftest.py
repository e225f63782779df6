import pytest
from sample_report import make_full_report, make_report

from reports.report import render_report
from reports.report_input import ReportInput


@pytest.fixture
def full_input() -> ReportInput:
    return make_full_report()


@pytest.fixture
def report_input() -> ReportInput:
    return make_report()


@pytest.fixture(scope="session")
def html() -> str:
    """The page of a training without evidence."""
    return render_report(make_report())


@pytest.fixture(scope="session")
def full_html() -> str:
    """The page with all the evidence."""
    return render_report(make_full_report())
