"""Promises of the statistics on users drawn at random; the whole table is that of `benchmarks.statistics`."""

import json

import numpy as np
import pytest
from scipy.stats import bootstrap

from benchmarks import statistics
from benchmarks.simulated_users import LOST_ONLY, Population, draw_models, draw_pairs
from benchmarks.statistics import Rate, to_figures, verdicts
from evaluation.rating import positive_ratio_interval
from evaluation.selection import judge_lead, try_metric
from evaluation.significance import compare_paired, share_interval
from schema.metric import Metric

NDCG = Metric("ndcg", 10)
REPETITIONS = 400


def holds(interval, truth):
    return interval[0] <= truth <= interval[1]


@pytest.mark.parametrize("case", [(50, 0.002), (200, 0.002), (50, 0.03), (200, 0.3)])
def test_intervals_of_means_hold_the_true_one_with_few_hits_too(case):
    drawn = list(draw_pairs(Population(*case), 1.0, REPETITIONS))
    assert np.mean([holds(share_interval(values), case[1]) for _, values in drawn]) > 0.9


def test_resampled_users_do_not_hold_the_true_mean_where_few_have_a_hit():
    drawn = draw_pairs(Population(50, 0.002), 1.0, 50)
    found = [bootstrap((values,), np.mean, n_resamples=1000, method="percentile", rng=1) for _, values in drawn]
    assert np.mean([holds(one.confidence_interval, 0.002) for one in found]) < 0.4


@pytest.mark.parametrize("correlation", [0.5, 0.98, LOST_ONLY])
@pytest.mark.parametrize("case", [(50, 0.03), (200, 0.3)])
def test_intervals_of_differences_hold_the_true_one(case, correlation):
    drawn = draw_pairs(Population(*case, correlation), 0.9, REPETITIONS)
    found = [compare_paired("new", "old", NDCG, *pair) for pair in drawn]
    assert np.mean([one.low <= -0.1 * case[1] <= one.high for one in found]) > 0.9


def test_intervals_of_rmse_hold_where_few_users_have_most_of_the_error():
    rng = np.random.default_rng(1)
    truth = np.exp(rng.normal(0, 1.2, 2_000_000)).mean()
    drawn = [np.exp(rng.normal(0, 1.2, 100)) for _ in range(REPETITIONS)]
    assert np.mean([holds(positive_ratio_interval(errors, np.ones(100)), truth) for errors in drawn]) > 0.9


def test_of_two_equal_best_models_among_weak_ones_one_seldom_leads():
    rng, ratios = np.random.default_rng(1), [1.0, 1.0, *[0.7] * 6]
    drawn = (draw_models(rng, Population(2_000, 0.3, 0.9), ratios) for _ in range(REPETITIONS))
    assert np.mean([not judge_lead(NDCG, values, "abcdefgh").is_within_noise for values in drawn]) < 0.085


def test_ndcg_may_choose_where_popularity_is_as_flat_as_chance():
    rng = np.random.default_rng(1)
    drawn = (draw_models(rng, Population(1_000, 0.005, 0.0), [1.0, 1.0]).T for _ in range(50))
    trials = [try_metric(NDCG, *values, np.ones(1_000)) for values in drawn]
    assert all(trial.is_fit for trial in trials)
    assert np.mean([trial.is_popularity_like_chance for trial in trials]) > 0.8


def test_a_promise_is_kept_within_the_error_of_the_simulation():
    rates = [Rate("lead", "50 users", 0.05, 0.06, 400), Rate("lead", "200 users", 0.05, 0.04, 400)]
    assert list(verdicts(rates)) == ["lead: at most 6.0% (50 users); aim at most 5.0%: met"]
    assert "NOT met" in next(verdicts([*rates, Rate("lead", "2,000 users", 0.05, 0.1, 400)]))
    assert to_figures(rates)[0].values["measured"].value == 0.06


def test_the_table_and_the_rows_have_each_rate(tmp_path, capsys):
    path = tmp_path / "rates.json"
    assert statistics.main(["--only", "guard", "--repetitions", "4", "--json", str(path)]) == 0
    rows = json.loads(path.read_text("utf-8"))["rows"]
    assert {row["split"] for row in rows} == {f"{users} users" for users in ("50", "200", "2,000", "20,000")}
    assert "guard: at most 0.0%" in capsys.readouterr().out
