"""Lines of the log: one form for all who speak, and what tells them apart."""

import json
import logging
import sys
import time
from datetime import UTC, datetime

import pytest
from loguru import logger

from flows.log_lines import RUN, LineFormatter, source_of, start_log
from flows.run_options import RunOptions

NOON = datetime(2026, 1, 1, 12, 0, 0, 5000, UTC)
KEYS = {"time", "level", "source", "message", "flow_run", "flow_run_id", "task_run", "exception"}


def test_json_line_has_every_key_and_stays_one_line():
    error = KeyError("lost")
    said = {
        "name": "py.warnings",
        "msg": "two\nlines “quoted”",
        "created": NOON.timestamp(),
        "exc_info": (KeyError, error, None),
    }
    written = LineFormatter("json").format(logging.makeLogRecord(said))
    assert "\n" not in written
    found = json.loads(written)
    assert set(found) == KEYS
    assert (found["time"], found["message"]) == ("2026-01-01T12:00:00.005Z", "two\nlines “quoted”")


@pytest.mark.parametrize(
    ("source", "run", "expected"),
    [
        ("tasks.fit", (None, None, None), "INFO    | said"),
        ("tasks.fit", ("train on x", "b7d91a0e-8ff3", None), "INFO    | b7d91a0e Flow run 'train on x' - said"),
        ("tasks.fit", ("train on x", "b7d91a0e-8ff3", "fit"), "INFO    | b7d91a0e Task run 'fit' - said"),
        ("prefect", ("train on x", "b7d91a0e-8ff3", "fit"), "INFO    | b7d91a0e Task run 'fit' - said"),
        ("spark", ("train on x", "b7d91a0e-8ff3", "fit"), "INFO    | b7d91a0e Task run 'fit' - spark: said"),
        ("dask", (None, None, None), "INFO    | dask: said"),
    ],
)
def test_text_line_names_the_run_and_only_strangers(source, run, expected):
    said = {"msg": "said", "levelname": "INFO", "source": source, **dict(zip(RUN, run, strict=True))}
    assert LineFormatter("text").format(logging.makeLogRecord(said)).split(" | ", 1)[1] == expected


@pytest.mark.parametrize(
    ("name", "source"),
    [("prefect.flow_runs", "prefect"), ("distributed.nanny", "dask"), ("py.warnings", "py.warnings")],
)
def test_library_speaks_under_its_own_name(name, source):
    assert source_of(logging.makeLogRecord({"name": name})) == source


def test_record_of_a_run_keeps_its_run_and_its_traceback():
    with pytest.raises(KeyError) as caught:
        {}["lost"]
    record = logging.makeLogRecord(
        {
            "name": "prefect.task_runs",
            "msg": "failed",
            "exc_info": (caught.type, caught.value, caught.tb),
            "flow_run_name": "train on x",
            "flow_run_id": "b7d91a0e",
            "task_run_name": "fit",
            "created": time.time(),
        }
    )
    found = json.loads(LineFormatter("json").format(record))
    assert (found["flow_run"], found["flow_run_id"], found["task_run"]) == ("train on x", "b7d91a0e", "fit")
    assert found["exception"].endswith("KeyError: 'lost'")


def test_lines_before_a_run_have_the_same_form(capsys, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    start_log(RunOptions(log_level="INFO", log_format="json"))
    logger.debug("not shown")
    logger.warning("shown {}", "here")
    sys.excepthook(KeyError, KeyError("lost"), None)
    shown, uncaught = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert set(shown) == set(uncaught) == KEYS
    assert (shown["level"], shown["source"], shown["message"]) == ("WARNING", __name__, "shown here")
    assert (uncaught["level"], uncaught["message"]) == ("CRITICAL", "KeyError: 'lost'")
