import numpy as np
import pytest

from evaluation.selection_noise import judge_lead


def models(*means, n_users=400, seed=7):
    return np.random.default_rng(seed).normal(means, 1.0, size=(n_users, len(means)))


def test_the_lead_is_that_of_the_best_mean_over_the_second():
    values = np.array([[0.2, 0.9, 0.5], [0.4, 0.7, 0.9]])
    verdict = judge_lead(values, ["als", "knn", "bpr"])
    assert (verdict.winner, verdict.runner_up, verdict.n_models) == ("knn", "bpr", 3)
    assert verdict.lead == pytest.approx(0.1)


def test_a_clear_winner_is_outside_the_noise():
    verdict = judge_lead(models(0, 0.5, 0), ["als", "knn", "bpr"])
    assert not verdict.is_within_noise
    assert verdict.win_share > 0.99
    assert "the lead is more than that" in verdict.sentence


def test_the_best_of_many_equal_models_is_within_the_noise():
    verdict = judge_lead(models(*[0.0] * 20), [f"model {i}" for i in range(20)])
    assert verdict.is_within_noise
    assert 0 < verdict.win_share < 0.9
    assert "leads model" in verdict.sentence
    assert "the best of 20 equally good models" in verdict.sentence
    assert "no more than chance" in verdict.sentence


def test_equal_models_lead_by_more_than_the_spread_in_about_one_split_of_twenty():
    verdicts = [judge_lead(models(0, 0, 0, 0, seed=seed), list("abcd"), n_resamples=100) for seed in range(100)]
    assert 1 <= sum(not verdict.is_within_noise for verdict in verdicts) <= 12


def test_spread_of_two_models_is_that_of_their_difference():
    values = models(0, 0.1)
    verdict = judge_lead(values, ["als", "knn"], n_resamples=4000)
    standard_error = (values[:, 0] - values[:, 1]).std() / np.sqrt(400)
    assert verdict.spread == pytest.approx(1.96 * standard_error, rel=0.06)


def test_users_who_favour_all_models_alike_do_not_widen_the_spread():
    values = models(0, 0.1)
    by_user = np.random.default_rng(0).normal(0, 50, size=(400, 1))
    spread = judge_lead(values, ["als", "knn"]).spread
    assert judge_lead(values + by_user, ["als", "knn"]).spread == pytest.approx(spread)


def test_users_for_whom_all_models_are_equal_count_among_the_drawn():
    few = models(0, 0.1)
    many = np.vstack([few, np.full((3600, 2), 0.7)])
    verdict = judge_lead(many, ["als", "knn"], n_resamples=4000)
    difference = many[:, 0] - many[:, 1]
    assert verdict.spread == pytest.approx(1.96 * difference.std() / np.sqrt(4000), rel=0.06)


def test_how_many_users_with_a_difference_are_drawn_is_left_to_chance():
    values = np.zeros((1000, 2))
    values[:20, 0] = 1.0
    spread = judge_lead(values, ["als", "knn"], n_resamples=4000).spread
    assert spread == pytest.approx(1.96 * np.sqrt(1000 * 0.02 * 0.98) / 1000, rel=0.1)


def test_win_share_is_that_of_drawing_users_one_by_one():
    values = models(0, 0.05, 0.02, n_users=50)
    generator = np.random.default_rng(3)
    best = [values[generator.integers(50, size=50)].mean(axis=0).argmax() for _ in range(4000)]
    winner = values.mean(axis=0).argmax()
    verdict = judge_lead(values, ["als", "knn", "bpr"], n_resamples=4000)
    assert verdict.win_share == pytest.approx(np.mean(np.array(best) == winner), abs=0.03)


def test_two_equal_columns_share_the_wins():
    values = np.repeat(models(0.0), 2, axis=1)
    verdict = judge_lead(np.hstack([values, models(-9.0)]), ["als", "its copy", "bad"])
    assert (verdict.lead, verdict.spread > 0, verdict.win_share) == (0.0, True, 0.5)
    assert verdict.is_within_noise


def test_models_equal_for_every_user_have_no_spread():
    verdict = judge_lead(np.full((30, 3), 0.1), ["als", "knn", "bpr"])
    assert (verdict.winner, verdict.lead, verdict.spread) == ("als", 0.0, 0.0)
    assert verdict.is_within_noise
    assert verdict.win_share == pytest.approx(1 / 3)


def test_the_lowest_error_wins():
    verdict = judge_lead(models(1.0, 0.0), ["als", "knn"], lower_is_better=True)
    assert (verdict.winner, verdict.is_within_noise, verdict.lead > 0.5) == ("knn", False, True)


def test_verdict_is_set_by_its_seed():
    values = models(0, 0.05, 0)
    assert judge_lead(values, list("abc"), seed=1) == judge_lead(values, list("abc"), seed=1)
    assert judge_lead(values, list("abc"), seed=1) != judge_lead(values, list("abc"), seed=2)


def test_one_model_leaves_nothing_to_judge():
    verdict = judge_lead(models(0.3), ["als"])
    assert (verdict.winner, verdict.runner_up, verdict.lead, verdict.is_within_noise) == ("als", None, 0.0, False)
    assert verdict.sentence == "Only als was tried: there is no choice to judge."


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        (np.zeros((3, 2)), ["als"], r"shape \(3, 2\) for 1 names"),
        (np.zeros((0, 1)), ["als"], "a user or more"),
        (np.zeros((3, 0)), [], "a user or more"),
        (np.zeros(3), ["als"], "expected"),
        (np.array([[0.1, np.nan]]), ["als", "knn"], "1 values are not finite"),
    ],
)
def test_values_that_are_not_of_users_and_models_are_refused(values, names, message):
    with pytest.raises(ValueError, match=message):
        judge_lead(values, names)


def test_no_resamples_are_refused():
    with pytest.raises(ValueError, match="n_resamples is 0"):
        judge_lead(models(0, 1), ["als", "knn"], n_resamples=0)
