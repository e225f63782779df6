"""The benchmark of new items, on a shop of two departments in which everybody keeps to one."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import cold
from benchmarks.harness import BAD_USAGE, DONE
from benchmarks.interaction_files import number_rows
from schema.items_by_user import ItemsByUser

N_USERS, N_ITEMS = 60, 40


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Reviews of users who take a dozen items of their half, and the departments of the items."""
    folder, draws = tmp_path_factory.mktemp("shop"), np.random.default_rng(3)
    rows = ["user_id,item_id,rating,timestamp"]
    for user in range(N_USERS):
        items = draws.choice(N_ITEMS // 2, size=12, replace=False) * 2 + user % 2
        rows += [f"u{user},i{item:02d},5,{1_400_000_000 + 86_400 * day}" for day, item in enumerate(items)]
    reviews, departments = folder / "reviews.csv", folder / "departments.csv"
    reviews.write_text("\n".join(rows))
    departments.write_text("\n".join(f"i{item:02d},{item % 2}" for item in range(N_ITEMS)) + "\nelsewhere,1\n")
    return reviews, departments


def test_removed_items_are_found_by_content_and_the_loss_of_others_is_told(shop, tmp_path, capsys):
    reviews, departments = shop
    asked = [str(reviews), "--attribute", f"category={departments}", "--share", "0.2", "--seeds", "2", "--rooms", "1"]
    assert cold.main([*asked, "--json", str(tmp_path / "rows.json")]) == DONE
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    found = {(row["model"], row["parameters"].get("room"), row["metric"]): row["value"] for row in rows}
    assert found["item-graph", 1.0, "cold"] > 1.3 * found["random", None, "cold"]
    assert found["item-graph", 1.0, "cold"] > found["popularity by category", None, "cold"]
    for name in ("cold_all", "places"):
        assert found["item-graph", 1.0, name] > found["item-graph", 0.0, name]
    loss = found["item-graph", 0.0, "warm"] - found["item-graph", 1.0, "warm"]
    assert found["item-graph", 1.0, "loss"] == pytest.approx(loss)
    assert "popularity by category" in capsys.readouterr().out


def test_removed_items_are_held_out_whole_and_others_by_their_last():
    days = {"rating": [5.0] * 8, "timestamp": [1, 2, 3, 4, 1, 2, 3, 4]}
    ids = {"user_id": ["a"] * 4 + ["b"] * 4, "item_id": ["p", "q", "r", "s", "p", "q", "r", "s"]}
    data = number_rows(pa.table(ids | days))
    for part, n_learnt in (("validation", 2), ("test", 4)):
        scene = cold.remove_items(data, {}, share=0.25, seed=0, part=part)
        [removed] = np.flatnonzero(scene.is_cold)
        assert scene.cold_rows["item_idx"].to_pylist() == [removed] * 2
        assert removed not in scene.learnt["item_idx"].to_pylist()
        assert (scene.learnt.num_rows, scene.warm_rows.num_rows) == (n_learnt, 2)
        assert max(scene.learnt["timestamp"].to_pylist()) < min(scene.warm_rows["timestamp"].to_pylist())


def test_popularity_by_category_is_the_mean_over_categories_of_the_mean_of_other_items():
    learnt = pa.table({"user_idx": [0, 1, 2, 0], "item_idx": [0, 0, 0, 1]})
    content = {"category": ItemsByUser.from_pairs(np.array([0, 1, 2, 2, 3]), np.array([0, 1, 0, 1, 1]), 4)}
    is_cold = np.array([False, False, True, True])
    model = cold.rank_by_category(cold.Scene(learnt, learnt, learnt, is_cold, 3, content, "test"))
    # category 0: 3 users of item 0; category 1: 1 user of item 1
    assert model.item_factors[:, 0].tolist() == [3, 1, 2, 1]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "--products"),
        (["--model", "popularity"], "no room"),
        (["--attribute", "category={departments}", "--seeds", "1", "--share", "0.005"], "--share"),
        (["--attribute", "brand={latin}"], "is not UTF-8"),
        (["--share", "1"], "--share is 1"),
        (["--rooms", "1,200"], "--rooms are (1.0, 200.0)"),
        (["--rooms", "nan"], "--rooms are (nan,)"),
    ],
)
def test_what_cannot_be_measured_is_refused(shop, tmp_path, more, said, capsys):
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"i00,\xff\n")
    about = (one.format(departments=shop[1], latin=latin) for one in more)
    assert cold.main([str(shop[0]), *about]) == BAD_USAGE
    assert said in capsys.readouterr().err


def test_what_is_said_twice_counts_once_and_rows_name_their_part(shop, tmp_path):
    reviews, departments = shop
    twice = tmp_path / "twice.csv"
    twice.write_text(departments.read_text() + "\ni00,0\ni02,0\n")
    found = []
    for path in (departments, twice):
        asked = [
            str(reviews),
            "--attribute",
            f"category={path}",
            "--seeds",
            "1",
            "--rooms",
            "1",
            "--part",
            "validation",
        ]
        assert cold.main([*asked, "--json", str(tmp_path / "rows.json")]) == DONE
        found.append(json.loads((tmp_path / "rows.json").read_text())["rows"])
    assert {row["split"] for row in found[0]} == {"validation"}
    assert found[0] == found[1]
