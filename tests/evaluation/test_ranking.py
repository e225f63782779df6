import importlib

import numpy as np
import pytest
from hypothesis import given
from oracles import as_matrix, as_table, measure, users_of

from evaluation import ranking
from evaluation.ranking import contains_pairs, evaluate_lists, evaluate_ranking, rank_held_out, summarise
from models.base import Interactions
from models.chance import ChanceModel
from models.factors import FactorModel
from models.popularity import Popularity
from schema.items_by_user import ItemsByUser
from schema.metric import RANKING_METRICS, Metric

KS = (1, 3, 5, 10)
OF_RANX = ("ndcg", "recall", "precision", "hit_rate", "mrr", "map")


@pytest.fixture(scope="module")
def ranx():
    """The package as plain Python: compiling it takes minutes, running it on 300 lists a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_DISABLE_JIT", "1")
        yield importlib.import_module("ranx")


def adversarial_lists():
    """Lists of 1 to 10 of 40 items against 1 to 15 relevant ones, and the corners."""
    generator = np.random.default_rng(11)
    lists = [generator.permutation(40)[: generator.integers(1, 11)].tolist() for _ in range(300)]
    relevant = [set(generator.permutation(40)[: generator.integers(1, 16)].tolist()) for _ in range(300)]
    corners = [
        (list(range(10)), set(range(10))),
        (list(range(10)), set(range(15))),
        (list(range(10)), {9}),
        (list(range(10)), {0}),
        (list(range(10)), {39}),
        ([0], {0}),
        ([39], set(range(40))),
        (list(range(9, -1, -1)), {0, 9}),
    ]
    return [*lists, *(c[0] for c in corners)], [*relevant, *(c[1] for c in corners)]


def test_metrics_equal_ranx(ranx):
    lists, relevant = adversarial_lists()
    qrels = {f"u{u:03}": {f"i{i}": 1 for i in items} for u, items in enumerate(relevant)}
    run = {f"u{u:03}": {f"i{i}": 10.0 - rank for rank, i in enumerate(items)} for u, items in enumerate(lists)}
    names = [f"{metric}@{k}" for metric in OF_RANX for k in KS]
    theirs = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), names, return_mean=False)
    ours = evaluate_ranking(as_matrix(lists, 10), as_table(relevant), KS)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[Metric.parse(name.replace("@", "_"))], values, rtol=0, atol=1e-9)
    for (metric, k), values in ours.items():
        each = [measure(*pair, k)[metric] for pair in zip(lists, relevant, strict=True)]
        np.testing.assert_allclose(values, each, rtol=0, atol=1e-9)


@given(users_of(n_items=9, longest=6, most_users=5))
def test_evaluate_ranking_equals_the_metric_of_each_list(users):
    lists, relevant = zip(*users, strict=True)
    scores = evaluate_ranking(as_matrix(lists, 6), as_table(relevant), range(1, 7))
    for (metric, k), values in scores.items():
        each = [measure(*pair, k)[metric] for pair in users]
        np.testing.assert_allclose(values, each, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("map", (1 / 2 + 2 / 4) / 3),
        ("hit_rate", 1.0),
        ("ndcg", (0.63093 + 0.43068) / (1 + 0.63093 + 0.5)),
        ("precision", 2 / 5),
        ("recall", 2 / 3),
        ("mrr", 1 / 2),
    ],
)
def test_metrics_by_hand_with_hits_at_ranks_2_and_4_of_a_short_list(metric, expected):
    scores = evaluate_ranking(as_matrix([[9, 1, 8, 2]], 5), as_table([{1, 2, 3}]), [5])
    assert scores[metric, 5][0] == pytest.approx(expected, abs=1e-5)


def test_every_metric_can_be_failed_and_passed():
    scores = evaluate_ranking(np.array([[0], [1]]), as_table([{0}, {0}]), [1])
    assert scores.keys() == {(name, 1) for name in RANKING_METRICS}
    for values in scores.values():
        assert values.tolist() == [1.0, 0.0]


def test_contains_pairs_never_finds_an_empty_place():
    table = as_table([{1}, set(), {0, 2}])
    found = contains_pairs(table, np.array([[1, -1], [-1, 1], [2, 1]]))
    assert found.tolist() == [[True, False], [False, False], [True, False]]
    assert not contains_pairs(as_table([set()]), np.array([[0, -1]])).any()


@pytest.mark.parametrize(
    ("items", "relevant", "ks", "message"),
    [
        ([[1, 2]], [{1}], [3], "cut-offs are .3. for lists of 2"),
        ([[1, 2]], [{1}], [0], "cut-offs are .0."),
        ([[1, 2]], [{1}], [], "cut-offs are"),
        ([[1, 2]], [{1}, {2}], [1], "1 lists for 2 users"),
        ([[1, 2], [1, 2]], [{1}, set()], [1], "row 1 has nothing held out"),
        ([[1, 2], [3, 3]], [{1}, {3}], [2], "row 1 repeats an item"),
    ],
)
def test_evaluate_ranking_refuses_what_would_flatter(items, relevant, ks, message):
    with pytest.raises(ValueError, match=message):
        evaluate_ranking(np.array(items), as_table(relevant), ks)


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
    users = np.flatnonzero(relevant.counts)
    return evaluate_lists(lists_of(model, seen, users, k), users, seen, relevant, [k])["ndcg", k].mean()


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


def test_scores_do_not_depend_on_blocks(checkerboard, monkeypatch):
    seen, relevant = checkerboard
    users = np.arange(N_USERS)
    items = lists_of(ChanceModel(N_USERS, N_ITEMS, seed=1), seen, users, 5)
    whole = evaluate_lists(items, users, seen, relevant, [5])
    monkeypatch.setattr(ranking, "BLOCK_USERS", 5)
    blocks = evaluate_lists(items, users, seen, relevant, [5])
    assert whole["ndcg", 5].mean() > 0
    assert {metric: values.tolist() for metric, values in blocks.items()} == {
        metric: values.tolist() for metric, values in whole.items()
    }


def test_rows_hold_each_metric_at_each_k_with_its_interval(checkerboard):
    seen, relevant = checkerboard
    users = np.arange(N_USERS)
    items = lists_of(ChanceModel(N_USERS, N_ITEMS, seed=2), seen, users, 5)
    scores = evaluate_lists(items, users, seen, relevant, [1, 5])
    rows = summarise(scores, ("random", {"seed": 2}, "test"))
    assert {row.key for row in rows} == set(scores)
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
    assert {name: values.mean() for name, values in scores.items() if name[0] in ("ndcg", "recall", "map")} == {
        (metric, k): 1.0 for metric in ("ndcg", "recall", "map") for k in (1, 3)
    }
