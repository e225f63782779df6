import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluation.checks import (
    find_chance,
    find_cold_items,
    find_cold_users,
    find_copy,
    find_known_leak,
    find_leaks,
    find_small_split,
    find_ties,
    find_time_travel,
    find_too_good,
    overlap_at_k,
)
from evaluation.significance import compare_paired
from reports.verdicts import say_finding
from schema.metric import Metric
from schema.verdicts import Comparison

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12)


def comparison(difference, low, high, p=0.01, n_users=1000):
    return Comparison("als", "random", Metric("ndcg", 10), difference, low, high, p, p, n_users)


def columns(pairs):
    return tuple(np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True)) or np.zeros((2, 0), int)


def text(finding):
    """The sentence with plain spaces."""
    return say_finding(finding).replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(("find", "what"), [(find_cold_users, "users"), (find_cold_items, "items")])
@pytest.mark.parametrize(("n_cold", "is_warning"), [(0, False), (10, False), (11, True), (1000, True)])
def test_cold_ones_are_a_warning_from_more_than_one_in_a_hundred(find, what, n_cold, is_warning):
    finding = find(n_cold, 1000)
    assert (finding.name, finding.is_warning) == (f"cold {what}", is_warning)
    assert text(finding).startswith({0: "All 1 000", 1000: "1 000 of the"}.get(n_cold, f"{n_cold} of the 1 000"))


def test_pairs_in_both_parts_are_counted_once_each():
    train, held = columns([(0, 1), (0, 2), (1, 2)]), columns([(0, 2), (0, 2), (1, 1), (2, 2), (1, 2)])
    finding = find_leaks(*train, *held)
    assert finding.is_warning
    assert text(finding).startswith("2 of the 4 (50.0 %) held-out pairs of user and item are in train as well")


def test_the_same_users_with_other_items_are_no_leak():
    finding = find_leaks(*columns([(0, 1), (1, 2)]), *columns([(0, 2), (1, 1)]))
    assert not finding.is_warning
    assert text(finding) == "None of the 2 held-out pairs of user and item is in train as well."


@given(PAIRS, PAIRS.filter(bool))
def test_leaks_are_those_of_two_sets(train, held):
    n_leaked = len(set(train) & set(held))
    finding = find_leaks(*columns(train), *columns(held))
    assert finding.is_warning is (n_leaked > 0)
    assert text(finding).startswith(f"{n_leaked or 'None'} of the {len(set(held))} ")


def test_a_known_leak_is_a_warning_however_small():
    assert not find_known_leak(0, 5).is_warning
    finding = find_known_leak(1, 10_000)
    assert finding.is_warning
    assert text(finding).startswith("1 of the 10 000 (<0.1 %) held-out pairs are known to be among what")


TRAIN = columns([(0, 10), (0, 20), (1, 40)])


@pytest.mark.parametrize(
    ("held", "is_warning", "start"),
    [
        ([(0, 15), (1, 30), (1, 50), (0, 60)], True, "For 2 of the 4 (50.0 %) held-out rows a row of the same user"),
        ([(0, 30), (1, 50)], True, "For 1 of the 2 (50.0 %) held-out rows a row of another user in train is later"),
        ([(2, 39)], True, "For 1 of the 1 (100.0 %) held-out rows a row of another user in train is later"),
        (
            [(0, 40), (1, 40), (2, 99)],
            False,
            "No row in train is later than any of the 3 held-out rows, but 2 of the 3 (66.7 %) have the time",
        ),
        ([(0, 41)], False, "No row in train is later than any of the 1 held-out rows: models learn from the past."),
    ],
    ids=["random", "leave-last", "new user", "time", "time without ties"],
)
def test_time_travel_within_a_user_and_over_users_are_told_apart(held, is_warning, start):
    finding = find_time_travel(*TRAIN, *columns(held))
    assert finding.is_warning is is_warning
    assert text(finding).startswith(start)


def test_time_travel_within_a_user_gives_the_share_over_users_too():
    finding = find_time_travel(*TRAIN, *columns([(0, 15), (0, 30), (0, 50), (2, 30)]))
    assert "25.0 %) held-out rows a row of the same user in train is later, and for 3 of the 4 (75.0 %)" in text(
        finding
    )


@given(PAIRS, PAIRS.filter(bool))
def test_time_travel_counts_as_a_loop_over_rows_does(train, held):
    n_same = sum(any(u == user and later > at for u, later in train) for user, at in held)
    n_any = sum(any(later > at for _, later in train) for _, at in held)
    finding = find_time_travel(*columns(train), *columns(held))
    assert finding.is_warning is (n_any > 0)
    assert ("same user in train is later" in say_finding(finding)) is (n_same > 0)
    assert not n_any or text(finding).startswith(f"For {n_same or n_any} of the {len(held)} ")
    assert not n_same or f"and for {n_any} of the {len(held)} " in text(finding)


def test_all_rows_of_one_moment_are_no_past():
    found = [find(*columns([(0, 7), (1, 7)]), *columns([(0, 7), (1, 7)])) for find in (find_time_travel, find_ties)]
    assert [one.figures["n_together" if one.name == "time travel" else "n_found"] for one in found] == [2, 2]
    assert not any("from the past" in text(one) for one in found)
    assert text(found[1]).startswith("2 of the 2 (100.0 %) held-out rows share their moment with a row of their user")


