import pytest

from evaluation.metrics import (
    average_precision_at_k,
    hit_rate_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank_at_k,
)

ALL = [
    average_precision_at_k,
    hit_rate_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank_at_k,
]


@pytest.mark.parametrize("metric", ALL)
def test_metrics_are_one_when_the_list_is_exactly_the_relevant_items(metric):
    assert metric([4, 2], {2, 4}, k=2) == pytest.approx(1.0)


@pytest.mark.parametrize("metric", ALL)
def test_metrics_are_zero_when_nothing_hits(metric):
    assert metric([4, 2], {3}, k=2) == 0.0
    assert metric([], {3}, k=2) == 0.0


@pytest.mark.parametrize("metric", ALL)
def test_metrics_ignore_what_comes_after_k(metric):
    assert metric([1, 2, 3], {3}, k=2) == 0.0


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (average_precision_at_k, (1 / 2 + 2 / 4) / 3),
        (hit_rate_at_k, 1.0),
        (ndcg_at_k, (0.63093 + 0.43068) / (1 + 0.63093 + 0.5)),
        (precision_at_k, 2 / 5),
        (recall_at_k, 2 / 3),
        (reciprocal_rank_at_k, 1 / 2),
    ],
)
def test_metrics_by_hand_with_hits_at_ranks_2_and_4_of_a_short_list(metric, expected):
    assert metric([9, 1, 8, 2], {1, 2, 3}, k=5) == pytest.approx(expected, abs=1e-5)


def test_ndcg_of_more_relevant_items_than_k_can_still_be_one():
    assert ndcg_at_k([1, 2], {1, 2, 3, 4}, k=2) == 1.0
    assert recall_at_k([1, 2], {1, 2, 3, 4}, k=2) == 0.5


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize(
    ("ranked", "relevant", "k", "message"),
    [
        ([1], {1}, 0, "k is 0"),
        ([1], set(), 1, "relevant is empty"),
        ([1, 1], {1}, 2, "ranked repeats an item"),
    ],
)
def test_metrics_refuse_what_has_no_value(metric, ranked, relevant, k, message):
    with pytest.raises(ValueError, match=message):
        metric(ranked, relevant, k)
