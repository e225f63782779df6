"""Advice on made-up reviews whose answer is known, and that it is what the steps of a training then do."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sample_artifacts import publish_folder

from evaluation.options import SplitOptions
from evaluation.selection import judge_metrics
from models.registry import yardsticks
from reports.advice import Advice, advise
from reviews.cores import take_core
from reviews.explore import explore
from reviews.indexed import IndexedReviews, index_reviews
from spark.options import CoreOptions, SparkOptions
from storage import layout
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks import explore as exploring
from tasks.choose import try_yardsticks
from tasks.dataset import split_dataset
from tasks.fit import fit
from tasks.options import EvaluationOptions, PlaceOptions, SelectionOptions
from tasks.outlook import foresee, to_interactions
from tasks.score import Scored, score

DAY = 86_400
N_USERS, N_ITEMS = 300, 60


def make_reviews(
    when: Callable[[np.random.Generator, int], np.ndarray], n_each: int = 12, burst: Sequence[tuple[str, str, int]] = ()
) -> IndexedReviews:
    """Reviews of users who have so many items each, popular ones more often, at the seconds that a function draws."""
    draw = np.random.default_rng(7)
    weights = 1 / np.arange(1, N_ITEMS + 1)
    rows = list(burst)
    for user in range(N_USERS):
        items = draw.choice(N_ITEMS, n_each, replace=False, p=weights / weights.sum())
        rows += [
            (f"u{user:03d}", f"i{item:02d}", int(time)) for item, time in zip(items, when(draw, n_each), strict=True)
        ]
    users, items, times = zip(*rows, strict=True)
    ratings = draw.integers(1, 6, len(rows)).astype(float)
    return index_reviews(pa.table({"user_id": users, "item_id": items, "rating": ratings, "timestamp": times}))


def over_years(draw: np.random.Generator, n: int) -> np.ndarray:
    return draw.choice(900, n, replace=False) * DAY + draw.integers(DAY)


def on_one_day(draw: np.random.Generator, n: int) -> np.ndarray:
    return np.full(n, draw.integers(900) * DAY)


def often_at_once(draw: np.random.Generator, n: int) -> np.ndarray:
    times = over_years(draw, n)
    return np.where(np.arange(n) < 0.44 * n, times[0], times)


def advice_on(reviews: IndexedReviews, k: int = 5) -> dict[str, Advice]:
    return {line.topic: line for line in advise(explore(reviews), foresee(to_interactions(take_core(reviews, k)), k))}


def test_reviews_in_order_are_split_by_time_and_nothing_is_warned_of():
    found = advice_on(make_reviews(over_years))
    assert [line.sentence for line in found.values() if line.is_warning] == []
    assert "--split rolling" in found["Which split"].sentence
    assert "the order in time can be trusted" in found["Timestamps"].sentence
    assert "NDCG@10 over the full catalogue tells models apart" in found["Which metric"].sentence


def test_a_file_without_real_time_order_is_not_split_by_time_and_its_timestamps_are_not_trusted():
    found = advice_on(make_reviews(on_one_day))
    assert found["Timestamps"].is_warning
    assert (
        "0\u00a0% of all interactions come after one of the same user of an earlier day" in found["Timestamps"].sentence
    )
    assert "--split leave-last" in found["Which split"].sentence


def test_a_file_that_the_core_empties_gets_the_largest_k_that_leaves_something():
    found = advice_on(make_reviews(over_years, n_each=3))
    assert found["Which k"].is_warning
    assert "--min-interactions 5 stops" in found["Which k"].sentence
    assert "use --min-interactions 3" in found["Which k"].sentence
    assert "nothing to split" in found["Which split"].sentence


def test_an_item_with_a_planted_burst_is_named():
    burst = [(f"u{user:03d}", "planted", 400 * DAY + user) for user in range(80)]
    line = advice_on(make_reviews(over_years, burst=burst))["Items to look at"]
    assert line.is_warning
    assert "Burst: 1 (planted)" in line.sentence


def test_events_of_one_moment_are_counted_and_warned_of_where_days_can_be_trusted():
    found = advice_on(make_reviews(often_at_once, n_each=25))
    assert "--split rolling" in found["Which split"].sentence
    assert found["Timestamps"].is_warning
    assert "44.0\u00a0% share their second" in found["Timestamps"].sentence
    assert "But nobody knows what came first" in found["Timestamps"].sentence


@pytest.mark.parametrize(("when", "method"), [(over_years, "rolling"), (on_one_day, "leave-last")])
@pytest.mark.parametrize("has_ratings", [True, False])
def test_advice_is_of_the_split_and_the_guard_that_a_training_makes_by_default(tmp_path, when, method, has_ratings):
    core = take_core(make_reviews(when), 5)
    interactions = to_interactions(core if has_ratings else replace(core, ratings=None))
    places = PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")
    (tmp_path / "dataset").mkdir()
    write_parquet([interactions], tmp_path / "dataset" / layout.INTERACTIONS, interactions.schema)
    counts = {"n_users": N_USERS, "n_items": N_ITEMS, "has_ratings": has_ratings, "has_timestamps": True}
    dataset = publish_folder(places.open_store(), tmp_path / "dataset", layout.DATASETS, "d", counts=counts)
    split = split_dataset.fn(places, replace(dataset, parameters={"min_interactions": 5}), SplitOptions())
    scored = []
    for one in yardsticks():
        made = fit.fn(places, split, ("train",), one, SparkOptions())
        scored.append(Scored(one, made, score.fn(places, split, made, one, "validation", EvaluationOptions())))
    guard = judge_metrics(SelectionOptions().metric, try_yardsticks(places, split, scored, EvaluationOptions()))
    outlook = foresee(interactions, 5)
    assert (outlook.method, outlook.guard) == (method, guard)
    assert split.counts["method"] == method


def test_the_id_of_an_exploration_follows_the_code_of_the_yardsticks(monkeypatch):
    asked = {}
    monkeypatch.setattr(exploring, "publish_once", lambda *_, **about: asked.update(about))
    exploring.explore_reviews.fn(PlaceOptions(), Manifest("reviews", "a", {}, {}, "1", (), {}), CoreOptions())
    assert {*asked.get("uses", ())} == {type(one.kind) for one in yardsticks()}
