import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from evaluation.significance import (
    adjust,
    compare_paired,
    difference_interval,
    holm,
    linearise,
    linearise_part,
    mean_over_users,
    means_by_owner,
    share_interval,
)
from schema.metric import Metric
from schema.verdicts import ALPHA, Comparison


def compare(values, other_values):
    return compare_paired("als", "popularity", Metric("ndcg", 10), np.array(values), np.array(other_values))


def comparison(difference, low, high, p):
    return Comparison("als", "popularity", Metric("ndcg", 10), difference, low, high, p, p, 100)


def test_difference_and_p_value_are_those_of_a_paired_t_test_by_hand():
    result = compare([0.3, 0.5, 0.1, 0.9], [0.2, 0.3, 0.1, 0.4])
    # Differences 0.1, 0.2, 0, 0.5: mean 0.2, variance 0.14 / 3, t = 0.2 / sqrt(0.14 / 12) with 3 degrees.
    assert result.difference == pytest.approx(0.2)
    assert result.p_value == pytest.approx(2 * stats.t.sf(0.2 / np.sqrt(0.14 / 12), 3))
    assert (result.p_adjusted, result.n_users) == (result.p_value, 4)


@pytest.mark.parametrize(("shift", "n_users"), [(0.0, 30), (0.05, 1000), (-0.3, 3), (0.5, 2)])
def test_p_value_equals_that_of_scipy(shift, n_users):
    generator = np.random.default_rng(n_users)
    values, other = generator.random(n_users) + shift, generator.random(n_users)
    assert compare(values, other).p_value == pytest.approx(stats.ttest_rel(values, other).pvalue, rel=1e-9)


def test_interval_is_that_of_the_differences_and_not_of_the_two_means():
    generator = np.random.default_rng(3)
    by_user = generator.random(500)
    values, other = by_user + generator.normal(0.01, 0.01, 500), by_user
    result = compare(values, other)
    assert (result.low, result.high) == difference_interval(values - other, values.max())
    assert result.high - result.low < 0.01
    assert result.outcome == "better"


def test_the_other_way_round_everything_is_negated():
    other, values = np.random.default_rng(1).normal([[0.0], [0.2]], 0.3, size=(2, 200))
    there, back = compare(values, other), compare(other, values)
    assert (there.outcome, back.outcome) == ("better", "worse")
    assert back.difference == pytest.approx(-there.difference)
    assert back.p_value == pytest.approx(there.p_value)


@pytest.mark.parametrize(
    ("values", "other", "expected"),
    [
        ([0.5, 0.2], [0.5, 0.2], (0.0, 1.0, "no difference shown")),
        ([0.5, 0.25] * 20, [0.25, 0.0] * 20, (0.25, 0.0, "better")),
        ([1.0], [0.0], (1.0, 1.0, "no difference shown")),
        ([0.1 + 0.2] * 40, [0.3] * 40, (0.0, 1.0, "no difference shown")),
    ],
    ids=["equal for all", "differs by the same for all", "one user", "differs by rounding"],
)
def test_difference_and_p_value_without_variance(values, other, expected):
    result = compare(values, other)
    assert (result.difference, result.p_value, result.outcome) == expected


@pytest.mark.parametrize(
    ("low", "high", "p", "outcome"),
    [
        (0.01, 0.03, 0.049, "better"),
        (0.01, 0.03, ALPHA, "no difference shown"),
        (0.0, 0.04, 0.01, "no difference shown"),
        (-0.01, 0.05, 0.01, "no difference shown"),
    ],
)
def test_outcome_needs_both_the_test_and_the_interval(low, high, p, outcome):
    assert comparison(0.02, low, high, p).outcome == outcome


def test_outcome_takes_the_adjusted_p_value():
    family = adjust([comparison(0.02, 0.01, 0.03, 0.03), comparison(0.02, 0.01, 0.03, 0.04)])
    assert [result.p_adjusted for result in family] == [0.06, 0.06]
    assert [result.p_value for result in family] == [0.03, 0.04]
    assert [result.outcome for result in family] == ["no difference shown"] * 2


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.01, 0.02, 0.02], [0.03, 0.04, 0.04]),
        ([0.5, 0.9, 0.4], [1.0, 1.0, 1.0]),
        ([0.2], [0.2]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values, adjusted):
    assert holm(p_values).tolist() == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_equals_its_definition(p_values):
    def naive(p):
        steps = [min(1, (len(p_values) - sum(q < s for q in p_values)) * s) for s in p_values if s <= p]
        return max(steps)

    assert holm(p_values).tolist() == pytest.approx([naive(p) for p in p_values])


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_holm_refuses_what_is_no_p_value(p):
    with pytest.raises(ValueError, match="expected numbers from 0 to 1"):
        holm([0.1, p])


