"""``benchmarks.exploration``: the same file for all, the same Gini found, and aims that are judged by rows."""

import json

import pyarrow.parquet as pq
import pytest

from benchmarks import exploration
from benchmarks.exploration import summarise, verdicts
from benchmarks.explorers import open_exploration, open_pandas, write_reviews
from benchmarks.measuring import Measurement
from benchmarks.synthetic import Size

SMALL = Size(users=300, items=200, interactions=3000)


def test_reviews_are_those_of_the_size_ordered_by_item_and_the_same_again(tmp_path):
    write_reviews(tmp_path / "a", SMALL, seed=3)
    write_reviews(tmp_path / "b", SMALL, seed=3)
    rows = pq.read_table(tmp_path / "a/reviews.parquet").to_pandas()
    assert (len(rows), rows["user_id"].nunique(), rows["item_id"].nunique()) == (3000, 300, 200)
    assert rows["item_id"].is_monotonic_increasing
    assert rows["rating"].between(1, 5).all()
    assert (tmp_path / "a/reviews.parquet").read_bytes() == (tmp_path / "b/reviews.parquet").read_bytes()


def test_the_exploration_finds_what_pandas_finds_at_both_sizes(tmp_path, capsys):
    flags = ["--users", "2000", "--items", "300", "--interactions", "9000", "--scaling", "--without-pandas"]
    assert exploration.main([*flags, "--json", str(tmp_path / "rows.json")]) == 0
    rows = json.loads((tmp_path / "rows.json").read_bytes())["rows"]
    found = {row["parameters"]["rows"]: row["value"] for row in rows if row["metric"] == "gini"}
    for size in (Size(200, 30, 900), Size(2000, 300, 9000)):
        write_reviews(tmp_path / "input", size, seed=1)
        with open_pandas(str(tmp_path / "input")) as run:
            assert found.pop(size.interactions) == pytest.approx(run())
    assert found == {}
    assert "900 to 9,000 rows" in capsys.readouterr().out


def test_the_exploration_is_timed_up_to_its_page(tmp_path, monkeypatch):
    pages = []
    monkeypatch.setattr("reports.exploration.render_exploration", pages.append)
    write_reviews(tmp_path, Size(users=300, items=100, interactions=6000), seed=3)
    with open_exploration(str(tmp_path)) as run:
        run()
    [page] = pages
    assert page.found.summary.n_rows == 6000
    assert "Which metric" in [line.topic for line in page.advice]


@pytest.mark.parametrize(
    ("seconds", "megabytes", "n_met"), [(30.0, 1000, 2), (30.1, 1000, 1), (30.0, 1001, 1), (34.0, 900, 0)]
)
def test_time_memory_and_scaling_are_judged(seconds, megabytes, n_met):
    def measured(seconds: float) -> dict[str, list[Measurement]]:
        return {"exploration": [Measurement(seconds, seconds, 0, megabytes * 1_000_000, 0.5)]}

    figures = [*summarise(measured(3.0), 100_000), *summarise(measured(seconds), 1_000_000)]
    sentences = list(verdicts(figures))
    assert (len(sentences), sum(one.endswith(": met") for one in sentences)) == (2, n_met)


def test_more_rows_than_electronics_has_are_held_to_their_growth_alone():
    [figures] = summarise({"exploration": [Measurement(300.0, 300.0, 0, 9_000_000_000, 0.5)]}, 16_891_880)
    assert list(verdicts([figures])) == []