@given(PAIRS, PAIRS.filter(bool))
def test_ties_count_as_a_loop_over_rows_does(learnt, held):
    n_tied = sum(row in set(learnt) for row in held)
    finding = find_ties(*columns(learnt), *columns(held))
    assert finding.figures == {"n_found": n_tied, "n_all": len(held)}
    assert finding.is_warning is (n_tied > 0.1 * len(held))
    assert n_tied or "was picked by a coin" in text(finding)


@pytest.mark.parametrize(("difference", "is_warning"), [(0.029, False), (-0.029, False), (0.027, True), (0.0, True)])
def test_a_split_is_small_where_the_difference_is_below_2_8_standard_errors(difference, is_warning):
    finding = find_small_split(comparison(difference, difference - 0.0196, difference + 0.0196))
    assert finding.is_warning is is_warning
    assert text(finding).startswith("With 1 000 users a difference in NDCG@10 of 0.0280 is shown in 4 of 5 splits")
    assert f"als and random differ by {abs(difference):.4f}" in text(finding)


def test_the_smallest_difference_is_shown_in_four_of_five_draws():
    generator = np.random.default_rng(2)
    smallest = 2.8 / np.sqrt(200)
    draws = generator.normal(smallest, 1.0, size=(2000, 200))
    assert (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.03)
    finding = find_small_split(compare_paired("a", "b", Metric("ndcg", 10), draws[0], np.zeros(200)))
    found = finding.figures["smallest"]
    assert found == pytest.approx(2.8 * draws[0].std() / np.sqrt(200), rel=0.1)


def test_a_split_of_one_user_is_small():
    finding = find_small_split(compare_paired("als", "knn", Metric("recall", 5), np.array([0.5]), np.zeros(1)))
    assert finding.is_warning
    assert say_finding(finding).startswith("Recall@5 of als and knn does not vary over 1 users")


@pytest.mark.parametrize(("overlap", "is_warning"), [(0.0, False), (0.89, False), (0.9, True), (1.0, True)])
def test_lists_that_share_nine_of_ten_items_with_popularity_are_a_copy(overlap, is_warning):
    finding = find_copy("als", overlap)
    assert finding.is_warning is is_warning
    share = f"{overlap:.1%}".replace("%", " %") if overlap else "0 %"
    assert text(finding).startswith(f"als shares {share} of its top 10 with popularity: ")


@pytest.mark.parametrize(
    ("result", "is_warning"),
    [
        (comparison(0.02, 0.01, 0.03), False),
        (comparison(0.02, 0.01, 0.03, p=0.2), True),
        (comparison(-0.02, -0.03, -0.01), True),
    ],
)
def test_a_model_not_shown_to_be_better_than_random_is_a_warning(result, is_warning):
    finding = find_chance(result)
    assert finding.is_warning is is_warning
    assert f"NDCG@10 of {result.difference:.4f}, 95 % interval {result.low:.4f} to {result.high:.4f}" in say_finding(
        finding
    )
    assert say_finding(finding).startswith("als is not shown" if is_warning else "als is better than chance")


@pytest.mark.parametrize(
    ("value", "popularity", "is_warning"),
    [(0.0, 0.0, False), (0.47, 0.0, False), (0.48, 0.0, True), (0.48, 0.3, False), (0.6, 0.3, True), (0.7, 0.7, False)],
)
def test_six_tenths_of_the_way_from_popularity_to_an_oracle_are_too_good(value, popularity, is_warning):
    finding = find_too_good(value, popularity, 0.8)
    assert finding.is_warning is is_warning
    assert f"that an oracle gets, popularity {popularity:.4f}" in say_finding(finding)
    assert say_finding(finding).startswith(f"The model gets {value:.4f} of the 0.8000 that an oracle gets")


@pytest.mark.parametrize(
    ("items", "other", "k", "share"),
    [
        ([[1, 2, 3]], [[3, 4, 1]], 3, 2 / 3),
        ([[1, 2, 3]], [[3, 4, 1]], 2, 0.0),
        ([[1, 2, 3]], [[2, 1, 4]], 10, 2 / 3),
        ([[1, -1, -1]], [[1, 2, -1]], 3, 1 / 2),
        ([[1, 2], [-1, -1]], [[2, 1], [-1, -1]], 2, 1.0),
        ([[1, 2], [3, 4]], [[2, 1], [-1, -1]], 2, 1 / 2),
        ([[0, 1]], [[0]], 2, 1 / 2),
    ],
)
def test_overlap_by_hand(items, other, k, share):
    assert overlap_at_k(np.array(items, np.int32), np.array(other, np.int32), k) == pytest.approx(share)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_overlap_equals_that_of_sets(seed, k):
    generator = np.random.default_rng(seed)
    items, other = (generator.permuted(np.tile(np.arange(12), (5, 1)), axis=1)[:, :6] for _ in range(2))
    items[np.arange(6) >= generator.integers(1, 7, size=(5, 1))] = -1
    pairs = [({*a[:k]} - {-1}, {*b[:k]} - {-1}) for a, b in zip(items.tolist(), other.tolist(), strict=True)]
    expected = np.mean([len(a & b) / max(len(a), len(b)) for a, b in pairs])
    assert overlap_at_k(items, other, k) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("items", "other", "k", "message"),
    [([[1]], [[1]], 0, "k is 0"), ([[1]], [[1], [2]], 1, "lists of 1 and 2"), ([[-1]], [[-1]], 1, "are empty")],
)
def test_lists_without_an_overlap_are_refused(items, other, k, message):
    with pytest.raises(ValueError, match=message):
        overlap_at_k(np.array(items), np.array(other), k)
