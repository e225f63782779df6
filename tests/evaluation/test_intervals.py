import numpy as np
import pytest

from evaluation.intervals import mean_interval, ratio_interval


@pytest.mark.parametrize("values", [np.arange(2000) % 2 == 0, np.random.default_rng(0).normal(size=2000)])
def test_mean_interval_agrees_with_the_normal_one_on_many_users(values):
    values = values.astype(np.float64)
    half_width = 1.96 * values.std() / np.sqrt(len(values))
    low, high = mean_interval(values)
    assert low == pytest.approx(values.mean() - half_width, abs=half_width / 8)
    assert high == pytest.approx(values.mean() + half_width, abs=half_width / 8)


def test_mean_interval_of_few_distinct_values_is_that_of_drawing_users_one_by_one():
    values = np.repeat([0.0, 0.3, 1.0], [700, 200, 100])
    one_by_one = ratio_interval(values, np.ones(1000))
    assert mean_interval(values) == pytest.approx(one_by_one, abs=0.003)


def test_intervals_are_set_by_their_seed():
    values = np.repeat([0.0, 1.0], 50)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert ratio_interval(values, values + 1, seed=1) == ratio_interval(values, values + 1, seed=1)
    assert ratio_interval(values, values + 1, seed=1) != ratio_interval(values, values + 1, seed=2)


def test_interval_of_one_user_has_no_width():
    assert mean_interval(np.array([0.25])) == (0.25, 0.25)


def test_ratio_interval_covers_the_ratio_of_sums_and_not_the_mean_of_ratios():
    numerator, denominator = np.repeat([1.0, 100.0], 500), np.repeat([1.0, 10.0], 500)
    low, high = ratio_interval(numerator, denominator)
    assert low < 50500 / 5500 < high
    assert low > 5.5


def test_ratio_interval_draws_numerator_and_denominator_of_the_same_users():
    rows_by_user = np.arange(1.0, 50.0)
    assert ratio_interval(rows_by_user * 3, rows_by_user) == (3.0, 3.0)


def test_ratio_interval_resamples_users_and_so_is_wider_where_their_rows_agree():
    errors_by_user = np.random.default_rng(5).exponential(size=200)
    by_user = ratio_interval(errors_by_user * 20, np.full(200, 20.0))
    by_row = mean_interval(np.repeat(errors_by_user, 20))
    assert by_user[1] - by_user[0] > 3 * (by_row[1] - by_row[0])


def test_intervals_of_nobody_are_refused():
    with pytest.raises(ValueError, match="no users to resample"):
        mean_interval(np.array([]))
    with pytest.raises(ValueError, match="no users to resample"):
        ratio_interval(np.array([]), np.array([]))
