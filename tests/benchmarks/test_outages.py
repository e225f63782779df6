"""``benchmarks.outages``: a wrong end, a loss or a stuck run is shown, and fails."""

import inspect
import json
from dataclasses import replace

import pytest

from benchmarks import outages
from benchmarks.outages import COMMANDS, judge, main
from benchmarks.reader import compare
from benchmarks.scenarios import NOT_TRIED, SCENARIOS, STUCK, Outcome
from benchmarks.trainings import PARAMETERS, Ending
from flows.settings import Settings, nest
from flows.train import train

RIGHT = Outcome(SCENARIOS["minio"], "Completed", 40.0, "", "Completed")
CRASHED = replace(RIGHT, scenario=SCENARIOS["run"], state="Crashed")
COMMAND = replace(RIGHT, scenario=SCENARIOS["disk-full"], state="exit code 1", rerun="exit code 0")


@pytest.mark.parametrize("outcome", [RIGHT, CRASHED, COMMAND])
def test_right_outcomes_pass(outcome):
    assert judge([outcome, RIGHT]) == 0


@pytest.mark.parametrize(
    ("outcome", "is_stuck"),
    [
        (replace(RIGHT, state="Failed"), False),
        (replace(RIGHT, state=STUCK, seconds=None), True),
        (replace(CRASHED, rerun=STUCK), True),
        (replace(CRASHED, rerun="Failed"), False),
        (replace(RIGHT, lost=("models/1/manifest.json is missing",)), False),
        (replace(RIGHT, state=NOT_TRIED, rerun=NOT_TRIED), False),
    ],
)
def test_any_other_outcome_fails_among_right_ones(outcome, is_stuck):
    assert judge([RIGHT, outcome]) == 1
    assert outcome.is_stuck == is_stuck
    assert outcome.to_row("")["value"] == 0


def test_nothing_tried_is_nothing_shown():
    assert judge([]) == 1


def test_what_a_store_lost_or_has_other_or_more_is_named():
    expected = {"models/1/manifest.json": "a", "models/1/x.npy": "b"}
    assert compare(expected, expected) == ()
    assert compare({**expected, "models/1/.part": "c"}, expected) == ()
    assert compare({"models/1/x.npy": "b"}, expected) == ("models/1/manifest.json is missing",)
    assert compare({**expected, "models/1/x.npy": "c"}, expected) == ("models/1/x.npy differs",)
    assert compare({**expected, "models/2/manifest.json": "c"}, expected) == (
        "models/2/manifest.json is an artifact of its own",
    )


def test_outcomes_are_shown_and_written(tmp_path, monkeypatch, capsys):
    wrong = replace(CRASHED, rerun=STUCK, lost=("fits/1/manifest.json is missing",))
    monkeypatch.setattr(
        outages, "_try_all", lambda only, _: [one for one in (RIGHT, wrong) if one.scenario.name in only]
    )
    path = tmp_path / "out.json"
    assert main(["--json", str(path)]) == 1
    rows = json.loads(path.read_text())["rows"]
    assert [(row["model"], row["metric"], row["value"]) for row in rows] == [
        ("minio", "is_right", 1),
        ("run", "is_right", 0),
    ]
    assert rows[1]["parameters"]["lost"] == ["fits/1/manifest.json is missing"]
    shown = capsys.readouterr().out
    assert "WRONG" in shown
    assert "run: fits/1/manifest.json is missing" in shown
    assert main(["--only", "minio"]) == 0


def test_unknown_outage_is_refused_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--only", "flood"])
    assert ended.value.code == 2
    assert "no outage 'flood'; there are dask-worker" in capsys.readouterr().err


def test_every_outage_can_be_done_and_parameters_are_those_of_the_flow():
    assert {name for name, one in SCENARIOS.items() if one.damage} | COMMANDS.keys() == SCENARIOS.keys()
    assert {name for name, one in SCENARIOS.items() if not one.step} == COMMANDS.keys()
    parameters = nest(Settings, {**PARAMETERS, "input_reviews": "a", "input_products": "b"})
    assert parameters.keys() <= inspect.signature(train.fn).parameters.keys()
    assert Settings(**parameters).split.split == "random"


@pytest.mark.parametrize(
    ("log", "error"),
    [
        ("12:00:00.000 | ERROR   | No space left\nMake room\n", "No space left Make room"),
        ("12:00:00.000 | INFO    | a\n12:00:01.000 | ERROR   | b\n12:00:02.000 | ERROR   | run c - d", "run c - d"),
        ("Traceback\nValueError: no", "ValueError: no"),
    ],
)
def test_last_error_of_a_log_is_found(log, error):
    assert Ending(1, 2.0, log.splitlines()).last_error == error
