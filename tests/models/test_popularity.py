import numpy as np
import pytest
from pydantic import ValidationError

from models.popularity import (
    PopularityOptions,
    draw_random_model,
    fit_popularity,
    fit_recent_popularity,
)
from models.top_k import top_k

DAY = 86_400


def recommend_all(model, k):
    nothing = np.zeros(model.n_users + 1, dtype=np.int64), np.array([], dtype=np.int32)
    return top_k(model.user_factors, model.item_factors, *nothing, k)[0]


def test_popularity_ranks_items_by_count_for_every_user():
    model = fit_popularity(np.array([2, 2, 2, 0, 0, 1]), n_users=2, n_items=4)
    assert recommend_all(model, 4).tolist() == [[2, 0, 1, 3]] * 2


def test_recent_popularity_prefers_the_new_where_popularity_prefers_the_old():
    items, days = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 0, 100, 100])
    recent = fit_recent_popularity(items, days * DAY, 1, 2, half_life_days=50)
    assert recommend_all(recent, 2).tolist() == [[1, 0]]
    assert recent.item_factors.ravel().tolist() == [0.75, 2.0]
    assert recommend_all(fit_popularity(items, 1, 2), 2).tolist() == [[0, 1]]


def test_recent_popularity_with_an_endless_half_life_is_popularity():
    items, seconds = np.array([0, 1, 1]), np.array([0, 10, 20]) * DAY
    recent = fit_recent_popularity(items, seconds, 1, 2, half_life_days=1e12)
    np.testing.assert_allclose(recent.item_factors, fit_popularity(items, 1, 2).item_factors)


def test_recent_popularity_refuses_missing_timestamps():
    with pytest.raises(ValueError, match="1 of 2 interactions have no timestamp"):
        fit_recent_popularity(np.array([0, 1]), np.array([1.0, np.nan]), 1, 2, half_life_days=5)


def test_recent_popularity_refuses_a_half_life_of_nothing():
    with pytest.raises(ValueError, match="half-life is 0 days"):
        fit_recent_popularity(np.array([0]), np.array([1]), 1, 1, half_life_days=0)


def test_half_life_option_is_positive():
    assert PopularityOptions().popularity_half_life_days == 90
    with pytest.raises(ValidationError):
        PopularityOptions(popularity_half_life_days=0)


def test_random_model_is_set_by_its_seed():
    first, again, other = (draw_random_model(5, 50, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(recommend_all(first, 5), recommend_all(again, 5))
    assert (recommend_all(first, 5) != recommend_all(other, 5)).any()


def test_random_model_favours_no_item():
    shown = np.bincount(recommend_all(draw_random_model(4000, 20, seed=3), 5).ravel(), minlength=20)
    assert shown.sum() == 20_000
    assert shown.min() > 830
    assert shown.max() < 1150
