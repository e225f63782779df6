"""Any model and any lists are put to the same test, and what would fool a reader is found out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from workplace import Workplace

from storage import layout

Trained = tuple[Workplace, dict[str, Any]]


@pytest.fixture(scope="module")
def lists(trained: Trained) -> pa.Table:
    """The published recommendations: user_id, rank and item_id."""
    workplace, record = trained
    folder = workplace.folder / "store" / layout.RECOMMENDATIONS / record["ids"]["recommendations"] / layout.LISTS
    return pq.read_table(folder, columns=["user_id", "rank", "item_id"])


def evaluate(trained: Trained, *flags: str) -> tuple[dict[str, Any], str]:
    """Return the record of an evaluation on the split of the training, and its report."""
    record = trained[0].result("evaluate", "--split", "random", "--knn-neighbours", "1", *flags)
    folder = trained[0].folder / "store" / layout.REPORTS / record["ids"]["report"]
    return record, (folder / layout.REPORT).read_text("utf-8")


def ndcg(record: dict[str, Any]) -> dict[str, float]:
    rows = [row for row in record["metrics"] if (row["metric"], row["k"]) == ("ndcg", 10)]
    return {row["model"]: row["value"] for row in rows}


def evaluate_lists(trained: Trained, lists: pa.Table, path: Path) -> tuple[dict[str, Any], str]:
    pyarrow.csv.write_csv(lists, path)
    return evaluate(trained, "--model", trained[1]["ids"]["model"], "--recommendations", str(path))


def test_published_model_is_fitted_anew_to_what_comes_before_the_test(trained):
    record, report = evaluate(trained, "--model", trained[1]["ids"]["model"])
    of_training = {
        row["model"]: row["value"]
        for row in trained[1]["metrics"]
        if (row["split"], row["metric"], row["k"]) == ("test", "ndcg", 10)
    }
    assert ndcg(record) == {model: value for model, value in of_training.items() if model in ndcg(record)}
    assert record["evaluated"] in report


def test_published_model_as_it_is_is_caught_remembering_the_test_part(trained):
    record, report = evaluate(trained, "--model", trained[1]["ids"]["model"], "--as-is")
    n_held = record["counts"]["split"]["test_n_rows"]
    assert f"{n_held} of the {n_held}" in report.replace("\u202f", "").replace("\u00a0", " ")
    assert "are known to be among what the model learnt from" in report


def test_lists_from_elsewhere_are_put_to_the_same_test(trained, lists, tmp_path):
    record, report = evaluate_lists(trained, lists, tmp_path / "theirs.csv")
    assert ndcg(record).keys() >= {"theirs.csv", "random", "popularity", "item-knn"}
    assert "have no list and count as misses" in report


def test_shuffled_lists_are_not_shown_to_be_better_than_chance(trained, lists, tmp_path):
    items = np.unique(np.asarray(lists["item_id"]))
    users = np.unique(np.asarray(lists["user_id"]))
    draws = np.random.default_rng(1)
    drawn = np.concatenate([draws.choice(items, 10, replace=False) for _ in users])
    shuffled = pa.table({"user_id": np.repeat(users, 10), "item_id": drawn})
    _, report = evaluate_lists(trained, shuffled, tmp_path / "shuffled.csv")
    assert "shuffled.csv is not shown to be better than chance" in report


def test_copy_of_popularity_is_found_out(trained, lists, tmp_path):
    workplace, record = trained
    rows = pq.read_table(workplace.folder / "store" / layout.DATASETS / record["ids"]["dataset"] / layout.POPULAR_ITEMS)
    popular = [str(item) for item in rows["item_id"].to_pylist()[:60]]
    users = np.unique(np.asarray(lists["user_id"]))
    copy = pa.table({"user_id": np.repeat(users, len(popular)), "item_id": popular * len(users)})
    _, report = evaluate_lists(trained, copy, tmp_path / "copy.csv")
    assert "of its top 10 with popularity: it recommends nearly the same to everybody" in report


def test_windows_are_evaluated_one_by_one(trained):
    flags = ("--windows", "2", "--test-share", "0.1")
    _, report = evaluate(trained, "--model", trained[1]["ids"]["model"], *flags)
    workplace = trained[0]
    windows = [m for m in workplace.manifests() if m.kind == layout.SPLITS and m.parameters["split"] == "time"]
    starts = sorted(str(m.parameters["split_at"]) for m in windows)
    assert len(starts) == 2
    assert [f"from {start[:10]}" in report for start in starts] == [True, True]


def test_original_protocol_gives_a_random_scorer_what_it_gives_als(trained, sample_flags, tmp_path):
    record, report = evaluate(
        trained, "--protocol", "original", *sample_flags[:2], "--maxiter", "1", "--als-blocks", "1"
    )
    theirs = [row for row in record["held_out_only"] if row["metric"] == "held_out_only_precision"]
    by_model: dict[str, list[float]] = {}
    for row in theirs:
        by_model.setdefault(row["model"], []).append(row["value"])
    # Nine and six rows, of which alpha tells six apart and one stands in both.
    assert len(by_model["als-explicit"]) == 8
    assert np.ptp([*by_model["als-explicit"], *by_model["random"]]) < 0.03
    honest = ndcg(record)
    assert honest["random"] < honest["item-knn"]
    assert "held-out" in report


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "a header of unknown names on line 1: ['a', 'b']"),
        ("user_id,item_id\nnobody,nothing\n", "no user_id of its 1 rows is in the dataset, as 'nobody'"),
        ("", "is empty (0 bytes)"),
        ("user_id,item_id,rank\nnobody,nothing,first\n", "rank is not a number"),
    ],
)
def test_lists_that_cannot_be_evaluated_are_refused_in_one_message(text, message, trained, tmp_path):
    path = tmp_path / "lists.csv"
    path.write_text(text)
    refused = trained[0].run("evaluate", "--model", trained[1]["ids"]["model"], "--recommendations", str(path))
    assert refused.code == 1
    [error] = [line for line in refused.stderr.splitlines() if "| ERROR" in line]
    assert message in error


def test_guard_refuses_a_metric_that_tells_nothing_apart_unless_told_to_warn(trained, sample_flags, new_workplace):
    workplace, _ = trained
    flags = (*sample_flags, "--select-by", "held_out_only_precision_10")
    refused = workplace.run("train", *flags)
    assert refused.code == 1
    [error] = [line for line in refused.stderr.splitlines() if "| ERROR" in line]
    assert "A random scorer gets" in error
    assert "NDCG@10 over the full catalogue" in error
    warned = workplace.run("train", *flags, "--guard", "warn")
    assert warned.code == 0, warned.stderr
    assert "The choice is arbitrary" in warned.stderr


def test_blocks_of_users_are_ranked_on_the_workers_and_change_nothing(trained, sample_flags, new_workplace):
    workplace, record = trained
    for scores in (m for m in workplace.manifests() if m.kind == layout.SCORES and "fit" in m.inputs):
        assert scores.parameters.keys() == {"part", "ks", "evaluate_users"}  # the size of blocks is no part of the id
    other = new_workplace()
    again = other.result("train", *sample_flags, "--evaluate-block-users", "50")
    assert again["ids"]["model"] == record["ids"]["model"]
    assert json.dumps(again["metrics"]) == json.dumps(record["metrics"])
