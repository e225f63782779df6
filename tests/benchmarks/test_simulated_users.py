"""Users drawn at random: their true means and correlations are those that were asked for."""

import numpy as np
import pytest

from benchmarks.simulated_users import CORRELATIONS, LOST_ONLY, MEANS, Population, draw_models, draw_pairs, populations


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("correlation", [*CORRELATIONS, LOST_ONLY])
def test_models_have_the_means_and_the_correlation_asked_for(mean, correlation):
    values = draw_models(np.random.default_rng(1), Population(1_000_000, mean, correlation), [1.0, 1.0, 0.8])
    assert values.mean(axis=0) == pytest.approx([mean, mean, 0.8 * mean], rel=0.05)
    assert np.corrcoef(values[:, :2].T)[0, 1] == pytest.approx(correlation, abs=0.02)


def test_hits_are_those_of_one_item_in_a_list_of_ten_and_earlier_ranks_come_more_often():
    values = draw_models(np.random.default_rng(1), Population(100_000, 0.3), [1.0])
    found, counts = np.unique(values[values > 0], return_counts=True)
    assert found == pytest.approx(np.sort(1 / np.log2(np.arange(2, 12))))
    assert counts[-1] / counts[-2] == pytest.approx(2**0.6, rel=0.05)


def test_a_worse_model_that_only_lost_hits_has_no_other_hit():
    worse, better = next(draw_pairs(Population(5_000, 0.3, LOST_ONLY), 0.7, 1))
    assert ((worse == better) | (worse == 0)).all()
    moved, of_others = next(draw_pairs(Population(5_000, 0.3, 0.5), 0.7, 1))
    assert ((moved > 0) & (of_others == 0)).any()


def test_pairs_are_the_same_for_a_seed_and_new_in_each_repetition():
    first, second = draw_pairs(populations()[0], 1.0, 2), draw_pairs(populations()[0], 1.0, 2)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    (one, _), (other, _) = draw_pairs(Population(500, 0.3), 1.0, 2)
    assert (one != other).any()
