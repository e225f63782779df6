import numpy as np
import pytest

from evaluation.evaluate import combine_scores, evaluate_lists, find_users_to_evaluate, rank_held_out
from models.base import Interactions
from models.chance import ChanceModel
from models.factors import FactorModel
from models.popularity import Popularity
from schema.items_by_user import ItemsByUser
from schema.metric import Metric

N_USERS, N_ITEMS = 12, 20


@pytest.fixture
def checkerboard():
    """Users and items of two colours: each user has all items of their own colour, one of them held out."""
    users, items = np.nonzero(np.add.outer(np.arange(N_USERS), np.arange(N_ITEMS)) % 2 == 0)
    is_held_out = items == (users % 2 + 2 * (users // 2)) % N_ITEMS
    seen = ItemsByUser.from_pairs(users[~is_held_out], items[~is_held_out], N_USERS)
    return seen, ItemsByUser.from_pairs(users[is_held_out], items[is_held_out], N_USERS)


def lists_of(model, seen, users, k):
    return model.rank(users, seen.take(users), k)[0]


def factorise(seen, rank=2):
    matrix = np.zeros((N_USERS, N_ITEMS))
    matrix[np.repeat(np.arange(N_USERS), seen.counts), seen.items] = 1
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    factors = left[:, :rank] * values[:rank], right[:rank].T
    return FactorModel(*(np.ascontiguousarray(side, dtype=np.float32) for side in factors))


def mean_ndcg(model, seen, relevant, k=1):
    users = find_users_to_evaluate(seen, relevant).warm
    return evaluate_lists(lists_of(model, seen, users, k), users, seen, relevant, [k]).mean(Metric("ndcg", k))


def test_withheld_item_of_each_user_of_a_checkerboard_ranks_first(checkerboard):
    assert mean_ndcg(factorise(checkerboard[0]), *checkerboard) == 1.0


def test_a_model_of_opposite_taste_finds_nothing_on_a_checkerboard(checkerboard):
    model = factorise(checkerboard[0])
    opposite = FactorModel(-model.user_factors, model.item_factors)
    assert mean_ndcg(opposite, *checkerboard, k=5) == 0.0


def test_baselines_that_do_not_know_the_user_fail_on_a_checkerboard(checkerboard):
    popularity = Popularity().fit(Interactions.of(N_USERS, N_ITEMS, item_idx=checkerboard[0].items), {})
    assert mean_ndcg(popularity, *checkerboard) < 0.5
    assert mean_ndcg(ChanceModel(N_USERS, N_ITEMS, seed=1), *checkerboard) < 0.5


def test_scores_do_not_depend_on_blocks_or_on_how_users_are_shared_out(checkerboard):
    seen, relevant = checkerboard
    users = np.arange(N_USERS)
    items = lists_of(ChanceModel(N_USERS, N_ITEMS, seed=1), seen, users, 5)
    whole = evaluate_lists(items, users, seen, relevant, [5])
    blocks = evaluate_lists(items, users, seen, relevant, [5], block_users=5)
    shares = [evaluate_lists(items[share], share, seen, relevant, [5]) for share in np.split(users, [4, 7])]
    assert whole.mean(Metric("ndcg", 5)) > 0
    for other in (blocks, combine_scores(shares)):
        assert other.users.tolist() == users.tolist()
        for name, values in whole.scores.items():
            np.testing.assert_array_equal(other.scores[name], values)


def test_cold_users_are_told_apart():
    seen = ItemsByUser.from_pairs(np.array([0, 3]), np.array([1, 1]), n_users=5)
    relevant = ItemsByUser.from_pairs(np.array([0, 2, 4]), np.array([2, 2, 2]), n_users=5)
    users = find_users_to_evaluate(seen, relevant)
    assert (users.warm.tolist(), users.cold.tolist()) == ([0], [2, 4])


def test_rows_hold_each_metric_at_each_k_with_its_interval(checkerboard):
    seen, relevant = checkerboard
    users = np.arange(N_USERS)
    items = lists_of(ChanceModel(N_USERS, N_ITEMS, seed=2), seen, users, 5)
    scores = evaluate_lists(items, users, seen, relevant, [1, 5])
    rows = scores.rows("random", {"seed": 2}, "test")
    assert {row.key for row in rows} == set(scores.scores)
    for row in rows:
        assert (row.model, row.parameters, row.split, row.n_users) == ("random", {"seed": 2}, "test", N_USERS)
        assert 0 <= row.low <= row.value <= row.high <= 1
    assert any(row.low < row.high for row in rows)


def test_a_recommender_that_shows_seen_items_is_refused(checkerboard):
    seen, relevant = checkerboard
    first_seen = seen.items[seen.indptr[:-1]]
    with pytest.raises(ValueError, match=rf"user 3 was recommended item {first_seen[3]}, which is in their train"):
        evaluate_lists(first_seen[[3, 4], None], np.array([3, 4]), seen, relevant, [1])


def test_a_held_out_row_that_is_also_in_train_is_refused():
    leaky = ItemsByUser.from_pairs(np.array([0, 1, 1]), np.array([0, 1, 2]), n_users=2)
    held_out = ItemsByUser.from_pairs(np.array([0, 1]), np.array([3, 2]), n_users=2)
    with pytest.raises(ValueError, match="item 2 of user 1 is both in train and held out"):
        evaluate_lists(np.full((2, 1), 9), np.array([0, 1]), leaky, held_out, [1])


def test_an_evaluation_of_nobody_is_refused(checkerboard):
    with pytest.raises(ValueError, match="no user to evaluate"):
        evaluate_lists(np.zeros((0, 1), int), np.array([], int), *checkerboard, [1])


def test_an_oracle_gets_all_that_can_be_got(checkerboard):
    seen, relevant = checkerboard
    users = np.arange(N_USERS)
    scores = evaluate_lists(rank_held_out(relevant, users, 3), users, seen, relevant, [1, 3])
    assert {name: values.mean() for name, values in scores.scores.items() if name[0] in ("ndcg", "recall", "map")} == {
        (metric, k): 1.0 for metric in ("ndcg", "recall", "map") for k in (1, 3)
    }
