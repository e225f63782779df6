import numpy as np
import pytest

from models.factors import FactorModel
from models.neural import NeuralModel
from schema.items_by_user import ItemsByUser

NOTHING = ItemsByUser(np.array([0, 0]), np.array([], np.int32))


def arrays(**others):
    """One user, three items and one hidden layer of two outputs, u + i and u - i, added up with 1."""
    given = {
        "user_factors": np.array([[2]], np.float32),
        "item_factors": np.array([[0], [1], [3]], np.float32),
        "user_embeddings": np.array([[3]], np.float32),
        "item_embeddings": np.array([[1], [4], [-5]], np.float32),
        "widths": np.array([2, 1]),
        "weights": np.array([1, 1, 1, -1, 0, 0, 1, 1, 1], np.float32),
    }
    return given | others


def test_score_is_the_product_and_what_the_layers_give():
    users, items = np.array([0, 0, 0]), np.array([0, 1, 2])
    assert NeuralModel(**arrays()).score(users, items).tolist() == [0 + 7, 2 + 8, 6 + 9]


def test_nobody_takes_it_for_a_model_that_ranks_by_its_factors_alone():
    assert not isinstance(NeuralModel(**arrays()), FactorModel)


def test_a_model_without_factors_has_the_layers_alone():
    none = {"user_factors": np.empty((1, 0), np.float32), "item_factors": np.empty((3, 0), np.float32)}
    assert NeuralModel(**arrays(**none)).score(np.array([0, 0]), np.array([0, 2])).tolist() == [7, 9]


def test_equal_scores_are_ordered_by_item_and_what_is_seen_is_left_out():
    model = NeuralModel(**arrays(item_factors=np.array([[1], [0.5], [0]], np.float32)))
    items, scores = model.rank(np.array([0]), NOTHING, 2)
    assert (items.tolist(), scores.tolist()) == ([[0, 1]], [[9, 9]])
    items, scores = model.rank(np.array([0]), ItemsByUser(np.array([0, 1]), np.array([0], np.int32)), 4)
    assert (items.tolist(), scores.tolist()) == ([[1, 2, -1, -1]], [[9, 9, -np.inf, -np.inf]])


def test_ranks_over_many_blocks_are_those_of_the_scores(monkeypatch):
    monkeypatch.setattr("models.neural.BLOCK_ITEMS", 2)
    rng = np.random.default_rng(0)
    tables = {f"item_{name}": rng.normal(size=(5, 1)).astype(np.float32) for name in ("factors", "embeddings")}
    model = NeuralModel(**arrays(**tables))
    items, scores = model.rank(np.array([0]), NOTHING, 5)
    of_all = model.score(np.zeros(5, np.int64), np.arange(5))
    assert items[0].tolist() == np.argsort(-of_all).tolist()
    np.testing.assert_allclose(scores[0], of_all[items[0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("user_embeddings", np.ones((1, 1)), "user_embeddings is float64"),
        ("item_embeddings", np.full((3, 1), np.nan, np.float32), "item_embeddings row 0 holds NaN"),
        ("item_embeddings", np.ones((2, 1), np.float32), "expected 1 and 3 rows of one length"),
        ("user_embeddings", np.ones((1, 2), np.float32), r"shapes \(1, 2\) and \(3, 1\)"),
        ("widths", np.array([2, 1], np.int32), "widths are int32"),
        ("widths", np.array([[2, 1]]), r"of shape \(1, 2\)"),
        ("widths", np.array([-2, 1]), "all above 0"),
        ("widths", np.array([], np.int64), "expected 0, and 1 as the last width"),
        ("widths", np.array([2, 2]), "and 1 as the last width"),
        ("weights", np.ones(8, np.float32), "have 8 weights; expected 9"),
        ("weights", np.ones((3, 3), np.float32), "weights is float32"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name, values, message):
    with pytest.raises(ValueError, match=message):
        NeuralModel(**arrays(**{name: values}))


def test_a_file_that_is_replaced_is_refused(tmp_path):
    NeuralModel(**arrays()).save(tmp_path)
    np.save(tmp_path / "weights.npy", np.array([np.inf] * 9, np.float32))
    with pytest.raises(ValueError, match="weights row 0 holds NaN or infinity"):
        NeuralModel.load(tmp_path)
