import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.chance import ChanceModel
from schema.items_by_user import ItemsByUser


def lists(model, k):
    nothing = ItemsByUser(np.zeros(model.n_users + 1, np.int64), np.array([], np.int32))
    return model.rank(np.arange(model.n_users), nothing, k)[0]


def test_orders_are_set_by_the_seed():
    first, again, other = (lists(ChanceModel(5, 50, seed), 5) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("n_items", [20, 250])
def test_no_item_is_favoured_on_any_rank(n_items):
    shown = lists(ChanceModel(100 * n_items, n_items, 3), 5)
    for rank in range(5):
        counts = np.bincount(shown[:, rank], minlength=n_items)
        assert counts.min() > 60
        assert counts.max() < 140


def test_a_user_is_ranked_alike_whatever_the_number_of_users():
    assert lists(ChanceModel(3, 50, 1), 5).tolist() == lists(ChanceModel(9, 50, 1), 5)[:3].tolist()


@given(st.integers(0, 40), st.integers(-(2**63), 2**63 - 1), st.integers(1, 45))
def test_ranks_are_those_of_the_scores(n_items, seed, k):
    model = ChanceModel(4, n_items, seed)
    shown = lists(model, k)
    for user in range(4):
        scores = model.score(np.full(n_items, user), np.arange(n_items))
        expected = np.argsort(-scores, kind="stable")[:k].tolist()
        assert shown[user].tolist() == expected + [-1] * (k - len(expected))
