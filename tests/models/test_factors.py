import numpy as np
import pytest

from models.factors import SCORE_BLOCK_ROWS, FactorModel
from schema.items_by_user import ItemsByUser


@pytest.fixture
def model():
    return FactorModel(np.array([[1, 2], [0, 1]], np.float32), np.array([[3, 0], [0, 4], [1, 1]], np.float32))


def test_save_writes_little_endian_float32_in_c_order(model, tmp_path):
    FactorModel(np.asfortranarray(model.user_factors), model.item_factors).save(tmp_path)
    content = (tmp_path / "user_factors.npy").read_bytes()
    assert b"'descr': '<f4', 'fortran_order': False" in content
    assert content.endswith(np.array([1, 2, 0, 1], "<f4").tobytes())


def test_score_is_the_product_of_each_pair_beyond_one_block(model):
    n = SCORE_BLOCK_ROWS + 3
    users, items = np.arange(n) % 2, np.arange(n) % 3
    products = model.user_factors @ model.item_factors.T
    np.testing.assert_array_equal(model.score(users, items), products[users, items])


def test_model_counts_its_users_and_items(model):
    assert (model.n_users, model.n_items) == (2, 3)


@pytest.mark.parametrize(
    ("users", "items", "message"),
    [
        (np.ones((2, 3), np.float32), np.ones((2, 4), np.float32), "differ in rank"),
        (np.ones((2, 3)), np.ones((2, 3), np.float32), "user_factors is float64"),
        (np.ones(3, np.float32), np.ones((2, 3), np.float32), r"shape \(3,\)"),
        (np.ones((2, 1), np.float32), np.array([[1], [np.nan]], np.float32), "item_factors row 1 holds NaN"),
    ],
)
def test_model_refuses_factors_it_cannot_use(users, items, message):
    with pytest.raises(ValueError, match=message):
        FactorModel(users, items)


def test_rank_is_the_top_k_of_the_users_asked_for(model):
    seen = ItemsByUser(np.array([0, 0, 1]), np.array([1], np.int32))
    items, scores = model.rank(np.array([1, 0]), seen, 2)
    assert items.tolist() == [[1, 2], [0, 2]]
    assert scores.tolist() == [[4, 1], [3, 3]]


@pytest.mark.parametrize("n_left", [0, 1, 5, 60])
@pytest.mark.parametrize("k", [1, 10, 200])
def test_a_user_from_whom_most_items_are_hidden_gets_the_same_list_as_in_company(n_left, k):
    rng = np.random.default_rng(n_left)
    model = FactorModel(*(rng.integers(-2, 3, shape).astype(np.float32) for shape in ((2, 3), (200, 3))))  # many ties
    hidden = np.sort(rng.permutation(200)[n_left:])
    alone = ItemsByUser.from_pairs(np.zeros(len(hidden), int), hidden, n_users=1)
    together = ItemsByUser.from_pairs(np.repeat([0, 1], len(hidden)), np.tile(hidden, 2), n_users=2)
    items, scores = model.rank(np.array([0]), alone, k)
    for found, expected in zip((items, scores), model.rank(np.array([0, 1]), together, k), strict=True):
        np.testing.assert_array_equal(found[0], expected[0])
    assert (items >= 0).sum() == min(k, n_left)
    assert not set(items[items >= 0].tolist()) & set(hidden.tolist())
