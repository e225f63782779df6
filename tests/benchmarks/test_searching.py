"""``benchmarks.quality --search``: what a training's search chooses on a split, beside the best kind of model."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.competing import choose_candidates, read_settings
from benchmarks.interaction_files import read_numbered
from benchmarks.measuring import Spread
from benchmarks.searching import Searched, say_searched
from benchmarks.trials import Trial
from models.registry import Candidate
from schema.errors import InvalidInput, InvalidSettings

ROOT = Path(__file__).parents[2]
SEARCH = ["--search", "--models", "popularity,graph", "--set", "search_tries=2"]


def write_blocks(path: Path) -> None:
    """Write lists of 40 users in two groups, each user with 12 of the 15 items of the group."""
    draw = np.random.default_rng(5)
    lists = [(draw.permutation(15)[:12] + 15 * (user % 2)).tolist() for user in range(40)]
    path.write_text("".join(f"{user} {' '.join(map(str, items))}\n" for user, items in enumerate(lists)))


def trial_of(model: str, values: list[float]) -> Trial:
    mean = float(np.mean(values))
    return Trial(
        Candidate(model=model, parameters={}),
        3,
        {"ndcg_10": Spread(mean, mean, mean), "search_seconds": Spread(1, 1, 1)},
        np.array(values),
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([0.2, 0.3, 0.2, 0.1], r"-0\.2000 \(-0\.\d+ to -0\.\d+\) .*: no"),
        ([0.4, 0.5, 0.4, 0.3], r"\+0\.0000 \(-0\.\d+ to \+0\.\d+\) .*: yes"),
        ([0.9, 0.9, 0.9, 0.7], r"\+0\.4500 \(\+0\.\d+ to \+0\.\d+\) .*: yes"),
    ],
)
def test_a_choice_is_compared_with_the_kind_that_is_best_on_test(found, said):
    by_model = {"a": [0.1, 0.2, 0.1, 0.0], "b": [0.4, 0.5, 0.4, 0.3], "c": [0.0] * 4}
    singles = [trial_of(model, values * 100) for model, values in by_model.items()]
    sentence = say_searched(Searched(trial_of("auto", found * 100), {}, 2), singles)
    assert re.search(rf"{said}$", sentence)
    assert "beside the best kind on test, b; within the interval of the best: " in sentence


def test_settings_of_a_search_are_known_where_there_is_one(tmp_path):
    write_blocks(tmp_path / "lists.txt")
    data = read_numbered(tmp_path / "lists.txt", None, 1, tmp_path / "read")
    given = {"search_tries": "3", "graph_neighbours": "7"}
    settings = read_settings(given, ["graph", "als"], is_searched=True)
    assert (settings.search.search_kinds, settings.search.search_tries) == ("graph,als", 3)
    [[graph], *_] = choose_candidates(data, settings.models, ["graph", "als"], is_searched=True)
    assert graph.parameters["neighbours"] == 7
    with pytest.raises(InvalidInput, match="search_tries"):
        read_settings(given, None, is_searched=False)
    with pytest.raises(InvalidInput, match="search_kinds"):
        read_settings({"search_kinds": "als"}, None, is_searched=True)
    with pytest.raises(InvalidSettings, match="search-tries"):
        read_settings({"search_tries": "-1"}, None, is_searched=True)
    kinds = [choose_candidates(data, settings.models, None, is_searched=yes) for yes in (False, True)]
    assert {one[0].model for one in kinds[1]} - {one[0].model for one in kinds[0]} == {"als-implicit"}


def test_search_adds_a_row_of_what_a_training_would_choose(tmp_path):
    write_blocks(tmp_path / "lists.txt")
    (tmp_path / "temporary").mkdir()
    flags = ["--seeds", "1", *SEARCH, "--json", tmp_path / "rows.json"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.quality", tmp_path / "lists.txt", *flags],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "; within the interval of the best: " in done.stdout
    rows = json.loads((tmp_path / "rows.json").read_text("utf-8"))["rows"]
    peaks = [row["model"] for row in rows if row["metric"] == "peak_megabytes"]
    assert peaks == ["popularity", "item-graph"]  # that of a search would be of what it chose alone
    parameters = {row["model"]: row["parameters"] for row in rows}
    assert [*parameters] == ["popularity", "item-graph", "popularity,graph"]
    found = parameters["popularity,graph"]
    assert found["chosen"]["model"] in ("popularity", "item-graph")
    assert found["n_candidates"] == 3 + 1 + 2  # baselines, the graph and what is drawn
    assert [parameters[name]["n_candidates"] for name in ("popularity", "item-graph")] == [1, 1 + 2]
    costs = {row["model"]: row["value"] for row in rows if row["metric"] == "search_seconds"}
    assert [*costs] == ["popularity,graph"]
    assert list((tmp_path / "temporary").glob("quality-*")) == []
