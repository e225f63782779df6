"""What a command shows unless a level is given: steps, results and where they are. Prefect has all of the log."""

import logging
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
from workplace import Outcome, Workplace

from flows import log_stream
from flows.log_lines import LineFormatter
from flows.run_options import RunOptions

STEPS = ["Read and check reviews", "Dataset", "Split", "Tracking", "Fixed candidates", "Search", "Choice"]
LAST = ["Report", "Model", "Recommendations", "Store", "MLflow"]


def record_of(level: int, **about: object) -> logging.LogRecord:
    named = {"msg": "said", "levelno": level, "levelname": logging.getLevelName(level)}
    return logging.makeLogRecord(named | about)


@pytest.fixture(scope="module")
def short(trained: tuple[Workplace, dict[str, Any]], sample_flags: list[str]) -> Outcome:
    """What the training that has run says, run with another number of recommendations and no level."""
    workplace, _ = trained
    terse = replace(workplace, variables={**workplace.variables, "LOG_LEVEL": ""})
    outcome = terse.run_apart("train", *sample_flags, "--top-n", "7")
    assert outcome.code == 0, outcome.stderr
    return outcome


def test_a_training_says_its_steps_in_order_and_in_the_end_where_everything_is(short):
    said = [line.split(" | ", 1)[1] for line in short.stderr.splitlines() if " | " in line]
    steps = [line.removesuffix(" …") for line in said if line.endswith(" …")]
    assert steps[: len(STEPS)] == STEPS
    assert [line.split(":")[0] for line in said[-len(LAST) :]] == LAST


def test_lines_name_no_run_and_no_artifact_and_have_no_control_characters(short):
    assert re.findall(r"Task run|published|nothing to do|INFO", short.stderr) == []
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f]", short.stderr) == []
    assert len(short.stderr.splitlines()) < 110  # of which about 50 are the tables of the file and of the result


def test_the_page_of_the_run_is_named_where_it_outlives_the_run(short, prefect_api):
    assert re.findall(r"/runs/flow-run/[0-9a-f-]{36}$", short.stderr, re.MULTILINE) != []


def test_prefect_has_the_lines_that_were_not_shown(short, prefect_api):
    [run] = re.findall(r"/runs/flow-run/([0-9a-f-]{36})$", short.stderr, re.MULTILINE)
    asked = {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200}
    lines = httpx.post(f"{prefect_api}/logs/filter", json=asked).json()
    assert any(line["message"].endswith(" is already there: nothing to do") for line in lines)


@pytest.mark.parametrize(
    ("options", "is_short"),
    [
        ({}, True),
        ({"log_level": "INFO"}, False),
        ({"log_level": "WARNING"}, False),
        ({"log_format": "json"}, False),
    ],
)
def test_a_level_or_json_shows_the_whole_log(options, is_short):
    assert RunOptions(**options).is_short == is_short
    assert RunOptions(**options).level == options.get("log_level", "INFO")


@pytest.mark.parametrize(
    ("level", "marked", "shown"), [(20, {}, False), (20, {"in_short": True}, True), (30, {}, True), (40, {}, True)]
)
def test_warnings_and_what_is_marked_are_shown_in_short(level, marked, shown):
    assert LineFormatter("text", is_short=True).shows(record_of(level, **marked)) == shown
    assert LineFormatter("text").shows(record_of(level, **marked))


@pytest.mark.parametrize(("level", "expected"), [(20, "said"), (30, "WARNING | said")])
def test_the_level_of_a_line_is_named_where_it_is_a_warning(level, expected):
    record = record_of(level, flow_run_id="b7d91a0e-8ff3", task_run_name="fit", source="tasks.fit")
    time, text = LineFormatter("text", is_short=True).format(record).split(" | ", 1)
    assert (len(time), text) == (len("12:00:00"), expected)


def test_an_error_that_ends_a_run_is_said_once(new_workplace, sample_flags):
    workplace = new_workplace()
    terse = replace(workplace, variables={**workplace.variables, "LOG_LEVEL": ""})
    outcome = terse.run_apart("train", *sample_flags, "--mlflow-tracking-uri", "http://127.0.0.1:9")
    assert outcome.code == 1
    [retry, error] = [line.split(" | ", 1)[1] for line in outcome.stderr.splitlines() if "MLflow" in line]
    assert " - Retry 1/1 " in retry
    assert error.startswith("ERROR   | MLflow does not answer")
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Task run failed with exception: OSError() - Retry 1/4 will start 1.0 second(s) from now", True),
        ("Finished in state Completed()", False),
        ("Created task run", False),
    ],
)
def test_retries_of_tasks_are_shown_and_no_other_line_of_prefect_that_is_no_warning(said, shown):
    record = record_of(20, name="prefect.task_runs", msg=said)
    assert (log_stream._is_needed(record) and LineFormatter("text", is_short=True).shows(record)) == shown