@pytest.mark.parametrize(
    ("values", "other", "message"),
    [
        ([0.1, 0.2], [0.1], "same users"),
        ([[0.1]], [[0.1]], "same users"),
        ([], [], "one user or more"),
        ([0.1, np.nan], [0.1, 0.2], "1 values of 'als' and 'popularity' are not finite"),
        ([0.1, 0.3], [np.inf, np.nan], "2 values"),
    ],
)
def test_values_of_other_users_are_refused(values, other, message):
    with pytest.raises(ValueError, match=message):
        compare(values, other)


@pytest.mark.parametrize(("n_hits", "n_users"), [(0, 50), (1, 50), (7, 200), (50, 50), (900, 2000)])
def test_interval_of_shares_is_wilsons(n_hits, n_users):
    values = (np.arange(n_users) < n_hits).astype(np.float64)
    expected = stats.binomtest(n_hits, n_users).proportion_ci(0.95, method="wilson")
    assert share_interval(values) == pytest.approx((expected.low, expected.high), rel=0.05, abs=1e-12)


def test_interval_of_values_is_the_normal_one_on_many_users():
    values = np.random.default_rng(0).beta(1, 9, size=20_000)
    half_width = 1.96 * values.std() / np.sqrt(len(values))
    assert share_interval(values) == pytest.approx((values.mean() - half_width, values.mean() + half_width), rel=1e-3)


def test_interval_of_values_above_1_is_students():
    values = np.random.default_rng(0).normal(12, 2, size=300)
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert mean_over_users(values)[1:3] == pytest.approx((expected.low, expected.high), rel=1e-3)


def test_hits_worth_less_give_an_interval_as_wide_as_so_many_hits_do():
    whole, half = (share_interval(np.repeat([0.0, hit], [1000, 20])) for hit in (1.0, 0.5))
    assert half == pytest.approx(tuple(end / 2 for end in whole), rel=0.02)


def test_interval_stays_within_0_and_1_and_is_never_empty():
    assert share_interval(np.zeros(9))[0] == 0 < share_interval(np.zeros(9))[1] < 1
    assert share_interval(np.ones(9))[1] == 1 > share_interval(np.ones(9))[0] > 0
    assert share_interval(np.array([0.25])) == pytest.approx((0, 1), abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_interval_of_a_difference_is_students_on_many_users(seed):
    differences = np.random.default_rng(seed).normal(0.1, 1, 5000)
    expected = stats.ttest_1samp(differences, 0).confidence_interval()
    assert difference_interval(differences, 1.0) == pytest.approx((expected.low, expected.high), abs=1e-5)


def test_models_alike_for_every_user_are_not_taken_to_be_known_exactly():
    low, high = difference_interval(np.zeros(1000), largest=1.0)
    assert (low, high) == pytest.approx((-0.00196, 0.00196), rel=0.01)


def test_intervals_of_nobody_are_refused():
    for interval in (
        share_interval,
        lambda none: difference_interval(none, 1.0),
    ):
        with pytest.raises(ValueError, match="there are no users"):
            interval(np.array([]))


def many_events(n_users: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return owner and value of events: users with more of them have lower values."""
    draws = np.random.default_rng(3)
    counts = draws.geometric(0.1, n_users)
    owner = np.repeat(np.arange(n_users), counts)
    return owner, (draws.random(len(owner)) < 0.5 / counts[owner] ** 0.5).astype(np.float64)


def test_events_of_one_user_count_as_one_draw():
    owner, values = many_events(60)
    found = mean_over_users(values, owner)
    assert found.n_users == 60
    repeated = mean_over_users(np.repeat(values, 4), np.repeat(owner, 4))
    assert repeated == pytest.approx(found)
    low, high = share_interval(np.repeat(values, 4))
    assert found.high - found.low > 1.5 * (high - low)


def test_interval_over_users_is_that_of_drawing_users_with_all_their_events():
    owner, values = many_events(300)
    draws = np.random.default_rng(5)
    by_user = [values[owner == user] for user in range(300)]
    means = [np.concatenate([by_user[user] for user in draws.integers(300, size=300)]).mean() for _ in range(1000)]
    expected = np.percentile(means, [2.5, 97.5])
    width = expected[1] - expected[0]
    assert mean_over_users(values, owner)[1:3] == pytest.approx(expected, abs=0.1 * width)
    assert linearise(values, owner).std(ddof=1) / np.sqrt(300) == pytest.approx(np.std(means), rel=0.1)


def test_linearised_values_of_a_difference_are_the_differences_of_the_linearised_values():
    owner, values = many_events(40)
    others = values[::-1].copy()
    assert linearise(values, owner) - linearise(others, owner) == pytest.approx(linearise(values - others, owner))
    sums, counts = np.bincount(owner, values), np.bincount(owner)
    assert means_by_owner(linearise(values, owner), counts) == pytest.approx(sums / counts)


def test_linearised_values_of_some_users_are_those_of_their_values_alone():
    owner, values = many_events(40)
    kept = np.array([3, 4, 11, 30])
    of_part = np.isin(owner, kept)
    found = linearise_part(linearise(values, owner), np.bincount(owner), kept)
    assert found == pytest.approx(linearise(values[of_part], owner[of_part]))
