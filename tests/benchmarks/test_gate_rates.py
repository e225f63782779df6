import numpy as np
import pytest

from benchmarks.gate_rates import live_a_year, share_of_falls, share_of_passes, share_of_splits
from benchmarks.simulated_users import LOST_ONLY, Population


@pytest.mark.parametrize("correlation", [0.5, 0.98, LOST_ONLY])
@pytest.mark.parametrize(("n_users", "mean"), [(100, 0.03), (100, 0.3), (1000, 0.3), (6000, 0.03)])
def test_bad_challengers_pass_no_more_often_than_promised(n_users, mean, correlation):
    of = Population(n_users, mean, correlation)
    passed = [share_of_passes(of, ratio, 300, seed=3) for ratio in (0.95, 0.9, 0.8)]
    assert passed[0] <= 0.03 + 0.015
    assert (passed[1] <= 0.01, passed[2]) == (True, 0)


@pytest.mark.parametrize(("n_users", "mean"), [(1000, 0.3), (6000, 0.03), (20_000, 0.3)])
def test_a_year_of_slightly_worse_challengers_ends_above_nine_tenths_of_the_best(n_users, mean):
    ends = [live_a_year(Population(n_users, mean, 0.9), np.random.default_rng(seed)) for seed in range(4)]
    assert min(ends) > 0.9


def test_of_many_tries_on_one_split_none_passes_by_being_one_of_many():
    assert share_of_splits(Population(1000, 0.3, 0.98), 0.94, 40, seed=3) <= 0.05


def test_halved_fits_are_seen_and_honest_ones_are_not_taken_for_them():
    of = Population(6000, 0.3, 0.9)
    assert (share_of_falls(of, 1.0, 50, seed=3), share_of_falls(of, 0.5, 50, seed=3)) == (0, 1)
