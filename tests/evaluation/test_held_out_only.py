import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.held_out_only import NDCG, PRECISION, held_out_only
from schema.metric import Metric

KS = (1, 2, 5, 10)
ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 30), st.sampled_from([-1.0, 0.0, 0.5, 2.0]), st.booleans()),
    min_size=1,
    max_size=40,
    unique_by=lambda row: row[:2],
)


def measure(rows, k):
    """Users and scores of rows (user, item, score, is_relevant)."""
    user_idx, item_idx, score, is_relevant = (np.array(column) for column in zip(*rows, strict=True))
    return np.unique(user_idx), held_out_only(user_idx, score, is_relevant, k, item_idx=item_idx)


def measure_naively(rows, k):
    """{user: (precision, ndcg)} by a loop over users."""
    by_user = defaultdict(list)
    for user, item, score, is_relevant in rows:
        by_user[user].append((-score, item, is_relevant))
    result = {}
    for user, own in sorted(by_user.items()):
        hits = [is_relevant for _, _, is_relevant in sorted(own)]
        gains = [hit / math.log2(rank + 1) for rank, hit in enumerate(hits[:k], start=1)]
        ideal = [hit / math.log2(rank + 1) for rank, hit in enumerate(sorted(hits, reverse=True)[:k], start=1)]
        result[user] = sum(hits[:k]) / min(k, len(hits)), sum(gains) / sum(ideal) if any(hits) else 0.0
    return result


@given(ROWS)
def test_scores_equal_those_of_a_loop_over_users(rows):
    for k in KS:
        users, scores = measure(rows, k)
        expected = measure_naively(rows, k)
        assert users.tolist() == list(expected)
        assert scores[Metric(PRECISION, k)].tolist() == pytest.approx([precision for precision, _ in expected.values()])
        assert scores[Metric(NDCG, k)].tolist() == pytest.approx([ndcg for _, ndcg in expected.values()])


def test_scores_by_hand_of_two_users():
    rows = [(8, 1, 0.1, True), (8, 2, 0.9, False), (8, 3, 0.5, True), (4, 1, 0.3, True)]
    users, scores = measure(rows, 2)
    assert users.tolist() == [4, 8]
    assert scores[Metric(PRECISION, 2)].tolist() == [1.0, 0.5]
    assert scores[Metric(NDCG, 2)].tolist() == pytest.approx([1.0, 0.63093 / 1.63093], abs=1e-5)


def rows_of_users(n_rows_each):
    """Users with so many held-out rows each, four of five of them relevant."""
    generator = np.random.default_rng(5)
    user_idx = np.repeat(np.arange(300), n_rows_each)
    item_idx = np.tile(np.arange(n_rows_each), 300)
    return user_idx, item_idx, generator.random(len(user_idx)), generator.random(len(user_idx)) < 0.8


def test_chance_equals_an_oracle_in_precision_at_10_where_no_user_has_more_than_10_rows():
    user_idx, item_idx, chance, is_relevant = rows_of_users(10)
    by_chance = held_out_only(user_idx, chance, is_relevant, 10, item_idx=item_idx)
    oracle = held_out_only(user_idx, is_relevant.astype(float), is_relevant, 10, item_idx=item_idx)
    assert np.array_equal(by_chance[Metric(PRECISION, 10)], oracle[Metric(PRECISION, 10)])
    assert oracle[Metric(PRECISION, 10)].mean() > 0.75


def test_chance_falls_short_of_an_oracle_where_users_have_more_than_k_rows():
    user_idx, item_idx, chance, is_relevant = rows_of_users(20)
    by_chance = held_out_only(user_idx, chance, is_relevant, 10, item_idx=item_idx)
    oracle = held_out_only(user_idx, is_relevant.astype(float), is_relevant, 10, item_idx=item_idx)
    assert by_chance[Metric(PRECISION, 10)].mean() == pytest.approx(0.8, abs=0.03)
    assert oracle[Metric(PRECISION, 10)].mean() > 0.99
    assert oracle[Metric(NDCG, 10)].tolist() == pytest.approx([1.0] * 300)
