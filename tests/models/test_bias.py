import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.base import Interactions
from models.bias import Bias, GlobalMean


def fit_bias(users, items, rating, n_users, n_items, item_damping=25, user_damping=10):
    interactions = Interactions.of(n_users, n_items, user_idx=users, item_idx=items, rating=rating)
    return Bias().fit(interactions, {"item_damping": item_damping, "user_damping": user_damping})


def fit_global_mean(rating, n_users, n_items):
    return GlobalMean().fit(Interactions.of(n_users, n_items, rating=rating), {})


def test_global_mean_predicts_the_mean_everywhere():
    model = fit_global_mean(np.array([1, 2, 6], np.float32), n_users=2, n_items=2)
    assert model.score(np.array([0, 1]), np.array([1, 0])).tolist() == [3.0, 3.0]


def test_bias_is_damped_towards_the_mean():
    users, items, rating = np.array([0, 1]), np.array([0, 1]), np.array([5.0, 1.0])
    model = fit_bias(users, items, rating, 2, 2, 1, 1)
    # mean 3; item bias ±2 / (1 + 1) = ±1; user bias ±(2 - 1) / (1 + 1) = ±0.5
    assert model.score(np.array([0, 1, 0]), np.array([0, 1, 1])).tolist() == [4.5, 1.5, 2.5]


def test_bias_of_ids_without_ratings_is_the_mean():
    for damping in (0, 10):
        model = fit_bias(np.array([0]), np.array([0]), np.array([4.0]), 2, 2, damping, damping)
        assert model.score(np.array([1]), np.array([1])).tolist() == [4.0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=30))
def test_bias_equals_sums_written_out(rows):
    users, items, rating = (np.array(column) for column in zip(*rows, strict=True))
    model = fit_bias(users, items, rating.astype(np.float32), 5, 6)
    mean = sum(rating) / len(rating)
    b_i = [sum(r - mean for _, i, r in rows if i == j) / (25 + sum(i == j for _, i, _ in rows)) for j in range(6)]
    b_u = [
        sum(r - mean - b_i[i] for u, i, r in rows if u == v) / (10 + sum(u == v for u, _, _ in rows)) for v in range(5)
    ]
    expected = [mean + b_u[u] + b_i[i] for u, i, _ in rows]
    np.testing.assert_allclose(model.score(users, items), expected, atol=1e-5)


@pytest.mark.parametrize("rating", [np.array([], np.float32), np.array([3, np.nan], np.float32)])
def test_missing_ratings_are_refused(rating):
    index = np.arange(len(rating))
    with pytest.raises(ValueError, match=f"of {len(rating)} ratings are missing"):
        fit_global_mean(rating, 2, 2)
    with pytest.raises(ValueError, match=f"of {len(rating)} ratings are missing"):
        fit_bias(index, index, rating, 2, 2)
