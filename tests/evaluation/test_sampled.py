import numpy as np
import pytest

from evaluation.sampled import among_sampled
from schema.metric import Metric

HIT_RATE, NDCG = Metric("sampled_hit_rate", 2), Metric("sampled_ndcg", 2)


def test_draws_of_one_of_two_are_counted_by_hand():
    scores = among_sampled(np.array([0, 1, 2]), np.array([2, 2, 2]), k=1, n_sampled=1)
    assert scores[Metric("sampled_hit_rate", 1)].tolist() == pytest.approx([1, 0.5, 0])


def test_rank_two_counts_less_than_rank_one():
    scores = among_sampled(np.array([0, 1, 2]), np.array([3, 3, 3]), k=2, n_sampled=3)
    assert scores[HIT_RATE].tolist() == pytest.approx([1, 1, 0])
    assert scores[NDCG].tolist() == pytest.approx([1, 1 / np.log2(3), 0])


def test_it_is_the_mean_over_real_draws():
    n_better, n_others, rng = 30, 200, np.random.default_rng(0)
    draws = np.array([rng.choice(n_others, 20, replace=False) for _ in range(20_000)])
    ranks = 1 + (draws < n_better).sum(axis=1)
    scores = among_sampled(np.array([n_better]), np.array([n_others]), k=2, n_sampled=20)
    assert scores[HIT_RATE][0] == pytest.approx((ranks <= 2).mean(), abs=0.01)
    assert scores[NDCG][0] == pytest.approx(((ranks <= 2) / np.log2(ranks + 1)).mean(), abs=0.01)


def test_fewer_items_than_are_asked_for_are_all_drawn():
    assert among_sampled(np.array([1]), np.array([3]), k=2)[HIT_RATE].tolist() == pytest.approx([1])
