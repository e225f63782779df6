"""Real files through the real flows: every count equals an independent pandas computation."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows import ingest, train


@dataclass(frozen=True)
class Expected:
    """What pandas makes of a file."""

    n_reviews: int
    n_pairs: int
    core: pd.DataFrame


def read_amazon(path: Path) -> pd.DataFrame:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    names = {"reviewerID": "user", "asin": "item", "overall": "rating", "unixReviewTime": "time"}
    return pd.DataFrame(rows)[list(names)].rename(columns=names)


def read_movielens(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", names=["user", "item", "rating", "time"], dtype={"user": str, "item": str})


def expect(rows: pd.DataFrame, k: int) -> Expected:
    rows = rows.assign(line=range(len(rows)))
    core = rows.sort_values(["time", "line"]).drop_duplicates(["user", "item"], keep="last")
    n_pairs = len(core)
    while True:
        users, items = (core.groupby(side)[side].transform("size") for side in ("user", "item"))
        kept = core[(users >= k) & (items >= k)]
        if len(kept) == len(core):
            return Expected(len(rows), n_pairs, core)
        core = kept


FILES = {
    "amazon-reviews-196k/reviews.json.gz": (read_amazon, 5),
    "amazon-2018-5core-small/Appliances_5.json.gz": (read_amazon, 2),
    "amazon-2018-5core-small/Gift_Cards_5.json.gz": (read_amazon, 5),
    "movielens-100k/u.data.gz": (read_movielens, 5),
}


def run(stage: Any, folder: Path, path: Path, *flags: str) -> dict[str, Any]:
    target = folder / "out.json"
    places = ["--store", str(folder / "store"), "--work-dir", str(folder / "work")]
    assert stage.main(["--input", str(path), *places, "--json", str(target), *flags]) == 0
    record: dict[str, Any] = json.loads(target.read_text())
    return record


@pytest.mark.shared_data
@pytest.mark.parametrize("name", FILES)
def test_rows_users_and_items_of_each_stage_equal_pandas(name, shared_data, tmp_path, prefect_api):
    read, k = FILES[name]
    expected = expect(read(shared_data / name), k)

    counts = run(ingest, tmp_path, shared_data / name, "--min-interactions", str(k))["counts"]

    assert counts["reviews"]["n_reviews"] == expected.n_reviews
    assert counts["dataset"]["n_reviews"] - counts["dataset"]["n_duplicates"] == expected.n_pairs
    assert counts["dataset"]["n_interactions"] == len(expected.core)
    assert counts["dataset"]["n_users"] == expected.core["user"].nunique()
    assert counts["dataset"]["n_items"] == expected.core["item"].nunique()


@pytest.mark.shared_data
def test_appliances_have_no_5_core_and_the_run_says_what_smaller_k_would_leave(
    shared_data, tmp_path, prefect_api, capfd
):
    path = shared_data / "amazon-2018-5core-small/Appliances_5.json.gz"
    rows = read_amazon(path)
    left = expect(rows, 2).core
    assert expect(rows, 5).core.empty

    code = ingest.main(["--input", str(path), "--store", str(tmp_path / "store"), "--work-dir", str(tmp_path / "work")])

    assert code == 1
    assert f"k=2 would leave {len(left):,} interactions of {left['user'].nunique():,} users" in capfd.readouterr().err


@pytest.mark.shared_data
def test_chosen_model_beats_popularity_on_real_reviews(shared_data, tmp_path, tracking_uri, prefect_api, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = ["--models", "implicit", "--rank", "16", "--reg", "1", "--maxiter", "5"]
    path = shared_data / "amazon-reviews-196k/reviews.json.gz"

    record = run(train, tmp_path, path, *grid, "--mlflow-tracking-uri", tracking_uri)

    on_test = {
        row["model"]: row
        for row in record["metrics"]
        if (row["split"], row["metric"], row["k"]) == ("test", "ndcg", 10)
    }
    counts = record["counts"]["split"]
    assert counts["test_n_rows"] == counts["validation_n_rows"] == 6_170
    assert counts["train_n_rows"] == len(expect(read_amazon(path), 5).core) - 2 * 6_170
    assert on_test["als-implicit"]["low"] > on_test["popularity"]["high"]
    assert on_test[record["chosen"]["model"]]["value"] >= on_test["als-implicit"]["value"]
    assert on_test["als-implicit"]["n_users"] == 6_170
