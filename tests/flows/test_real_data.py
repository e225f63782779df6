"""A real file through the real flow: every count equals an independent pandas computation."""

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


def expect(rows: pd.DataFrame, k: int) -> Expected:
    rows = rows.assign(line=range(len(rows)))
    core = rows.sort_values(["time", "line"]).drop_duplicates(["user", "item"])
    n_pairs = len(core)
    while True:
        users, items = (core.groupby(side)[side].transform("size") for side in ("user", "item"))
        kept = core[(users >= k) & (items >= k)]
        if len(kept) == len(core):
            return Expected(len(rows), n_pairs, core)
        core = kept


def run(stage: Any, folder: Path, path: Path, *flags: str) -> dict[str, Any]:
    target = folder / "out.json"
    places = ["--store", str(folder / "store"), "--work-dir", str(folder / "work")]
    assert stage.main(["--input", str(path), *places, "--json", str(target), *flags]) == 0
    record: dict[str, Any] = json.loads(target.read_text())
    return record


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
def test_real_reviews_are_counted_as_by_pandas_and_the_chosen_model_beats_popularity(
    shared_data, tmp_path, tracking_uri, prefect_api, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    grid = ["--model", "graph,als-implicit", "--rank", "16", "--reg", "1", "--maxiter", "5", "--split", "leave-last"]
    path = shared_data / "amazon-reviews-196k/reviews.json.gz"
    expected = expect(read_amazon(path), 5)

    record = run(train, tmp_path, path, *grid, "--mlflow-tracking-uri", tracking_uri)

    on_test = {
        row["model"]: row
        for row in record["metrics"]
        if (row["split"], row["metric"], row["k"]) == ("test", "ndcg", 10)
    }
    reviews, dataset, split = (record["counts"][role] for role in ("reviews", "dataset", "split"))
    assert reviews["n_reviews"] == expected.n_reviews
    assert dataset["n_reviews"] - dataset["n_duplicates"] == expected.n_pairs
    assert dataset["n_interactions"] == len(expected.core)
    assert dataset["n_users"] == expected.core["user"].nunique() == 6_170
    assert dataset["n_items"] == expected.core["item"].nunique()
    assert split["test_n_rows"] == split["validation_n_rows"] == 6_170
    assert split["train_n_rows"] == len(expected.core) - 2 * 6_170
    chosen = on_test[record["chosen"]["model"]]
    assert chosen["low"] > on_test["popularity"]["high"]
    assert chosen["value"] >= on_test["item-knn"]["value"]
    assert chosen["n_users"] == 6_170
