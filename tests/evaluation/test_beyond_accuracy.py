import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import as_matrix

from evaluation import beyond_accuracy
from evaluation.beyond_accuracy import (
    Estimate,
    coverage_at_k,
    gini_at_k,
    intra_list_diversity,
    mean_popularity,
    personalisation_at_k,
    self_information,
)
from evaluation.ranking import check_lists
from schema.items_by_user import ItemsByUser

METRICS = (coverage_at_k, gini_at_k, personalisation_at_k)
MEASURES = pytest.mark.parametrize("measure", METRICS, ids=lambda measure: measure.__name__)
COUNTS = np.array([16, 8, 4, 1, 0])


def test_self_information_is_the_mean_of_bits_by_hand():
    found = self_information(np.array([[0, 1, 2], [2, 3, 1]]), [1, 2, 3], COUNTS, n_train_users=16)
    assert {k: values.tolist() for k, values in found.items()} == {1: [0, 2], 2: [0.5, 3], 3: [1, 7 / 3]}


def test_mean_popularity_by_hand():
    found = mean_popularity(np.array([[0, 1, 4], [2, 3, 1]]), [1, 3], COUNTS)
    assert {k: values.tolist() for k, values in found.items()} == {1: [16, 4], 3: [8, 13 / 3]}


@given(
    st.lists(st.lists(st.integers(0, 7), max_size=5, unique=True), max_size=5),
    st.lists(st.integers(0, 9), min_size=8, max_size=8),
    st.integers(9, 20),
)
def test_both_equal_their_definition(lists, counts, n_users):
    items = as_matrix(lists, 5)
    ks = (1, 3, 5)
    bits = self_information(items, ks, np.array(counts), n_users)
    popularity = mean_popularity(items, ks, np.array(counts))
    for k in ks:
        assert bits[k].dtype == popularity[k].dtype == np.float64
        cut = [each[:k] for each in lists]
        wanted = [sum(-math.log2(max(counts[i], 1) / n_users) for i in each) / max(len(each), 1) for each in cut]
        np.testing.assert_allclose(bits[k], wanted, rtol=0, atol=1e-12)
        wanted = [sum(counts[i] for i in each) / max(len(each), 1) for each in cut]
        np.testing.assert_allclose(popularity[k], wanted, rtol=0, atol=1e-12)


def test_lists_of_another_catalogue_are_refused():
    with pytest.raises(ValueError, match="holds item 5; expected items from 0 to 4"):
        mean_popularity(np.array([[5]]), [1], COUNTS)
    with pytest.raises(ValueError, match="cut-offs are"):
        self_information(np.array([[1]]), [2], COUNTS, 16)


def as_table(holdings):
    """Items per user of (user, item) pairs."""
    pairs = np.array(holdings, dtype=np.int64).reshape(-1, 2)
    return ItemsByUser.from_pairs(pairs[:, 0], pairs[:, 1], n_users=6)


def naive_diversity(items, holdings):
    users_of = {item: {user for user, held in holdings if held == item} for item in items}
    pairs = [(users_of[a], users_of[b]) for a, b in combinations(items, 2)]
    cosines = [len(a & b) / math.sqrt(len(a) * len(b) or 1) for a, b in pairs]
    return 1 - sum(cosines) / len(cosines) if cosines else 0.0


def test_diversity_of_three_items_by_hand():
    """Item 0 is held by users 0 to 3, item 1 by 0, item 2 by 4: cosines 1 / 2, 0 and 0."""
    seen = as_table([(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (4, 2)])
    found = intra_list_diversity(np.array([[0, 1, 2]]), [1, 2, 3], seen, n_items=3)
    assert {k: values.tolist() for k, values in found.items()} == {1: [0], 2: [0.5], 3: [1 - 0.5 / 3]}


def test_a_pair_given_twice_counts_once():
    once, twice = as_table([(0, 0), (0, 1), (1, 0)]), as_table([(0, 0), (0, 0), (0, 1), (1, 0)])
    lists = np.array([[0, 1]])
    assert intra_list_diversity(lists, [2], twice, 2)[2] == intra_list_diversity(lists, [2], once, 2)[2]


@settings(max_examples=200)
@given(
    st.lists(st.lists(st.integers(0, 8), max_size=5, unique=True), max_size=5),
    st.sets(st.tuples(st.integers(0, 5), st.integers(0, 8))),
    st.sampled_from([1, 8, 30, 1 << 22]),
)
def test_diversity_equals_its_definition_in_blocks_of_any_size(lists, holdings, block_cells):
    items = as_matrix(lists, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beyond_accuracy, "BLOCK_CELLS", block_cells)
        found = intra_list_diversity(items, (2, 4, 5), as_table(sorted(holdings)), n_items=9)
    for k, values in found.items():
        wanted = [naive_diversity(each[:k], holdings) for each in lists]
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-12)
        assert values.dtype == np.float64


