import numpy as np
import pytest
from pydantic import ValidationError

from deployments.starter import Starter, StarterOptions
from models.base import Interactions


def scores(damping):
    """Return the scores of three items: user 0 has items 0 and 1, user 1 has item 1."""
    interactions = Interactions.of(2, 3, user_idx=[0, 0, 1], item_idx=[0, 1, 1])
    model = Starter().fit(interactions, {"starter_damping": damping})
    return model.score(np.zeros(3, int), np.arange(3)).tolist()


def test_a_user_with_few_items_counts_more():
    assert scores(damping=1) == [1 / 2, 1 / 2 + 1 / 1, 0]


def test_without_damping_items_are_counted():
    assert scores(damping=0) == [1, 2, 0]


def test_damping_is_a_power_from_0_to_1():
    assert StarterOptions().starter_damping == 0.5
    with pytest.raises(ValidationError):
        StarterOptions(starter_damping=1.1)
