"""``benchmarks.evaluation``: input as uneven as real data, the work measured, figures and aims."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import evaluation
from benchmarks.contestants import find_input, publish_input
from benchmarks.evaluation import COLUMNS, measure_contestant, scale, summarise, verdicts
from benchmarks.harness import make_table, rows_of
from benchmarks.measuring import Measurement
from benchmarks.synthetic import (
    PERCENTS,
    ROWS_PER_ITEM,
    ROWS_PER_USER,
    Size,
    draw_factors,
    draw_interactions,
    find_repeats,
    spread_rows,
)
from evaluation.ranking import evaluate_lists
from models.factors import FactorModel
from schema.errors import InvalidInput
from schema.items_by_user import ItemsByUser
from tasks.options import PlaceOptions
from tasks.store import local_file, read_parts

SMALL = Size(users=300, items=200, interactions=3000, rank=8)


def measured(*seconds: float, gigabytes: float = 1, product: float = 1.0) -> evaluation.Measurements:
    """Measurements in which the evaluation takes the seconds and memory given, the product some, and Spark 9 s."""
    peak = int(gigabytes * 1e9)
    return {
        "product": [Measurement(product, 2.0, 100_000_000, 200_000_000) for _ in seconds],
        "evaluation": [Measurement(one, 2 * one, 300_000_000, peak, 0.25) for one in seconds],
        "spark": [Measurement(9.0, 0.1, 100_000_000, 100_000_000, 0.125) for _ in seconds],
    }


@pytest.mark.parametrize("contestant", ["evaluation", "spark"])
def test_contestants_measure_the_lists_that_a_naive_ranking_gives(tmp_path, contestant):
    publish_input(tmp_path / "input", SMALL, seed=3)
    found = measure_contestant(contestant, tmp_path / "input")
    split, fit = find_input(tmp_path / "input")
    places = PlaceOptions(store_uri=str(tmp_path / "input" / "store"), work_dir=tmp_path)
    learnt, test = (read_parts(places, split, parts) for parts in (("train", "validation"), ("test",)))
    left_out = learnt if contestant == "evaluation" else learnt.slice(0, 0)  # Spark leaves seen items in
    seen, relevant = (
        ItemsByUser.from_pairs(np.asarray(rows["user_idx"]), np.asarray(rows["item_idx"]), SMALL.users)
        for rows in (left_out, test)
    )
    model = FactorModel.load(local_file(places, fit, "factors"))
    scores = model.user_factors.astype(float) @ model.item_factors.astype(float).T
    scores[np.repeat(np.arange(SMALL.users), seen.counts), seen.items] = -np.inf
    lists = np.argsort(-scores, axis=1, kind="stable")[:, :20].astype(np.int32)
    expected = evaluate_lists(lists, np.arange(SMALL.users), seen, relevant)["ndcg", 10].mean()
    assert found.answer == pytest.approx(expected)
    assert found.peak_bytes >= found.idle_bytes > 0
    assert not (tmp_path / "input" / "store" / "scores").exists(), "the next run would find them and do nothing"


def test_each_user_keeps_one_row_to_test_and_one_to_validate_the_last_two(tmp_path):
    publish_input(tmp_path, SMALL, seed=1)
    split, _ = find_input(tmp_path)
    places = PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path)
    train, validation, test = (read_parts(places, split, (part,)) for part in ("train", "validation", "test"))
    assert np.asarray(test["user_idx"]).tolist() == np.asarray(validation["user_idx"]).tolist() == list(range(300))
    assert (np.asarray(test["timestamp"]) > np.asarray(validation["timestamp"])).all()
    latest = np.zeros(300, dtype=np.int64)
    np.maximum.at(latest, np.asarray(train["user_idx"]), np.asarray(train["timestamp"]))
    assert (np.asarray(validation["timestamp"]) > latest).all()
    assert train.num_rows == 3000 - 600
    assert pq.read_schema(local_file(places, split, "train.parquet")).names == [
        *("user_idx", "item_idx", "rating", "timestamp")
    ]


@pytest.mark.parametrize(("total", "seed"), [(3000, 1), (3000, 2), (1000, 1)])
def test_interactions_have_the_total_three_rows_a_user_and_no_pair_twice(total, seed):
    size = Size(users=300, items=200, interactions=total)
    user_idx, item_idx = draw_interactions(size, seed)
    assert len(user_idx) == len({*zip(user_idx.tolist(), item_idx.tolist(), strict=True)}) == total
    assert np.bincount(user_idx, minlength=300).min() >= 3
    assert (np.diff(user_idx) >= 0).all()
    assert (item_idx.min(), item_idx.max() < 200) >= (0, True)
    assert [part.tolist() for part in draw_interactions(size, seed)] == [user_idx.tolist(), item_idx.tolist()]


def test_popular_items_and_active_users_have_the_share_that_real_ones_have():
    size = Size(users=4000, items=2000, interactions=40_000)
    user_idx, item_idx = draw_interactions(size, seed=1)
    for idx, n, share in ((user_idx, 4000, 0.28), (item_idx, 2000, 0.40)):
        counts = np.sort(np.bincount(idx, minlength=n))
        assert counts[-n // 10 :].sum() / 40_000 == pytest.approx(share, abs=0.05)


def test_a_catalogue_that_is_nearly_used_up_is_dealt_out_all_the_same():
    user_idx, item_idx = draw_interactions(Size(users=10, items=20, interactions=100), seed=1)
    assert np.bincount(user_idx).tolist() == [10] * 10
    assert find_repeats(user_idx, item_idx, 20).tolist() == []


@given(n=st.integers(1, 50), least=st.integers(0, 4), more=st.integers(0, 400), room=st.integers(1, 60))
def test_rows_are_shared_out_to_the_last_one_within_their_bounds(n, least, more, room):
    total = min(n * least + more, n * (least + room))
    counts = spread_rows(ROWS_PER_ITEM, n, total, least, least + room)
    assert (len(counts), counts.sum()) == (n, total)
    assert counts.min() >= least
    assert counts.max() <= least + room
    assert (np.diff(counts) >= 0).all()


def test_quantiles_come_out_as_they_went_in():
    counts = spread_rows(ROWS_PER_USER, n=100_000, total=1_731_900, least=3, most=1000)
    assert np.percentile(counts, [10, 50, 90, 99]) == pytest.approx([10, 13, 27, 76], rel=0.06)
    assert len(PERCENTS) == len(ROWS_PER_USER) == len(ROWS_PER_ITEM)


def test_popular_items_are_liked_more():
    item_counts = np.arange(200)
    model = draw_factors(SMALL, item_counts, seed=1)
    mean_scores = (model.user_factors.astype(float) @ model.item_factors.astype(float).T).mean(axis=0)
    assert np.corrcoef(mean_scores, np.log1p(item_counts))[0, 1] > 0.9


@pytest.mark.parametrize("interactions", [899, 30_001])
def test_interactions_that_do_not_fit_are_refused(interactions):
    with pytest.raises(InvalidInput, match=f"{interactions} interactions .* expected 900 to 30000"):
        Size(users=300, items=200, interactions=interactions)
    flags = ["--users", "300", "--items", "200", "--interactions", str(interactions)]
    assert evaluation.main(flags) == 2


def test_a_tenth_of_the_users_has_the_catalogue_and_the_activity_of_all():
    assert SMALL.shrink(10) == Size(users=30, items=200, interactions=300, rank=8)
    assert SMALL.shrink(1000).users == 1


def test_ratios_are_to_the_median_of_the_product():
    measurements = measured(2.0, 4.0, 3.0, gigabytes=2)
    measurements["product"] = [Measurement(one, 2.0, 100_000_000, 200_000_000) for one in (1.0, 0.5, 2.0)]
    figures = summarise(measurements)
    product, evaluated, spark = (figure.values for figure in figures)
    assert (product["ratio_to_product"].value, "ndcg_10" in product) == (1.0, False)
    assert (evaluated["seconds"].value, evaluated["ratio_to_product"]) == (3, (3, 1.5, 8))
    assert (evaluated["peak_megabytes"].value, evaluated["peak_above_idle_megabytes"].value) == (2000.0, 1700.0)
    assert (spark["ratio_to_product"].value, set(spark)) == (9.0, {"seconds", "ratio_to_product", "ndcg_10"})
    cells = [
        [str(cell) for cell in column.cells]
        for column in make_table("x", ["By"], COLUMNS, {(one.model,): one for one in figures}).columns
    ]
    assert (cells[1], cells[3]) == (["1.00", "3.00", "9.00"], ["1.00", "3.00", "9.00"])
    assert (cells[4], cells[5]) == (["2.00", "6.00", "n/a"], ["200", "2000", "n/a"])


def test_steps_are_held_against_the_next_smaller_number_of_users():
    steps = scale({users: measured(seconds)["evaluation"] for seconds, users in ((60, 10_000), (1, 100), (5, 1000))})
    sentences = list(verdicts([], steps))
    assert [sentence.endswith(": met") for sentence in sentences] == [True, False]
    rows = rows_of(steps, {"users": 10_000})
    assert [(row["metric"], row["parameters"]["users"], row["value"]) for row in rows] == [
        ("scaling_seconds", 100, 1),
        ("scaling_seconds", 1000, 5),
        ("scaling_ratio", 1000, 5.0),
        ("scaling_seconds", 10_000, 60),
        ("scaling_ratio", 10_000, 12.0),
    ]


@pytest.mark.parametrize(("seconds", "gigabytes", "n_met"), [(2.5, 4.0, 2), (2.6, 4.0, 1), (2.5, 4.1, 1)])
def test_each_aim_is_judged_by_itself(seconds, gigabytes, n_met):
    sentences = list(verdicts(summarise(measured(seconds, gigabytes=gigabytes)), []))
    assert (len(sentences), sum(sentence.endswith(": met") for sentence in sentences)) == (2, n_met)


@pytest.mark.parametrize(("seconds", "megabytes", "is_met"), [(15, 1000, True), (15.1, 1000, False), (15, 1001, False)])
def test_the_graph_is_judged_by_its_time_and_its_memory_above_idle(seconds, megabytes, is_met):
    graph = Measurement(seconds, 2 * seconds, 300_000_000, (300 + megabytes) * 1_000_000, 300.0)
    [sentence] = verdicts(summarise({"product": [Measurement(1.0, 2.0, 0, 1)], "graph": [graph]}), [])
    assert sentence.endswith(": met") == is_met


def test_the_graph_is_fitted_and_lists_items_for_all_users(tmp_path):
    publish_input(tmp_path / "input", SMALL, seed=3)
    assert measure_contestant("graph", tmp_path / "input").answer == SMALL.users


def test_spark_without_java_is_refused_before_anything_is_measured(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert evaluation.main([]) == 2
    assert "--without-spark" in capsys.readouterr().err
