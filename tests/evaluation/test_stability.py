import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.stability import bin_activity, bin_ratings, population_stability_index

counts = st.integers(0, 10_000)
pairs = st.lists(st.tuples(counts, counts), min_size=1, max_size=12)


def split(bins: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [before for before, _ in bins], [now for _, now in bins]


def test_index_of_filled_bins_is_that_of_the_textbook_to_three_decimals() -> None:
    by_hand = (0.8 - 0.5) * math.log(0.8 / 0.5) + (0.2 - 0.5) * math.log(0.2 / 0.5)
    assert by_hand == pytest.approx(0.4159, abs=1e-4)
    assert population_stability_index([50, 50], [80, 20]) == pytest.approx(by_hand, abs=1e-3)


def test_bin_that_is_empty_on_one_side_counts_as_a_ten_thousandth() -> None:
    by_hand = (0.9 - 1) * math.log(0.9001 / 1.0001) + (0.1 - 0) * math.log(0.1001 / 0.0001)
    assert population_stability_index([10, 0], [9, 1]) == pytest.approx(by_hand, rel=1e-12)
    assert population_stability_index([10, 0, 0], [9, 1, 0]) == pytest.approx(by_hand, rel=1e-12)


def test_histogram_without_counts_is_far_from_any_other_and_no_distance_from_itself() -> None:
    assert population_stability_index([0, 0], [3, 3]) > 0.25
    assert population_stability_index([0, 0], [0, 0]) == 0
    assert population_stability_index([], []) == 0


@given(pairs)
def test_index_is_symmetric_and_never_negative(bins: list[tuple[int, int]]) -> None:
    before, now = split(bins)
    assert population_stability_index(before, now) == pytest.approx(population_stability_index(now, before), rel=1e-9)
    assert population_stability_index(before, now) >= 0


@given(pairs, st.integers(1, 50))
def test_index_is_zero_if_and_only_if_the_shares_are_equal(bins: list[tuple[int, int]], times: int) -> None:
    before, now = split(bins)
    assert population_stability_index(before, [times * count for count in before]) == 0
    all_before, all_now = sum(before), sum(now)
    is_equal = all(one * all_now == other * all_before for one, other in bins) and bool(all_before) == bool(all_now)
    assert (population_stability_index(before, now) == 0) == is_equal


@pytest.mark.parametrize(("before", "now", "said"), [([1, 2], [1], "same bins"), ([1, -2], [1, 1], "count -2")])
def test_what_are_no_two_histograms_of_the_same_bins_is_refused(before: list[int], now: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        population_stability_index(before, now)


def test_many_ratings_are_put_into_ten_ranges() -> None:
    before, now = bin_ratings({float(value): 1 for value in range(21)}, {20.0: 7})
    assert before == [2, 2, 2, 2, 2, 2, 2, 2, 2, 3]
    assert now == [0, 0, 0, 0, 0, 0, 0, 0, 0, 7]


def test_twenty_ratings_keep_a_bin_each() -> None:
    before, _ = bin_ratings({float(value): 1 for value in range(20)}, {})
    assert before == [1] * 20


def test_ranges_of_activity_end_where_they_say() -> None:
    assert bin_activity([1, 2, 4, 5, 9, 10, 19, 20, 999, 1000]) == [1, 2, 2, 2, 1, 0, 0, 0, 1, 1]
