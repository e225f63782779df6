import numpy as np
import pytest
from scipy import stats

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
    assert [yardstick.name for yardstick in FIT.yardsticks] == ["random", "popularity", "weak oracle", "oracle"]
    assert [yardstick.value for yardstick in FIT.yardsticks] == pytest.approx([0.01, 0.2, 0.109, 1.0])
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
            (np.zeros(40), np.zeros(40), np.ones(40)),
            "NDCG@10 over the full catalogue does not show an oracle of every tenth user (0.1000) to be better than a "
            "random scorer (0.0000) on the 40 users of this split (p = 0.044), so it cannot choose between models "
            "here.",
        ),
        ((np.zeros(400), share(0.2, 400), 1 - share(0.9, 400)), "an oracle of every tenth user (0.0100) to be better"),
        ((np.zeros(1000), share(0.9), np.tile([1.0, *[0.0] * 9], 100)), "of every tenth user (0.1000)"),
        (np.zeros((3, 10)), "Even an oracle gets 0.0000"),
        (([0.0], [0.5], [1.0]), "does not show"),
    ],
    ids=["few users", "few held out", "oracle like a weak one", "no hit", "one user"],
)
def test_a_metric_that_does_not_put_the_yardsticks_in_order_is_unfit(yardsticks, words):
    trial = try_ndcg(*map(np.asarray, yardsticks))
    assert not trial.is_fit
    assert words in say_trial(trial)


@pytest.mark.parametrize("popularity", [share(0.005)[::-1], share(0.0)], ids=["like chance", "below chance"])
def test_popularity_that_knows_nothing_is_said_and_does_not_matter(popularity):
    trial = try_ndcg(share(0.005), popularity, share(1.0))
    assert trial.is_fit
    assert trial.is_popularity_like_chance
    assert "popularity is not shown to be better than chance (p = " in say_trial(trial)
    assert not FIT.is_popularity_like_chance


def test_the_two_tests_are_corrected_for_being_two():
    # Four of 40 users: p is 0.0437 alone, where less than 0.05 would do.
    trial = try_ndcg(np.zeros(40), np.zeros(40), np.ones(40))
    assert trial.comparisons[1].p_value < 0.05
    assert not trial.is_fit


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
    assert [yardstick.value for yardstick in trials[0].yardsticks] == [0.0, 1.0, 0.1, 1.0]
    assert trials[0].is_fit


def models(*means, n_users=400, seed=7):
    return np.random.default_rng(seed).normal(means, 1.0, size=(n_users, len(means)))


def judge(values, names):
    return judge_lead(NDCG, values, names)


def test_the_lead_is_that_of_the_best_mean_over_the_second():
    values = np.array([[0.2, 0.9, 0.5], [0.4, 0.7, 0.9]])
    lead = judge(values, ["als", "knn", "bpr"])
    assert (lead.winner, lead.runner_up, lead.n_models, lead.n_users) == ("knn", "bpr", 3, 2)
    assert lead.lead == pytest.approx(0.1)


def test_a_winner_shown_to_be_better_than_each_other_leads():
    values = models(0, 0.5, 0)
    lead = judge(values, ["als", "knn", "bpr"])
    assert not lead.is_within_noise
    largest = max(stats.ttest_rel(values[:, 1], values[:, other]).pvalue for other in (0, 2))
    assert lead.p_value == pytest.approx(largest)
    assert "knn leads" in say_lead(lead)
    assert f"is shown to be better than each of the 2 others (paired tests, largest p = {largest:.2g})" in say_lead(
        lead
    )


def test_the_rival_is_the_model_that_the_winner_is_least_surely_better_than():
    noise = np.random.default_rng(1).normal(0, 1, size=(400, 2))
    winner, like_it, wild = noise[:, 0], noise[:, 0] - 0.2 + 0.01 * noise[:, 1], 3 * noise[:, 1] - 0.3
    lead = judge(np.column_stack([winner, like_it, wild]), ["als", "sure", "unsure"])
    assert (lead.winner, lead.runner_up, lead.rival) == ("als", "sure", "unsure")
    assert lead.is_within_noise
    missed = f"a difference below {lead.smallest:.4f} is likely to be missed"
    assert say_lead(lead).endswith(f"but is not shown to be better than unsure (p = {lead.p_value:.2g}; {missed}).")


@pytest.mark.parametrize("n_weak", [0, 6, 18])
def test_of_two_equal_best_models_in_any_company_one_seldom_leads(n_weak):
    leads = [judge(models(0, 0, *[-1.0] * n_weak, seed=seed), [*range(n_weak + 2)]) for seed in range(400)]
    assert sum(not lead.is_within_noise for lead in leads) <= 0.05 * 400 + 2 * (400 * 0.05 * 0.95) ** 0.5


def test_a_rival_that_is_the_second_is_named_once():
    said = say_lead(judge(models(0.0, 0.01, -9.0), ["als", "knn", "bad"]))
    assert "but is not shown to be better than it (p = " in said


def test_models_that_are_the_same_do_not_lead_each_other():
    values = np.repeat(models(0.0), 2, axis=1)
    lead = judge(np.hstack([values, models(-9.0)]), ["als", "its copy", "bad"])
    assert (lead.winner, lead.lead, lead.rival, lead.p_value) == ("als", 0.0, "its copy", 1.0)
    assert lead.is_within_noise


def test_one_model_leaves_nothing_to_judge():
    lead = judge(models(0.3), ["als"])
    assert (lead.winner, lead.runner_up, lead.lead, lead.is_within_noise) == ("als", None, 0.0, False)
    assert say_lead(lead) == "Only als was tried: there is no choice to judge."
