import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluation.comparison import ALPHA, Comparison, adjust, compare_paired, format_figure, holm
from evaluation.intervals import mean_interval
from schema.metric import Metric


def compare(values, other_values, **options):
    return compare_paired("als", "popularity", Metric("ndcg", 10), np.array(values), np.array(other_values), **options)


def comparison(difference, low, high, p, **options):
    return Comparison("als", "popularity", Metric("ndcg", 10), difference, low, high, p, p, 100, **options)


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
    assert (result.low, result.high) == mean_interval(values - other)
    assert result.high - result.low < 0.003
    assert result.verdict == "better"


def test_the_other_way_round_everything_is_negated():
    other, values = np.random.default_rng(1).normal([[0.0], [0.2]], 0.3, size=(2, 200))
    there, back = compare(values, other), compare(other, values)
    assert (there.verdict, back.verdict) == ("better", "worse")
    assert back.difference == pytest.approx(-there.difference)
    assert back.p_value == pytest.approx(there.p_value)


def test_a_lower_error_is_better():
    errors, other_errors = np.full(50, 0.8), np.full(50, 0.9)
    assert compare(errors, other_errors, lower_is_better=True).verdict == "better"
    assert compare(other_errors, errors, lower_is_better=True).verdict == "worse"


@pytest.mark.parametrize(
    ("values", "other", "p"),
    [([0.5, 0.2], [0.5, 0.2], 1.0), ([0.5, 0.25], [0.25, 0.0], 0.0), ([1.0], [0.0], 1.0)],
    ids=["equal for all", "differs by the same for all", "one user"],
)
def test_p_value_without_variance(values, other, p):
    assert compare(values, other).p_value == p


def test_one_user_shows_no_difference():
    assert compare([1.0], [0.0]).verdict == "no difference shown"


def test_sums_that_differ_by_rounding_are_no_difference():
    result = compare([0.1 + 0.2] * 40, [0.3] * 40)
    assert (result.difference, result.p_value, result.verdict) == (0.0, 1.0, "no difference shown")


@pytest.mark.parametrize(
    ("low", "high", "p", "verdict"),
    [
        (0.01, 0.03, 0.049, "better"),
        (0.01, 0.03, ALPHA, "no difference shown"),
        (0.0, 0.04, 0.01, "no difference shown"),
        (-0.01, 0.05, 0.01, "no difference shown"),
    ],
)
def test_verdict_needs_both_the_test_and_the_interval(low, high, p, verdict):
    assert comparison(0.02, low, high, p).verdict == verdict


def test_verdict_takes_the_adjusted_p_value():
    family = adjust([comparison(0.02, 0.01, 0.03, 0.03), comparison(0.02, 0.01, 0.03, 0.04)])
    assert [result.p_adjusted for result in family] == [0.06, 0.06]
    assert [result.p_value for result in family] == [0.03, 0.04]
    assert [result.verdict for result in family] == ["no difference shown"] * 2


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


@pytest.mark.parametrize(
    ("value", "text"), [(0.00051, "0.00051"), (0.001, "0.0010"), (-0.25, "-0.2500"), (1.0, "1.0000")]
)
def test_small_figures_keep_two_digits(value, text):
    assert format_figure(value) == text
