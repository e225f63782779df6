import math

import numpy as np
import pytest

from models import als
from models.als import AlsModel
from models.base import Histories
from schema.items_by_user import ItemsByUser

NOTHING_HIDDEN = ItemsByUser(np.array([0, 0]), np.array([], np.int32))
FACTORS = np.array([[1, 0], [0, 2], [1, 1], [0, 0]], np.float32)


def model(**changed):
    return AlsModel(**{"user_factors": FACTORS[:1], "item_factors": FACTORS, "implicit": True, "reg": 0.5} | changed)


def history(*ratings):
    """Return a history of the first items with these ratings."""
    n = len(ratings)
    items = ItemsByUser(np.array([0, n]), np.arange(n, dtype=np.int32))
    return Histories(items, np.array(ratings, np.float32), np.full(n, -1))


def test_implicit_fold_in_weighs_what_is_there_against_all_items():
    """Y'Y is [[2, 1], [1, 5]]; with 3 (y_0 y_0' + y_1 y_1') and 0.5 * 2 on the diagonal [[6, 1], [1, 18]]."""
    [found] = model(alpha=3).fold_in(history(1, math.nan))
    np.testing.assert_allclose(found, np.array([4 * 18 - 8, 6 * 8 - 4]) / (6 * 18 - 1), rtol=1e-6)


def test_explicit_fold_in_fits_the_ratings_that_are_there():
    """The items y_0 and y_2 are rated 3 and 1: [[2, 1], [1, 1]] with 0.5 * 2 on the diagonal, and [4, 1]."""
    [found] = model(implicit=False).fold_in(history(3, math.nan, 1))
    np.testing.assert_allclose(found, [7 / 5, -1 / 5], rtol=1e-6)


def test_regularisation_counts_an_item_that_the_model_knows_nothing_of():
    one, other = model().fold_in(history(1, 1, 1, 1)), model(reg=0.5 * 4 / 3).fold_in(history(1, 1, 1))
    np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize(
    ("implicit", "ratings"), [(True, ()), (False, ()), (False, (math.nan, math.nan)), (False, (math.inf,))]
)
def test_a_history_that_says_nothing_ranks_nothing_and_has_no_reasons(implicit, ratings):
    person, fitted = history(*ratings), model(implicit=implicit)
    items, scores = fitted.rank_histories(person, NOTHING_HIDDEN, 2)
    assert (items.tolist(), scores.tolist()) == ([[-1, -1]], [[-np.inf, -np.inf]])
    assert fitted.explain(person, np.array([0, 1])).tolist() == [[0.0] * len(ratings)] * 2


def test_ratings_do_not_matter_to_a_model_of_interactions():
    one, other = (model().rank_histories(history(*ratings), NOTHING_HIDDEN, 4) for ratings in ((5, 1), (math.nan, 2)))
    assert one[1].tobytes() == other[1].tobytes()


def test_the_matrix_of_all_items_is_added_up_in_blocks(monkeypatch):
    whole = model()._gram
    monkeypatch.setattr(als, "SCORE_BLOCK_ROWS", 2)
    np.testing.assert_array_equal(model()._gram, whole)
    assert whole.tolist() == [[2, 1], [1, 5]]


@pytest.mark.parametrize("wide_share", [0, 100])
def test_similarity_is_the_cosine_and_0_where_there_are_no_factors(monkeypatch, wide_share):
    monkeypatch.setattr(als, "WIDE_SHARE", wide_share)
    np.testing.assert_allclose(model().similarities(2, np.array([3, 1, 0, 2])), [0, 0.5**0.5, 0.5**0.5, 1], rtol=1e-6)
    assert model().similarities(3, np.arange(4)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("changed", [{"reg": math.nan}, {"reg": 0.0}, {"reg": math.inf}, {"alpha": -1.0}])
def test_parameters_that_cannot_be_used_are_refused(changed):
    with pytest.raises(ValueError, match=r"reg is .* and alpha .*; expected numbers above 0"):
        model(**changed)