def test_users_alike_have_the_same_value_in_any_company():
    seen = as_table([(user, item) for user in range(6) for item in range(9) if (user * item) % 4 != 1])
    lists = np.array([[0, 3, 5], [1, 2, 8], [5, 3, 0]])
    together = intra_list_diversity(lists, [3], seen, 9)[3]
    assert together[0] == intra_list_diversity(lists[:1], [3], seen, 9)[3][0]
    assert together[0] == pytest.approx(together[2])


def test_diversity_refuses_a_list_that_repeats_an_item():
    with pytest.raises(ValueError, match="repeats an item"):
        intra_list_diversity(np.array([[1, 1]]), [2], as_table([(0, 1)]), n_items=2)


def naive_value(measure, lists, n_items):
    """The definition, pair by pair, for lists that hold an item each."""
    counts = [sum(item in items for items in lists) for item in range(n_items)]
    if measure is coverage_at_k:
        return sum(count > 0 for count in counts) / n_items
    if measure is gini_at_k:
        gaps = sum(abs(a - b) for a in counts for b in counts)
        return gaps / (2 * n_items * sum(counts))
    pairs = list(combinations(lists, 2))
    common = sum(len(set(a) & set(b)) for a, b in pairs)
    return 1 - common / sum((len(a) + len(b)) / 2 for a, b in pairs)


def naive_estimate(measure, lists, n_items):
    """The jackknife by leaving out one user after the other and starting from nothing."""
    value, n = naive_value(measure, lists, n_items), len(lists)
    left = [naive_value(measure, lists[:user] + lists[user + 1 :], n_items) for user in range(n)]
    mean = sum(left) / n
    error = ((n - 1) / n * sum((each - mean) ** 2 for each in left)) ** 0.5
    return Estimate(value, max(value - 1.96 * error, 0), min(value + 1.96 * error, 1))


def assert_alike(ours, theirs):
    np.testing.assert_allclose(
        [ours.value, ours.low, ours.high], [theirs.value, theirs.low, theirs.high], rtol=0, atol=1e-12
    )


def test_coverage_counts_each_item_shown_once():
    assert coverage_at_k(np.array([[0, 1, 2], [1, 0, 3]]), k=2, n_items=8).value == 2 / 8
    assert coverage_at_k(np.array([[0, 1, 2], [1, 0, 3]]), k=3, n_items=8).value == 4 / 8


def test_gini_of_unequal_exposure_by_hand():
    """Shown 2, 1, 1 and 0 times: the gaps of the 6 pairs sum to 6, twice that by 2 · 4 · 4."""
    assert gini_at_k(np.array([[0, 1], [0, 2]]), k=2, n_items=4).value == 12 / 32


def test_personalisation_is_0_for_the_same_lists_and_1_for_lists_apart():
    assert personalisation_at_k(np.array([[0, 1], [1, 0], [0, 1]]), k=2, n_items=4) == Estimate(0.0, 0.0, 0.0)
    assert personalisation_at_k(np.array([[0, 1], [2, 3], [4, 5]]), k=2, n_items=6) == Estimate(1.0, 1.0, 1.0)


def test_personalisation_of_full_lists_is_the_mean_share_not_in_common():
    """The pairs have 1, 0 and 1 of 2 items in common."""
    value = personalisation_at_k(np.array([[0, 1], [1, 2], [2, 3]]), k=2, n_items=4).value
    assert value == pytest.approx(1 - (1 / 2 + 0 + 1 / 2) / 3)


