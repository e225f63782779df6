import numpy as np
import pytest

from evaluation.selection import judge_lead, judge_metrics, try_held_out_only, try_metric
from reports.verdicts import say_guard, say_lead, say_trial
from schema.metric import Metric

NDCG, PRECISION = Metric("ndcg", 10), Metric("held_out_only_precision", 10)


def share(of_hits, n_users=1000):
    """Values of users of which a share is 1, the same ones first."""
    return (np.arange(n_users) < of_hits * n_users).astype(np.float64)


def try_ndcg(random, popularity, oracle):
    return try_metric(NDCG, random, popularity, oracle)


FIT = try_ndcg(share(0.01), share(0.2), share(1.0))
BLIND = try_metric(PRECISION, share(0.79), share(0.79), share(0.8))


def test_a_metric_that_puts_the_yardsticks_in_order_is_fit():
    assert FIT.is_fit
    assert say_trial(FIT) == (
        "NDCG@10 over the full catalogue tells models apart on this split: a random scorer gets 0.0100, popularity "
        "0.2000 and an oracle 1.0000."
    )


def test_yardsticks_are_named_in_order_with_means_inside_their_intervals():
    assert [yardstick.name for yardstick in FIT.yardsticks] == ["random", "popularity", "oracle"]
    assert [yardstick.value for yardstick in FIT.yardsticks] == [0.01, 0.2, 1.0]
    assert all(yardstick.low <= yardstick.value <= yardstick.high for yardstick in FIT.yardsticks)
    assert FIT.yardsticks[1].low < 0.19
    assert FIT.yardsticks[1].high > 0.21


def test_a_metric_in_which_chance_gets_most_is_blind_however_sure_the_order_is():
    ranks = np.random.default_rng(0).random(20_000)
    random, popularity, oracle = ((ranks < p).astype(float) for p in (0.6, 0.7, 1.0))
    trial = try_metric(PRECISION, random, popularity, oracle)
    assert not trial.is_fit
    assert say_trial(trial) == (
        f"A random scorer gets {random.mean():.4f} of the 1.0000 that an oracle gets: Precision@10 over held-out rows "
        "cannot tell models apart on this split."
    )


@pytest.mark.parametrize(("chance", "is_fit"), [(0.49, True), (0.5, False)])
def test_chance_must_get_less_than_half_of_what_an_oracle_gets(chance, is_fit):
    assert try_ndcg(share(chance), share(0.8), share(1.0)).is_fit is is_fit


@pytest.mark.parametrize(
    ("yardsticks", "words"),
    [
        (
            (share(0.1), share(0.1), share(1.0)),
            "NDCG@10 over the full catalogue does not show popularity (0.1000) to be better than a random scorer "
            "(0.1000) on the 1\u202f000 users of this split (p = 1), so it cannot choose between models here.",
        ),
        ((share(0.3), share(0.1), share(1.0)), "puts popularity (0.1000) below a random scorer (0.3000)"),
        ((share(0.1), share(0.9), share(0.9)), "an oracle (0.9000) to be better than popularity (0.9000)"),
        (np.zeros((3, 10)), "Even an oracle gets 0.0000"),
        (([0.0], [0.5], [1.0]), "does not show"),
    ],
    ids=["popularity like chance", "popularity below chance", "oracle like popularity", "no hit", "one user"],
)
def test_a_metric_that_does_not_put_the_yardsticks_in_order_is_unfit(yardsticks, words):
    trial = try_ndcg(*map(np.asarray, yardsticks))
    assert not trial.is_fit
    assert words in say_trial(trial)


def test_the_two_tests_are_corrected_for_being_two():
    oracle = np.repeat([1.0, 0.0], [4, 8])
    # Each p is 0.0388 alone, where less than 0.05 would do, and 0.0776 for two.
    trial = try_ndcg(np.zeros(12), 0.4 * oracle, oracle)
    assert not trial.is_fit
    assert "(p = 0.078)" in say_trial(trial)


def test_values_of_other_users_are_refused():
    with pytest.raises(ValueError, match="same users"):
        try_ndcg(np.zeros(3), np.zeros(2), np.zeros(3))


def test_the_guard_on_a_fit_metric_says_what_its_trial_says():
    guard = judge_metrics(NDCG, [BLIND, FIT])
    assert guard.is_fit
    assert say_guard(guard) == say_trial(FIT)
    assert guard.others == (BLIND,)


def test_the_guard_on_a_blind_metric_names_one_that_works():
    guard = judge_metrics(PRECISION, [BLIND, FIT])
    assert (guard.wanted, guard.is_fit) == (BLIND, False)
    assert say_guard(guard) == f"{say_trial(BLIND)} {say_trial(FIT)}"


def test_the_guard_says_when_no_metric_works():
    other = try_metric(Metric("held_out_only_recall", 10), share(0.9), share(0.9), share(1.0))
    guard = judge_metrics(PRECISION, [other, BLIND])
    assert not guard.is_fit
    assert say_guard(guard).endswith("None of the 1 others tried can either: Recall@10 over held-out rows.")
    assert say_guard(judge_metrics(PRECISION, [BLIND])).endswith("No other metric was tried.")


