"""``benchmarks.faults``: figures and lines of rounds made up by hand."""

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.faults import describe_round, kill_rounds, stage_of, summarise
from benchmarks.kills import Round
from benchmarks.trainings import Ending, Place

KILL = Ending(-9, 3.5, ["INFO | start", "Task run 'build dataset-01c' - k-core pass 1"])


def figures(done: list[Round]) -> dict[str, float]:
    return {metric: spread.value for metric, spread in summarise("local", done).values.items()}


def test_kills_of_a_round_that_did_not_recover_do_not_count_as_recovered():
    good = Round("a", kills=[KILL, KILL], seconds_to_recover=10)
    bad = Round("b", kills=[KILL], problems=["x differs"], violations=["half a model"], seconds_to_recover=30)
    counted = figures([good, bad])
    assert (counted["kills"], counted["recovered"], counted["violations"]) == (3, 2, 1)
    assert counted["seconds_to_recover"] == 20


def test_kills_of_a_server_are_counted_apart():
    counted = figures([Round("a", server_kills=1, reruns=["| ERROR | away"]), Round("b", server_kills=0)])
    assert (counted["kills"], counted["server_kills"], counted["server_recovered"], counted["reruns"]) == (0, 1, 1, 1)


def test_line_of_a_round_names_what_went_wrong():
    line = describe_round(Round("a", kills=[KILL], problems=["models/1 is missing"], violations=["half a model"]))
    assert "NOT RECOVERED: models/1 is missing" in line
    assert "READER SAW: half a model" in line
    assert "1 kills, recovered in 0 s" in describe_round(Round("a", kills=[KILL]))


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("Task run 'fetch raw file-ad4' - x.json.gz kept as raw/61", "ingest"),
        ("Task run 'fit bias on train' - fits/1f published", "fit"),
        ("Flow run 'train on sample-reviews.json.gz' - Report: file:///x", "track"),
        ("Task run 'check tracking-1a2' - MLflow: sqlite:///x", "track"),
        ("Task run 'publish report of models/6f-1a2' - reports/9e published", "publish"),
        ("INFO mlflow.store.db.utils: Updating database tables", "track"),
        ("", "start"),
    ],
)
def test_line_of_the_log_tells_the_stage(line, stage):
    assert stage_of(line) == stage


def draw_moments(
    monkeypatch: pytest.MonkeyPatch, seed: int, done: Round, kills: int = 7
) -> tuple[list[list[float]], list[Round]]:
    """Return the moments drawn for each round, and the rounds, where every round ends in the same way."""
    drawn: list[list[float]] = []

    def kill_in_round(_: Place, __: str, ___: object, moments: list[float]) -> Round:
        drawn.append(moments)
        return done

    monkeypatch.setattr("benchmarks.kills.kill_in_round", kill_in_round)
    chosen = Namespace(kills=kills, kills_per_round=3, server_kills=0, seed=seed)
    return drawn, list(kill_rounds(chosen, Place("local", "store", {}, Path()), {}, 20.0))


def test_moments_are_the_same_for_the_same_seed_and_lie_in_the_training(monkeypatch):
    drawn, rounds = draw_moments(monkeypatch, 7, Round("a", kills=[KILL, KILL, KILL]))
    again, _ = draw_moments(monkeypatch, 7, Round("a", kills=[KILL, KILL, KILL]))
    other, _ = draw_moments(monkeypatch, 8, Round("a", kills=[KILL, KILL, KILL]))
    assert ([len(moments) for moments in drawn], len(rounds)) == ([3, 3, 1], 3)
    assert drawn == again != other
    assert all(0 <= moment <= 20 for moments in (*drawn, *other) for moment in moments)


def test_trainings_that_fail_by_themselves_are_not_killed_for_ever(monkeypatch):
    _, rounds = draw_moments(monkeypatch, 7, Round("a", problems=["the training ended with code 1"]))
    assert len(rounds) == 1


def test_figures_have_the_moment_and_the_stage_of_each_kill():
    about = summarise("local", [Round("a", kills=[KILL])]).parameters
    assert about == {"kill_seconds_and_stage": [[3.5, "dataset"]]}


@pytest.mark.parametrize(
    ("ending", "was_killed", "last_error"),
    [
        (KILL, True, KILL.log[1]),
        (Ending(1, 9.0, ["a | ERROR | b", "c"]), False, "b c"),
        (Ending(0, 9.0), False, ""),
    ],
)
def test_ending_tells_a_kill_from_an_error(ending, was_killed, last_error):
    assert (ending.was_killed, ending.last_error) == (was_killed, last_error)