def test_lists_that_leave_the_same_places_empty_are_no_more_personal():
    full, short = np.array([[0, 1], [1, 0], [0, 1]]), np.array([[0, -1], [0, -1], [0, -1]])
    assert personalisation_at_k(full, 2, 4).value == personalisation_at_k(short, 2, 4).value == 0


@MEASURES
def test_users_with_an_empty_list_change_nothing(measure):
    lists = [[0, 1], [1, 2], [2, 3, 4], [0]]
    assert measure(as_matrix([*lists, [], []]), 3, 6) == measure(as_matrix(lists), 3, 6)


@MEASURES
def test_order_of_users_and_order_within_the_list_change_nothing(measure):
    lists = np.array([[0, 1, 2], [1, 2, 5], [2, 3, 4], [0, 4, 5]])
    assert_alike(measure(lists[::-1, ::-1], 3, 7), measure(lists, 3, 7))


@settings(max_examples=200)
@given(
    st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=6, unique=True), min_size=3, max_size=8),
    st.integers(8, 12),
    st.integers(1, 6),
)
def test_closed_forms_equal_leaving_out_one_user_after_the_other(lists, n_items, k):
    cut = [items[:k] for items in lists]
    for measure in METRICS:
        assert_alike(measure(as_matrix(lists), k, n_items), naive_estimate(measure, cut, n_items))


@MEASURES
def test_closed_forms_equal_leaving_out_users_of_skewed_lists(measure):
    lists = draw_lists(np.random.default_rng(3), n_users=60, n_items=80, k=6)
    assert_alike(measure(lists, 6, 80), naive_estimate(measure, lists.tolist(), 80))


def draw_lists(generator, n_users, n_items, k):
    """Lists without repeats, item i drawn with a weight of 1 / (i + 1): the Gumbel trick."""
    keys = generator.gumbel(size=(n_users, n_items)) - np.log(np.arange(1, n_items + 1))
    return np.argsort(-keys, axis=1)[:, :k]


@MEASURES
def test_interval_holds_what_other_users_would_give_about_95_times_of_100(measure):
    generator = np.random.default_rng(7)
    found = [measure(draw_lists(generator, 100, 60, 5), 5, 60) for _ in range(300)]
    truth = np.mean([estimate.value for estimate in found])
    held = np.mean([estimate.low <= truth <= estimate.high for estimate in found])
    assert 0.92 <= held <= 1
    widths = [(estimate.high - estimate.low) / 2 / 1.96 for estimate in found]
    assert 0.85 <= np.mean(widths) / np.std([estimate.value for estimate in found]) <= 1.35


def test_interval_of_two_lists():
    lists = np.array([[0, 1], [0, 2]])
    assert_alike(coverage_at_k(lists, 2, 4), naive_estimate(coverage_at_k, lists.tolist(), 4))
    assert personalisation_at_k(lists, 2, 4) == Estimate(0.5, 0.0, 1.0)


@MEASURES
@pytest.mark.parametrize("lists", [[], [[]], [[], []], [[1, 2]], [[], [1, 2], []]])
def test_fewer_than_two_lists_are_refused(measure, lists):
    with pytest.raises(ValueError, match=r"[01] of \d lists hold an item; expected two or more"):
        measure(as_matrix(lists), 3, 5)


@MEASURES
def test_what_is_no_list_of_the_catalogue_is_refused(measure):
    with pytest.raises(ValueError, match="row 1 repeats an item"):
        measure(np.array([[0, 1], [2, 2]]), 1, 5)
    with pytest.raises(ValueError, match="holds item 5; expected items from 0 to 4"):
        measure(np.array([[0, 1], [2, 5]]), 2, 5)


@pytest.mark.parametrize("ks", [[], [0], [1, 4], [-1]])
def test_cut_offs_beyond_the_lists_are_refused(ks):
    with pytest.raises(ValueError, match="cut-offs are"):
        check_lists(np.array([[0, 1, 2]]), ks, 5)
