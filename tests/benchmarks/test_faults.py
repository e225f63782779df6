"""What the benchmark of faults counts and tells, on rounds made up by hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.crashes.rounds import Kill, Moments, Round
from benchmarks.crashes.stages import stage_of
from benchmarks.faults import _rows, _told
from benchmarks.rows import FIELDS, write_rows

ROOT = Path(__file__).parents[2]
KILL = Kill(3.5, "Task run 'build dataset-01c' - k-core pass 1", [])


def figures(done: list[Round]) -> dict[str, float]:
    return {str(row["metric"]): float(str(row["value"])) for row in _rows("local", done)}


def test_kills_of_a_round_that_did_not_recover_do_not_count_as_recovered() -> None:
    good = Round("a", kills=[KILL, KILL], seconds_to_recover=10)
    bad = Round("b", kills=[KILL], problems=["x differs"], violations=["half a model"], seconds_to_recover=30)
    counted = figures([good, bad])
    assert (counted["kills"], counted["recovered"], counted["violations"]) == (3, 2, 1)
    assert counted["seconds_to_recover"] == 20


def test_kills_of_a_server_are_counted_apart() -> None:
    counted = figures([Round("a", server_kills=1, reruns=["| ERROR | away"]), Round("b", server_kills=0)])
    assert (counted["kills"], counted["server_kills"], counted["server_recovered"], counted["reruns"]) == (0, 1, 1, 1)


def test_what_went_wrong_is_told_in_the_line_of_the_round() -> None:
    told = _told(Round("a", kills=[KILL], problems=["models/1 is missing"], violations=["half a model"]))
    assert "NOT RECOVERED: models/1 is missing" in told
    assert "READER SAW: half a model" in told
    assert "1 kills, recovered in 0 s" in _told(Round("a", kills=[KILL]))


def test_moments_are_the_same_for_the_same_seed_and_lie_in_the_training() -> None:
    moments = [Moments(7, 20.0).moment() for _ in range(2)]
    assert moments[0] == moments[1]
    assert all(0 <= Moments(seed, 20.0).moment() <= 20 for seed in range(50))


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("Task run 'fetch raw file-ad4' - x.json.gz kept as raw/61", "ingest"),
        ("Task run 'fit bias on train' - fits/1f published", "fit"),
        ("Flow run 'train on sample-reviews.json.gz' - Report: file:///x", "track"),
        ("INFO mlflow.store.db.utils: Updating database tables", "track"),
        ("", "start"),
    ],
)
def test_line_of_the_log_tells_the_stage(line: str, stage: str) -> None:
    assert stage_of(line) == stage


def test_rows_are_written_in_the_form_of_metrics(tmp_path: Path) -> None:
    write_rows(tmp_path / "out" / "rows.json", _rows("local", [Round("a", kills=[KILL])]))
    rows = json.loads((tmp_path / "out" / "rows.json").read_text())["rows"]
    assert all(tuple(row) == FIELDS for row in rows)
    assert rows[0]["parameters"]["kill_seconds_and_stage"] == [[3.5, "dataset"]]


def test_help_tells_the_flags() -> None:
    command = [sys.executable, "-m", "benchmarks.faults", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(flag in done.stdout for flag in ("--kills", "--store", "--seed", "--json"))
