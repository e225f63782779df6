import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import as_table, measure, users_of

from evaluation.segments import (
    score_item_segments,
    score_user_segments,
    segment_items,
    segment_users_by_activity,
    segment_users_by_age,
)
from evaluation.significance import share_interval
from schema.metric import Metric, SegmentScore

HEAD, TORSO, TAIL, COLD = ITEM_SEGMENTS = ("head", "torso", "tail", "cold")
NAMES = [HEAD, HEAD, TORSO, TAIL, TAIL, COLD]
SEGMENTS = {name: np.array(NAMES) == name for name in ITEM_SEGMENTS}


def names_of(segments):
    """The segment of each item; each is in one of them."""
    assert (sum(is_in.astype(int) for is_in in segments.values()) == 1).all()
    return [
        next(name for name, is_in in segments.items() if is_in[item])
        for item in range(len(next(iter(segments.values()))))
    ]


def test_items_are_parted_where_half_and_four_fifths_of_the_interactions_are_reached():
    """Of 100 interactions: 30 + 20 are half, with 18 + 12 more four fifths."""
    expected = [TAIL, HEAD, HEAD, COLD, TORSO, TORSO, TAIL]
    assert names_of(segment_items(np.array([10, 30, 20, 0, 18, 12, 10]))) == expected


def test_an_item_that_reaches_across_a_bound_belongs_to_the_more_popular_part():
    assert names_of(segment_items(np.array([49, 2, 28, 21]))) == [HEAD, TAIL, HEAD, TORSO]
    assert names_of(segment_items(np.array([90, 10]))) == [HEAD, TAIL]


def test_equally_popular_items_are_parted_by_index():
    assert names_of(segment_items(np.full(10, 3))) == [HEAD] * 5 + [TORSO] * 3 + [TAIL] * 2


def test_items_without_training_rows_are_cold():
    assert names_of(segment_items(np.zeros(3, dtype=np.int64))) == [COLD] * 3
    assert names_of(segment_items(np.array([], dtype=np.int64))) == []


@given(st.lists(st.integers(0, 6), max_size=12))
def test_segments_of_items_are_the_fewest_that_hold_their_share(counts):
    segment = segment_items(np.array(counts, dtype=np.int64))
    order = sorted(range(len(counts)), key=lambda i: (-counts[i], i))
    held, wanted = 0, {}
    for item in order:
        wanted[item] = HEAD if held < 0.5 * sum(counts) else TORSO if 5 * held < 4 * sum(counts) else TAIL
        held += counts[item]
    assert names_of(segment) == [wanted[i] if counts[i] else COLD for i in range(len(counts))]


def test_a_user_of_median_activity_is_light():
    assert segment_users_by_activity(np.array([1, 3, 3, 9, 4]))["heavy"].tolist() == [0, 0, 0, 1, 1]
    assert segment_users_by_activity(np.array([5, 5, 5]))["heavy"].tolist() == [0, 0, 0]


def test_a_user_of_median_age_is_new():
    assert segment_users_by_age(np.array([300, 100, 200]))["new"].tolist() == [1, 0, 1]
    assert segment_users_by_age(np.array([100, 200]))["new"].tolist() == [0, 1]


def make_scores():
    return {Metric("ndcg", 10): np.array([0.0, 1.0, 0.5, 0.0]), Metric("recall", 10): np.array([0.0, 1.0, 1.0, 0.5])}


def test_user_segments_are_means_over_their_users():
    found = score_user_segments(make_scores(), "activity", segment_users_by_activity(np.array([1, 9, 2, 2])))
    values = {(score.segment, score.metric.name): (score.value, score.n_users) for score in found}
    assert values == {
        ("light", "ndcg"): (0.5 / 3, 3),
        ("light", "recall"): (0.5, 3),
        ("heavy", "ndcg"): (1, 1),
        ("heavy", "recall"): (1, 1),
    }
    assert found[0] == SegmentScore(
        "activity", "light", Metric("ndcg", 10), 0.5 / 3, *share_interval(np.array([0.0, 0.5, 0.0])), 3
    )


def test_a_segment_without_users_is_left_out():
    found = score_user_segments(make_scores(), "activity", {"light": np.zeros(4, bool), "heavy": np.ones(4, bool)})
    assert {score.segment for score in found} == {"heavy"}


def test_hits_in_other_segments_are_taken_out_of_the_ranks():
    """Both head items stand above the tail item 3: the tail's first hit is at rank 1, the miss 5 costs a rank."""
    found = score_item_segments(np.array([[0, 1, 3, 5, 4]]), as_table([{0, 1, 3, 4}]), SEGMENTS, [Metric("map", 3)])
    assert {score.segment: score.value for score in found} == {"head": 1, "tail": (1 / 1 + 2 / 3) / 2}
    assert {score.group for score in found} == {"item popularity"}


def test_an_item_segment_counts_only_users_who_have_one_of_its_items_held_out():
    lists, relevant = np.array([[0, 2], [2, 0], [1, 3]]), as_table([{0}, {2}, {2, 3}])
    found = score_item_segments(lists, relevant, SEGMENTS, [Metric("recall", 2)])
    wanted = {"head": (1, 1), "torso": (0.5, 2), "tail": (1, 1)}
    assert {score.segment: (score.value, score.n_users) for score in found} == wanted


@given(users_of(n_items=6, longest=5, most_users=6, least_relevant=0))
def test_item_segments_equal_their_definition(users):
    items = np.array([[*each, *[-1] * (5 - len(each))] for each, _ in users])
    found = score_item_segments(
        items, as_table([held for _, held in users]), SEGMENTS, [Metric("ndcg", 3), Metric("recall", 5)]
    )
    wanted = {}
    for name in ITEM_SEGMENTS:
        pairs = []
        for each, held in users:
            own = {item for item in held if NAMES[item] == name}
            pairs += [([item for item in each if item in own or item not in held], own)] if own else []
        if pairs:
            wanted[name, "ndcg"] = np.mean([measure(*pair, 3)["ndcg"] for pair in pairs]), len(pairs)
            wanted[name, "recall"] = np.mean([measure(*pair, 5)["recall"] for pair in pairs]), len(pairs)
    assert [(score.segment, score.metric.name) for score in found] == list(wanted)
    for score in found:
        assert (pytest.approx(score.value, abs=1e-9), score.n_users) == wanted[score.segment, score.metric.name]


def test_item_segments_refuse_what_does_not_fit():
    lists, relevant = np.array([[0, 1]]), as_table([{0}])
    with pytest.raises(ValueError, match=r"cut-offs are \[10\] for lists of 2"):
        score_item_segments(lists, relevant, SEGMENTS)
    with pytest.raises(ValueError, match="repeats an item"):
        score_item_segments(np.array([[1, 1]]), relevant, SEGMENTS, [Metric("ndcg", 2)])
