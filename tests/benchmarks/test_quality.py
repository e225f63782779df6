"""``benchmarks.quality``: what it reads, which split, fit and candidate it measures, and what it prints."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import quality
from benchmarks.harness import FIELDS, describe_machine
from benchmarks.interaction_files import Numbered, number_rows, read_numbered
from benchmarks.measuring import Spread
from benchmarks.published import BY_SIZE
from benchmarks.trials import Bench, Trial, open_bench
from models.registry import Candidate
from schema.errors import InvalidInput
from tasks.store import read_parts

ROOT = Path(__file__).parents[2]
N_USERS, N_ITEMS = 40, 30
KNN = Candidate(model="item-knn", parameters={"knn_neighbours": 20, "knn_shrinkage": 0})
CHANCE = Candidate(model="random", parameters={"seed": 1})
COSTS = ("fit_seconds", "rank_seconds", "peak_megabytes")
PUBLISHED = next(iter(BY_SIZE.values()))
POPULARITY = Candidate(model="popularity", parameters={})


def block_lists() -> list[list[int]]:
    """Two groups of users, each user with 12 of the 15 items of the group."""
    draw = np.random.default_rng(5)
    return [sorted((draw.permutation(15)[:12] + 15 * (user % 2)).tolist()) for user in range(N_USERS)]


def as_lines(lists: list[list[int]]) -> str:
    return "".join(f"{user} {' '.join(map(str, items))}\n" for user, items in enumerate(lists))


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Numbered:
    folder = tmp_path_factory.mktemp("lists")
    (folder / "lists.txt").write_text(as_lines(block_lists()))
    return read_numbered(folder / "lists.txt", None, 1, folder / "read")


def ids_of(found: Numbered) -> list[tuple[Any, ...]]:
    rows = zip(*found.rows.to_pydict().values(), strict=True)
    return sorted((str(found.user_ids[user]), str(found.item_ids[item]), *rest) for user, item, *rest in rows)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"7 10 9\n\n8 9\n", [("7", "10", None, None), ("7", "9", None, None), ("8", "9", None, None)]),
        (b"7\t10\t9\n8\t9\n", [("7", "10", None, None), ("7", "9", None, None), ("8", "9", None, None)]),
        (b"user,item,rating,time\na,x,4,1500000000\n", [("a", "x", 4.0, 1_500_000_000)]),
        (
            b"196\t242\t3\t881250949\n186\t302\t2\t891717742\n",
            [("186", "302", 2.0, 891717742), ("196", "242", 3.0, 881250949)],
        ),
        (
            b'{"reviewerID": "u", "asin": "i", "overall": 5.0, "unixReviewTime": 1500000000}\n',
            [("u", "i", 5.0, 1_500_000_000)],
        ),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lists_and_everything_that_the_pipeline_ingests_are_read(tmp_path, content, expected, pack):
    (tmp_path / "file").write_bytes(pack(content))
    assert ids_of(read_numbered(tmp_path / "file", None, 1, tmp_path / "read")) == expected


def test_the_first_row_of_a_pair_counts_and_the_core_is_a_fixed_point():
    pairs = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "y"), ("c", "z"), ("a", "x")]
    columns = {"user_id": [user for user, _ in pairs], "item_id": [item for _, item in pairs]}
    rows = pa.table({**columns, "rating": np.arange(7.0), "timestamp": [8, 9, 9, 9, 9, 9, 9]})
    assert len(number_rows(rows).rows) == 6
    left = number_rows(rows, min_interactions=2)  # z has one user; without it, c has one item
    assert ids_of(left) == [("a", "x", 0.0, 8), ("a", "y", 1.0, 9), ("b", "x", 2.0, 9), ("b", "y", 3.0, 9)]
    with pytest.raises(InvalidInput, match="nothing is left of 7 rows"):
        number_rows(rows, min_interactions=3)


def test_models_are_fitted_to_the_training_part_alone_as_published_ones_are(numbered, tmp_path):
    bench = open_bench(numbered, "random-per-user", 0, tmp_path)
    train, test = (read_parts(bench.places, bench.split, (part,)) for part in ("train", "test"))
    seen, relevant = np.zeros((2, N_USERS, N_ITEMS), dtype=bool)
    for rows, table in ((train, seen), (test, relevant)):
        table[np.asarray(rows["user_idx"]), np.asarray(rows["item_idx"])] = True
    order = np.argsort(-np.where(seen, -1, seen.sum(axis=0)), axis=1, kind="stable")[:, :10]
    recall = np.take_along_axis(relevant, order, axis=1).sum(axis=1) / relevant.sum(axis=1)
    assert (len(train), len(test)) == (N_USERS * 10, N_USERS)
    assert bench.run([POPULARITY]).values["recall_10"].value == pytest.approx(recall.mean())


def test_the_held_out_item_is_ranked_among_sampled_ones_too(tmp_path, monkeypatch):
    pairs = [(user, item) for user in range(6) for item in (0, 1, 2, 3 + user)]  # each user's last item is its own
    users, items = np.array(pairs).T
    ids = {"user_id": users.astype(str), "item_id": items.astype(str)}
    rows = number_rows(pa.table({**ids, "rating": np.ones(24), "timestamp": items}))
    bench = open_bench(rows, "leave-last", 0, tmp_path)
    found = bench.run([POPULARITY], n_sampled=1).values
    before = np.arange(6)  # of the five own items of others, which nobody has in what is learnt: by index
    assert found["sampled_hit_rate_10"].value == 1
    assert found["sampled_ndcg_10"].value == pytest.approx(1 - (before / 5).mean() * (1 - 1 / np.log2(3)))
    monkeypatch.setattr(Bench, "_list", lambda _, __, held_out, k: np.full((len(held_out.users), k), -1))
    unlisted = bench.run([POPULARITY], n_sampled=5).values
    assert unlisted["sampled_ndcg_10"].value == pytest.approx(1 / np.log2(7))


def test_the_candidate_that_is_best_on_validation_is_measured(numbered, tmp_path):
    bench = open_bench(numbered, "random-per-user", 0, tmp_path)
    for candidates in ([CHANCE, KNN], [KNN, CHANCE]):
        found = bench.run(candidates)
        assert (found.candidate, found.n_candidates) == (KNN, 2)
        assert found.values == bench.run([KNN]).values | {name: found.values[name] for name in COSTS}
        assert found.values["ndcg_10"].value > bench.run([CHANCE]).values["ndcg_10"].value


def test_rolling_predicts_each_interaction_by_the_days_before_it(tmp_path):
    user, day = np.repeat(np.arange(10), 10), np.tile(np.arange(10), 10)
    item = np.where(day == 9, 999, 10 * user + day)  # on their last day all take the same one, half of them a day later
    ids = {"user_id": user.astype(str), "item_id": item.astype(str)}
    rows = number_rows(pa.table({**ids, "rating": np.ones(100), "timestamp": (day + (day == 9) * (user > 4)) * 86_400}))
    bench = open_bench(rows, "rolling", 0, tmp_path)
    assert len(read_parts(bench.places, bench.split, ("test",))) == 10
    assert bench.run([POPULARITY]).values["recall_10"].value == 0.5


def test_files_of_the_source_are_its_parts(tmp_path):
    lists = block_lists()
    for name, part in (("train", slice(2, None)), ("val", slice(0, 1)), ("test", slice(1, 2))):
        (tmp_path / f"{name}.txt").write_text(as_lines([items[part] for items in lists]))
    found = read_numbered(tmp_path, None, 1, tmp_path / "read")
    bench = open_bench(found, "files", 0, tmp_path / "bench")
    for part, place in (("validation", 0), ("test", 1)):
        rows = read_parts(bench.places, bench.split, (part,))
        named = {
            (found.user_ids[u], found.item_ids[i])
            for u, i in zip(rows["user_idx"].to_numpy(), rows["item_idx"].to_numpy(), strict=True)
        }
        assert named == {(str(user), str(items[place])) for user, items in enumerate(lists)}
    assert len(read_parts(bench.places, bench.split, ("train",))) == N_USERS * 10


def test_spread_is_over_the_splits_and_for_one_split_over_its_users():
    def trial(value: float, neighbours: int, n_candidates: int = 2) -> Trial:
        chosen = Candidate(model="item-knn", parameters={"knn_neighbours": neighbours})
        return Trial(chosen, n_candidates, {"ndcg_10": Spread(value, value - 0.5, value + 0.5)}, np.zeros(1))

    several = quality.summarise([trial(1.0, 5), trial(4.0, 9), trial(1.0, 5, 3)])
    assert several.values == {"ndcg_10": (2.0, 1.0, 4.0)}
    assert several.parameters["chosen"] == [{"knn_neighbours": n} for n in (5, 9, 5)]
    assert several.parameters["n_candidates"] == [2, 2, 3]
    assert quality.summarise([trial(1.0, 5)] * 2).parameters["n_candidates"] == 2
    alone = quality.summarise([trial(1.0, 5)])
    assert (alone.values, alone.parameters["chosen"]) == ({"ndcg_10": (1.0, 0.5, 1.5)}, {"knn_neighbours": 5})


def test_run_prints_a_row_for_each_model_beside_the_published_ones_and_leaves_nothing(tmp_path):
    (tmp_path / "lists.txt").write_text(as_lines(block_lists()))
    (tmp_path / "temporary").mkdir()
    known = f"published.BY_SIZE[{N_USERS}, {N_ITEMS}, {12 * N_USERS}] = next(iter(published.BY_SIZE.values()))"
    command = f"import sys; from benchmarks import published, quality; {known}; sys.exit(quality.main())"
    flags = [tmp_path / "lists.txt", "--seeds", "2", "--set", "knn_neighbours=9", "--json", tmp_path / "rows.json"]
    done = subprocess.run(
        [sys.executable, "-c", command, *map(str, flags)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    measured, published = ([line[0] for line in lines if name in line] for name in ("measured", "MMRec"))
    assert measured[:3] == ["random", "popularity", "item-knn"]
    assert published == [one.model for one in PUBLISHED if one.source == "MMRec"]
    assert describe_machine() in done.stdout
    rows = json.loads((tmp_path / "rows.json").read_text("utf-8"))["rows"]
    assert {tuple(row) for row in rows} == {FIELDS}
    assert {(row["model"], row["metric"], row["k"]) for row in rows} == {
        *((model, metric, k) for model in measured for metric in ("recall", "ndcg") for k in (10, 20)),
        *((model, cost, None) for model in measured for cost in COSTS),
    }
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    knn = next(row["parameters"] for row in rows if row["model"] == "item-knn")
    assert (knn["chosen"]["knn_neighbours"], knn["protocol"], knn["seeds"]) == (9, "random-per-user", 2)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "nobody"], "nobody"),
        (["--models", "bias"], "that the input lacks"),
        (["--set", "knn_neighbors=3"], "knn_neighbors"),
        (["--set", "knn_neighbours=0"], "knn-neighbours"),
        (["--protocol", "leave-last"], "timestamp"),
        (["--protocol", "rolling"], "timestamp"),
        (["--sampled", "100"], "one held-out item of each user: --protocol leave-last, not random-per-user"),
        (["--protocol", "files"], "--split-test-file"),
        (["--split-test-file", "x"], "neither; found one"),
    ],
)
def test_what_cannot_be_measured_is_bad_usage(tmp_path, capsys, arguments, message):
    (tmp_path / "lists.txt").write_text(as_lines(block_lists()))
    assert quality.main([str(tmp_path / "lists.txt"), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_kind_that_does_not_rank_is_refused_beside_others(tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("user,item,rating\n0,1,5\n0,2,4\n1,1,3\n")
    assert quality.main([str(tmp_path / "rows.csv"), "--models", "graph,global-mean"]) == 2
    assert "global-mean, of which nothing ranks" in capsys.readouterr().err
