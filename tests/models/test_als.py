import math

import numpy as np
import pytest

from models import factors
from models.als import AlsModel, AlsOptions, ExplicitAls, ImplicitAls
from models.confidence import weigh
from schema.histories import Histories
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


def test_ratings_weigh_by_the_persons_mean_and_days_from_the_persons_newest():
    items = ItemsByUser(np.array([0, 3, 4]), np.array([0, 1, 2, 0], np.int32))
    ratings, days = np.array([1, 3, math.nan, 5], np.float32), np.array([0, 20, 10, 3])
    people = Histories(items, ratings, days * 86_400)
    assert weigh(people, "interactions", 10).tolist() == [1, 1, 1, 1]
    assert weigh(people, "ratings", 10).tolist() == [0.5, 1.5, 1, 1]
    assert weigh(people, "recency", 10).tolist() == [0.25, 1, 0.5, 1]
    undated = people._replace(timestamp=np.array([-1, 86_400, 0, -1]))
    assert weigh(undated, "recency", 1).tolist() == [1, 1, 0.5, 1]


def test_weighted_fold_in_multiplies_alpha():
    """As without weights, with 1.5 (y_0 y_0') and 4.5 (y_1 y_1'): [[4.5, 1], [1, 24]], and [2.5, 11]."""
    [found] = model(alpha=3, confidence="ratings").fold_in(history(1, 3))
    np.testing.assert_allclose(found, np.array([2.5 * 24 - 11, 4.5 * 11 - 2.5]) / (4.5 * 24 - 1), rtol=1e-6)


def test_confidence_is_a_parameter_of_implicit_candidates_only_where_it_is_not_the_same_for_all():
    def found(**options):
        return [set(one) & {"confidence", "half_life_days"} for one in ImplicitAls().candidates(AlsOptions(**options))]

    assert found() == [set()]
    assert found(als_confidence="ratings", als_reg=(1,)) == [{"confidence"}]
    assert found(als_confidence="recency", als_reg=(1,)) == [{"confidence", "half_life_days"}]
    [explicit] = ExplicitAls().candidates(AlsOptions(als_confidence="recency"))
    assert not {"confidence", "half_life_days"} & set(explicit)


def test_the_matrix_of_all_items_is_added_up_in_blocks(monkeypatch):
    whole = model().gram
    monkeypatch.setattr(factors, "SCORE_BLOCK_ROWS", 2)
    np.testing.assert_array_equal(model().gram, whole)
    assert whole.tolist() == [[2, 1], [1, 5]]


@pytest.mark.parametrize("wide_share", [0, 100])
def test_similarity_is_the_cosine_and_0_where_there_are_no_factors(monkeypatch, wide_share):
    monkeypatch.setattr(factors, "WIDE_SHARE", wide_share)
    np.testing.assert_allclose(model().similarities(2, np.array([3, 1, 0, 2])), [0, 0.5**0.5, 0.5**0.5, 1], rtol=1e-6)
    assert model().similarities(3, np.arange(4)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("changed", [{"reg": math.nan}, {"reg": 0.0}, {"reg": math.inf}, {"alpha": -1.0}])
def test_parameters_that_cannot_be_used_are_refused(changed):
    with pytest.raises(ValueError, match=r"reg is .* and alpha .*; expected numbers above 0"):
        model(**changed)


@pytest.mark.parametrize("changed", [{"confidence": "luck"}, {"half_life_days": 0.0}, {"half_life_days": math.nan}])
def test_a_confidence_that_cannot_be_used_is_refused(changed):
    with pytest.raises(ValueError, match=r"confidence is .* days above 0"):
        model(**changed)
