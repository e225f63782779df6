import numpy as np
import pytest
from pydantic import ValidationError

from models.base import Interactions
from models.popularity import Popularity, PopularityOptions, RecentPopularity, weigh_by_age
from schema.items_by_user import ItemsByUser

DAY = 86_400


def recent(half_life_days, **columns):
    interactions = Interactions.of(1, 2, **columns)
    return RecentPopularity().fit(interactions, {"popularity_half_life_days": half_life_days})


def popularity(*items, n_items=2):
    return Popularity().fit(Interactions.of(2, n_items, item_idx=items), {})


def test_items_are_ranked_by_count_for_every_user_less_what_they_have_seen():
    seen = ItemsByUser.from_pairs(np.array([1]), np.array([2]), n_users=2)
    items, scores = popularity(2, 2, 2, 0, 0, 1, n_items=4).rank(np.arange(2), seen, 4)
    assert items.tolist() == [[2, 0, 1, 3], [0, 1, 3, -1]]
    assert scores.tolist() == [[3, 2, 1, 0], [2, 1, 0, -np.inf]]


def test_recent_popularity_prefers_the_new_where_popularity_prefers_the_old():
    items, days = [0, 0, 0, 1, 1], np.array([0, 0, 0, 100, 100])
    model = recent(50, item_idx=items, timestamp=days * DAY)
    assert model.order.tolist() == [1, 0]
    assert model.item_factors.ravel().tolist() == [0.75, 2.0]
    assert popularity(*items).order.tolist() == [0, 1]


def test_recent_popularity_with_an_endless_half_life_is_popularity():
    model = recent(1e12, item_idx=[0, 1, 1], timestamp=np.array([0, 10, 20]) * DAY)
    np.testing.assert_allclose(model.item_factors, popularity(0, 1, 1).item_factors)


def test_ages_that_cannot_be_weighed_are_refused():
    with pytest.raises(ValueError, match="1 of 2 interactions have no timestamp"):
        weigh_by_age(np.array([1.0, np.nan]), 5)


def test_half_life_option_is_positive():
    assert PopularityOptions().popularity_half_life_days == 90
    with pytest.raises(ValidationError):
        PopularityOptions(popularity_half_life_days=0)