def test_a_metric_that_was_not_tried_is_refused():
    with pytest.raises(ValueError, match="ndcg_5 was not tried; tried: ndcg_10"):
        judge_metrics(Metric("ndcg", 5), [FIT])


def test_an_oracle_of_held_out_rows_ranks_by_their_ratings():
    users, items, rating = np.repeat(np.arange(60), 2), np.tile([0, 1], 60), np.tile([2.0, 5.0], 60)
    wrong, right = np.tile([1.0, 0.0], 60), np.tile([0.0, 1.0], 60)
    trials = try_held_out_only(users, items, rating, rating >= 4, wrong, right, k=1)
    assert [str(trial.metric) for trial in trials] == ["held_out_only_precision_1", "held_out_only_ndcg_1"]
    assert [yardstick.value for yardstick in trials[0].yardsticks] == [0.0, 1.0, 1.0]
    assert trials[0].flaw == "oracle not above popularity"


def models(*means, n_users=400, seed=7):
    return np.random.default_rng(seed).normal(means, 1.0, size=(n_users, len(means)))


def test_the_lead_is_that_of_the_best_mean_over_the_second():
    values = np.array([[0.2, 0.9, 0.5], [0.4, 0.7, 0.9]])
    lead = judge_lead(values, ["als", "knn", "bpr"])
    assert (lead.winner, lead.runner_up, lead.n_models) == ("knn", "bpr", 3)
    assert lead.lead == pytest.approx(0.1)


def test_a_clear_winner_is_outside_the_noise():
    lead = judge_lead(models(0, 0.5, 0), ["als", "knn", "bpr"])
    assert not lead.is_within_noise
    assert lead.win_share > 0.99
    assert "the lead is more than that" in say_lead(lead)


def test_the_best_of_many_equal_models_is_within_the_noise():
    lead = judge_lead(models(*[0.0] * 20), [f"model {i}" for i in range(20)])
    assert lead.is_within_noise
    assert 0 < lead.win_share < 0.9
    assert "leads model" in say_lead(lead)
    assert "the best of 20 equally good models" in say_lead(lead)
    assert "no more than chance" in say_lead(lead)


def test_equal_models_lead_by_more_than_the_spread_in_about_one_split_of_twenty():
    leads = [judge_lead(models(0, 0, 0, 0, seed=seed), list("abcd"), n_resamples=100) for seed in range(100)]
    assert 1 <= sum(not lead.is_within_noise for lead in leads) <= 12


def test_spread_of_two_models_is_that_of_their_difference():
    values = models(0, 0.1)
    lead = judge_lead(values, ["als", "knn"], n_resamples=4000)
    standard_error = (values[:, 0] - values[:, 1]).std() / np.sqrt(400)
    assert lead.spread == pytest.approx(1.96 * standard_error, rel=0.06)


def test_users_who_favour_all_models_alike_do_not_widen_the_spread():
    values = models(0, 0.1)
    by_user = np.random.default_rng(0).normal(0, 50, size=(400, 1))
    spread = judge_lead(values, ["als", "knn"]).spread
    assert judge_lead(values + by_user, ["als", "knn"]).spread == pytest.approx(spread)


def test_users_for_whom_all_models_are_equal_count_among_the_drawn():
    few = models(0, 0.1)
    many = np.vstack([few, np.full((3600, 2), 0.7)])
    lead = judge_lead(many, ["als", "knn"], n_resamples=4000)
    difference = many[:, 0] - many[:, 1]
    assert lead.spread == pytest.approx(1.96 * difference.std() / np.sqrt(4000), rel=0.06)


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
    lead = judge_lead(values, ["als", "knn", "bpr"], n_resamples=4000)
    assert lead.win_share == pytest.approx(np.mean(np.array(best) == winner), abs=0.03)


def test_two_equal_columns_share_the_wins():
    values = np.repeat(models(0.0), 2, axis=1)
    lead = judge_lead(np.hstack([values, models(-9.0)]), ["als", "its copy", "bad"])
    assert (lead.lead, lead.spread > 0, lead.win_share) == (0.0, True, 0.5)
    assert lead.is_within_noise


def test_models_equal_for_every_user_have_no_spread():
    lead = judge_lead(np.full((30, 3), 0.1), ["als", "knn", "bpr"])
    assert (lead.winner, lead.lead, lead.spread) == ("als", 0.0, 0.0)
    assert lead.is_within_noise
    assert lead.win_share == pytest.approx(1 / 3)


def test_lead_is_set_by_its_seed():
    values = models(0, 0.05, 0)
    assert judge_lead(values, list("abc"), seed=1) == judge_lead(values, list("abc"), seed=1)
    assert judge_lead(values, list("abc"), seed=1) != judge_lead(values, list("abc"), seed=2)


def test_one_model_leaves_nothing_to_judge():
    lead = judge_lead(models(0.3), ["als"])
    assert (lead.winner, lead.runner_up, lead.lead, lead.is_within_noise) == ("als", None, 0.0, False)
    assert say_lead(lead) == "Only als was tried: there is no choice to judge."
