import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models import top_k as top_k_module
from models.factors import FactorModel
from models.top_k import top_k
from schema.items_by_user import ItemsByUser

NOTHING_SEEN = np.array([], dtype=np.int32)


def rank_by_sorting_everything(users, items, seen, k):
    """The oracle: all scores in double precision, rounded, fully sorted by (-score, item)."""
    exact = (users.astype(np.float64)[:, None] * items.astype(np.float64)[None]).sum(axis=2).astype(np.float32)
    for user, hidden in enumerate(seen):
        exact[user, list(hidden)] = -np.inf
    ranked = np.full((len(users), k), -1), np.full((len(users), k), -np.inf, dtype=np.float32)
    for user, row in enumerate(exact):
        order = [i for i in np.lexsort((np.arange(len(row)), -row)) if row[i] > -np.inf][:k]
        ranked[0][user, : len(order)], ranked[1][user, : len(order)] = order, row[order]
    return ranked


def as_indptr(seen):
    items = np.array([item for hidden in seen for item in hidden], dtype=np.int32)
    return np.cumsum([0, *map(len, seen)]), items


@st.composite
def problems(draw):
    n_users, n_items, rank = draw(st.integers(1, 6)), draw(st.integers(1, 90)), draw(st.integers(1, 3))
    values = draw(st.sampled_from([st.integers(-2, 2), st.floats(-4, 4, width=16)]))
    users = draw(arrays(np.float32, (n_users, rank), elements=values))
    items = draw(arrays(np.float32, (n_items, rank), elements=values))
    seen = draw(st.lists(st.sets(st.integers(0, n_items - 1)), min_size=n_users, max_size=n_users))
    return users, items, seen, draw(st.integers(1, 12))


@given(problems())
def test_top_k_equals_sorting_everything(problem):
    users, items, seen, k = problem
    ranked, scores = top_k(users, items, *as_indptr(seen), k)
    expected_ranked, expected_scores = rank_by_sorting_everything(users, items, seen, k)
    np.testing.assert_array_equal(ranked, expected_ranked)
    np.testing.assert_array_equal(scores, expected_scores)


def test_top_k_equals_sorting_everything_on_a_wide_catalogue_with_repeated_items():
    generator = np.random.default_rng(7)
    users = generator.standard_normal((20, 8), dtype=np.float32)
    items = np.tile(generator.standard_normal((150, 8), dtype=np.float32), (20, 1))
    seen = [set(generator.integers(3000, size=30).tolist()) for _ in users]
    expected = rank_by_sorting_everything(users, items, seen, 10)[0]
    np.testing.assert_array_equal(top_k(users, items, *as_indptr(seen), 10)[0], expected)
    model = FactorModel(users, items)
    np.testing.assert_array_equal(model.rank(np.arange(20), ItemsByUser(*as_indptr(seen)), 10)[0], expected)


def test_top_k_orders_equal_scores_by_item_when_all_are_equal():
    ranked, _ = top_k(np.zeros((1, 4), np.float32), np.ones((5000, 4), np.float32), [0, 0], NOTHING_SEEN, 5)
    assert ranked.tolist() == [[0, 1, 2, 3, 4]]


def test_top_k_fills_up_with_minus_one_where_everything_else_is_seen():
    items = np.array([[1], [2], [3]], np.float32)
    ranked, scores = top_k(np.ones((1, 1), np.float32), items, np.array([0, 2]), np.array([2, 0]), 4)
    assert ranked.tolist() == [[1, -1, -1, -1]]
    assert scores.tolist() == [[2.0, -np.inf, -np.inf, -np.inf]]


def test_top_k_gives_a_user_the_same_bytes_in_any_company():
    generator = np.random.default_rng(1)
    users = generator.standard_normal((300, 64), dtype=np.float32)
    items = generator.standard_normal((2753, 64), dtype=np.float32)
    together = top_k(users, items, np.zeros(301, np.int64), NOTHING_SEEN, 10)
    for part in (slice(17, 18), slice(3, 290), slice(299, None, -1)):
        n = len(users[part])
        apart = top_k(users[part], items, np.zeros(n + 1, np.int64), NOTHING_SEEN, 10)
        assert apart[0].tobytes() == together[0][part].tobytes()
        assert apart[1].tobytes() == together[1][part].tobytes()


def test_top_k_does_not_depend_on_the_block_size(monkeypatch):
    generator = np.random.default_rng(2)
    users, items = (generator.standard_normal((n, 16), dtype=np.float32) for n in (50, 400))
    seen = as_indptr([{n, n + 1} for n in range(50)])
    whole, _ = top_k(users, items, *seen, 10)
    monkeypatch.setattr(top_k_module, "BLOCK_SCORES", 7 * 400)
    blocks, _ = top_k(users, items, *seen, 10)
    np.testing.assert_array_equal(whole, blocks)


def test_top_k_never_holds_a_user_by_item_matrix(monkeypatch):
    widest = []
    matmul = np.matmul

    def watch(a, b, out):
        widest.append(out.shape[0] * out.shape[1])
        return matmul(a, b, out=out)

    monkeypatch.setattr(np, "matmul", watch)
    top_k(np.ones((2000, 1), np.float32), np.ones((9000, 1), np.float32), np.zeros(2001, int), NOTHING_SEEN, 1)
    assert len(widest) > 1
    assert max(widest) <= top_k_module.BLOCK_USERS * 9000


def test_top_k_of_no_users_or_no_items_is_empty():
    one, none = np.ones((1, 2), np.float32), np.ones((0, 2), np.float32)
    assert top_k(none, one, np.array([0]), NOTHING_SEEN, 3)[0].shape == (0, 3)
    assert top_k(one, none, np.array([0, 0]), NOTHING_SEEN, 3)[0].tolist() == [[-1, -1, -1]]
