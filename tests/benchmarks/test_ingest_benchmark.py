"""``benchmarks.ingest``: the same rows for all, and aims that are judged."""

import json

import pytest

from benchmarks import ingest
from benchmarks.ingest import summarise, verdicts
from benchmarks.measuring import MEGABYTE, Measurement
from benchmarks.review_file import cached_reviews, write_reviews
from benchmarks.synthetic import Size

SMALL = Size(users=300, items=200, interactions=3000)


def test_the_input_is_the_same_again_and_kept(tmp_path):
    write_reviews(tmp_path / "own", SMALL, seed=3)
    kept = cached_reviews(SMALL, 3, tmp_path)
    assert kept.read_bytes() == (tmp_path / "own").read_bytes()
    kept.write_bytes(b"kept")
    assert cached_reviews(SMALL, 3, tmp_path).read_bytes() == b"kept"


def test_all_readers_find_all_rows_of_a_repeated_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.ingest.cached_reviews", lambda *_: cached_reviews(SMALL, 1, tmp_path))
    flags = ["--only", "gunzip,reading,pyarrow,polars,duckdb", "--times", "2", "--rows", "3000"]
    assert ingest.main([*flags, "--json", str(tmp_path / "rows.json")]) == 0
    rows = json.loads((tmp_path / "rows.json").read_bytes())["rows"]
    assert [row["value"] for row in rows if row["metric"] == "rows"] == [6000] * 5
    assert "x gunzip" in capsys.readouterr().out


def test_unknown_contestants_are_refused(capsys):
    assert ingest.main(["--only", "gunzip,awk"]) == 2
    assert "awk" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "megabytes", "n_met"), [(6.0, 699, 2), (6.1, 699, 1), (6.0, 700, 1)])
def test_time_and_memory_of_the_ingest_are_judged(seconds, megabytes, n_met):
    answer = {"rows": 9, "ingest_seconds": seconds}
    runs = {
        "gunzip": [Measurement(2.0, 2.0, 0, MEGABYTE, 9)],
        "ingest": [Measurement(seconds + 3, 1.0, 0, megabytes * MEGABYTE, answer)],
    }
    sentences = list(verdicts(summarise(runs)))
    assert (len(sentences), sum(one.endswith(": met") for one in sentences)) == (2, n_met)
