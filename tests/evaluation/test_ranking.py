import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import metrics
from evaluation.ranking import RANKING_METRICS, contains_pairs, evaluate_ranking
from schema.items_by_user import ItemsByUser

PER_LIST = {
    "ndcg": metrics.ndcg_at_k,
    "recall": metrics.recall_at_k,
    "precision": metrics.precision_at_k,
    "hit_rate": metrics.hit_rate_at_k,
    "mrr": metrics.reciprocal_rank_at_k,
    "map": metrics.average_precision_at_k,
}
KS = (1, 3, 5, 10)


@pytest.fixture(scope="module")
def ranx():
    """The package as plain Python: compiling it takes minutes, running it on 300 lists a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_DISABLE_JIT", "1")
        yield importlib.import_module("ranx")


def as_table(relevant):
    pairs = np.array([(user, item) for user, items in enumerate(relevant) for item in items], dtype=int).reshape(-1, 2)
    return ItemsByUser.from_pairs(pairs[:, 0], pairs[:, 1], len(relevant))


def as_matrix(lists, width):
    return np.array([[*items, *[-1] * (width - len(items))] for items in lists])


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
    names = [f"{metric}@{k}" for metric in RANKING_METRICS for k in KS]
    theirs = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), names, return_mean=False)
    ours = evaluate_ranking(as_matrix(lists, 10), as_table(relevant), KS)
    for (metric, k), values in ours.items():
        np.testing.assert_allclose(values, theirs[f"{metric}@{k}"], rtol=0, atol=1e-9)
        each = [PER_LIST[metric](*pair, k) for pair in zip(lists, relevant, strict=True)]
        np.testing.assert_allclose(values, each, rtol=0, atol=1e-9)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 8), max_size=6, unique=True), st.sets(st.integers(0, 8), min_size=1)),
        min_size=1,
        max_size=5,
    )
)
def test_evaluate_ranking_equals_the_metric_of_each_list(users):
    lists, relevant = zip(*users, strict=True)
    scores = evaluate_ranking(as_matrix(lists, 6), as_table(relevant), range(1, 7))
    for (metric, k), values in scores.items():
        each = [PER_LIST[metric](*pair, k) for pair in users]
        np.testing.assert_allclose(values, each, rtol=0, atol=1e-12)


def test_every_metric_can_be_failed_and_passed():
    relevant = as_table([{0}, {0}])
    for values in evaluate_ranking(np.array([[0], [1]]), relevant, [1]).values():
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
