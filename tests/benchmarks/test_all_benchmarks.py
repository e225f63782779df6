"""``benchmarks.all``: what is kept, and what a check tells."""

import json

import pytest

from benchmarks import all as every
from benchmarks import whole_job


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(every, "PAGE", tmp_path / "benchmarks.md")
    monkeypatch.setattr(every, "KEPT", tmp_path / "benchmarks.json")
    return tmp_path


def measure(monkeypatch, ratio):
    row = {"model": "spark", "split": "implicit", "metric": "ratio_to_local", "k": None, "value": ratio}
    monkeypatch.setattr(every, "_measure", lambda *_: ("Spark took longer\n", [row, row | {"model": "local"}]))


def test_what_was_printed_is_a_page_and_ratios_are_kept(kept, monkeypatch):
    measure(monkeypatch, 8.0)
    assert every.main(["--only", "als"]) == 0
    assert "## python -m benchmarks.als\n\n```\nSpark took longer\n```" in (kept / "benchmarks.md").read_text()
    assert set(json.loads((kept / "benchmarks.json").read_bytes()).values()) == {8.0}
    page = (kept / "benchmarks.md").read_text()
    every.main(["--only", "als"])
    assert (kept / "benchmarks.md").read_text() == page
    every.main(["--only", "evaluation"])
    assert (kept / "benchmarks.md").read_text().startswith(page)


@pytest.mark.parametrize(("ratio", "code"), [(9.0, 0), (6.5, 0), (6.3, 1)])
def test_a_check_fails_where_a_ratio_got_worse_by_more_than_a_quarter(kept, monkeypatch, capsys, ratio, code):
    measure(monkeypatch, 8.0)
    every.main(["--only", "als"])
    page = (kept / "benchmarks.md").read_bytes()
    measure(monkeypatch, ratio)
    assert every.main(["--only", "als", "--check"]) == code
    assert ("6.30 where 8.00 is kept" in capsys.readouterr().out) == bool(code)
    assert (kept / "benchmarks.md").read_bytes() == page


def test_unknown_benchmarks_are_refused(capsys):
    assert every.main(["--only", "awk"]) == 2
    assert "awk" in capsys.readouterr().err


@pytest.mark.parametrize(("usual", "n_met"), [((60.0, 400.0), 2), ((59.0, 400.0), 1), ((60.0, 399.0), 1)])
def test_the_whole_job_is_judged_by_its_dataset_and_its_end(usual, n_met):
    figures = whole_job.summarise({"usual": [usual], "train": [(10.0, 100.0)], "local": [(10.0, 50.0)]})
    sentences = list(whole_job.verdicts(figures))
    assert (len(sentences), sum(one.endswith(": met") for one in sentences)) == (3, n_met)
    assert sentences[2] == f"job: usual takes {usual[1] / 50:.1f} x the time of one without a fit by Spark"
