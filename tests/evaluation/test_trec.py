"""evaluation.ranking against trec_eval itself, the C program that pytrec-eval wraps."""

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from oracles import as_matrix, as_table, users_of

from evaluation.ranking import evaluate_ranking
from models.top_k import top_k

KS = (5, 10, 20)
TREC_NAMES = {"ndcg": "ndcg_cut", "recall": "recall", "precision": "P", "hit_rate": "success", "map": "map_cut"}
N_ITEMS = 60

CORNERS = {
    "shorter than k": ([3, 1, 2], {2, 9}),
    "shorter than k, more relevant than k": ([0], set(range(30))),
    "more relevant than k, all hit": (list(range(20)), set(range(30))),
    "more relevant than k, hit from the middle on": (list(range(20)), set(range(8, 40))),
    "one relevant, first": (list(range(20)), {0}),
    "one relevant, at the cut-off": (list(range(20)), {4}),
    "one relevant, just after the cut-off": (list(range(20)), {5}),
    "one relevant, last": (list(range(20)), {19}),
    "none hit": (list(range(20)), {40, 41}),
    "everything relevant": (list(range(20)), set(range(N_ITEMS))),
    "nothing listed": ([], {1, 2}),
    "names that sort against the ranks": ([59, 7, 50, 6, 10, 1], {6, 10, 59}),
}


def ask_trec(lists, relevant):
    """Return (metric, k) -> one value per list; scores fall strictly, so that no name of an item decides."""
    qrels = {f"u{user}": {f"i{item}": 1 for item in items} for user, items in enumerate(relevant)}
    run = {f"u{user}": {f"i{i}": float(-rank) for rank, i in enumerate(each)} for user, each in enumerate(lists)}
    wanted = {f"{name}.{','.join(map(str, KS))}" for name in TREC_NAMES.values()}
    found = pytrec_eval.RelevanceEvaluator(qrels, wanted).evaluate(run)
    users = [f"u{user}" for user in range(len(lists))]
    scores = {(ours, k): [found[u][f"{name}_{k}"] for u in users] for ours, name in TREC_NAMES.items() for k in KS}
    return scores | {("mrr", k): ask_trec_for_reciprocal_ranks(lists, qrels, k) for k in KS}


def ask_trec_for_reciprocal_ranks(lists, qrels, k):
    """trec_eval has no cut-off for these: it is given lists of k."""
    run = {f"u{user}": {f"i{i}": float(-rank) for rank, i in enumerate(each[:k])} for user, each in enumerate(lists)}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(run)
    return [found[f"u{user}"]["recip_rank"] for user in range(len(lists))]


def ask_ours(lists, relevant):
    return evaluate_ranking(as_matrix(lists, 20), as_table(relevant), KS)


def assert_equal_to_trec(lists, relevant):
    ours, theirs = ask_ours(lists, relevant), ask_trec(lists, relevant)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=0, atol=1e-9, err_msg=str(name))


def test_metrics_equal_trec_eval_on_random_lists():
    generator = np.random.default_rng(5)
    lists = [generator.permutation(N_ITEMS)[: generator.integers(0, 21)].tolist() for _ in range(400)]
    relevant = [set(generator.permutation(N_ITEMS)[: generator.integers(1, 41)].tolist()) for _ in range(400)]
    assert_equal_to_trec(lists, relevant)


@pytest.mark.parametrize("corner", CORNERS)
def test_metrics_equal_trec_eval_in_the_corners(corner):
    items, relevant = CORNERS[corner]
    assert_equal_to_trec([items], [relevant])


@settings(max_examples=60)
@given(users_of(n_items=26, longest=20, most_users=4))
def test_metrics_equal_trec_eval_on_any_lists(users):
    lists, relevant = zip(*users, strict=True)
    assert_equal_to_trec(lists, relevant)


def test_ties_are_ordered_by_item_index_before_the_metric_sees_the_list():
    """All 30 items score alike and items 0 and 1 are relevant: the list of the model begins with both.

    trec_eval, given the equal scores, breaks the ties by name from the last to the first; given the list as
    ranks, it agrees with us to the last digit: the metric itself knows no scores and breaks no ties.
    """
    alike = np.ones((30, 1), dtype=np.float32)
    items, scores = top_k(np.ones((1, 1), np.float32), alike, np.array([0, 0]), np.array([], np.int32), k=20)
    assert items[0].tolist() == list(range(20))
    assert set(scores[0].tolist()) == {1.0}
    assert_equal_to_trec(items.tolist(), [{0, 1}])
    assert ask_ours(items.tolist(), [{0, 1}])["ndcg", 5][0] == 1
    tied = {"u0": {f"i{item:02}": 1.0 for item in range(20)}}
    theirs = pytrec_eval.RelevanceEvaluator({"u0": {"i00": 1, "i01": 1}}, {"ndcg_cut.5"}).evaluate(tied)
    assert theirs["u0"]["ndcg_cut_5"] == 0
