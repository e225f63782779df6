import numpy as np
import pytest

from evaluation.guard import judge_metrics, try_metric
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
    assert FIT.reason == (
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
    assert trial.reason == (
        f"A random scorer gets {random.mean():.4f} of the 1.0000 that an oracle gets: Precision@10 over held-out rows "
        "cannot tell models apart on this split."
    )


@pytest.mark.parametrize(("chance", "is_fit"), [(0.49, True), (0.5, False)])
def test_chance_must_get_less_than_half_of_what_an_oracle_gets(chance, is_fit):
    assert try_ndcg(share(chance), share(0.8), share(1.0)).is_fit is is_fit


def test_popularity_that_is_not_better_than_chance_makes_a_metric_unfit():
    trial = try_ndcg(share(0.1), share(0.1), share(1.0))
    assert not trial.is_fit
    assert trial.reason == (
        "NDCG@10 over the full catalogue does not show popularity (0.1000) to be better than a random scorer (0.1000) "
        "on the 1\u202f000 users of this split (p = 1), so it cannot choose between models here."
    )


def test_popularity_worse_than_chance_makes_a_metric_unfit():
    trial = try_ndcg(share(0.3), share(0.1), share(1.0))
    assert not trial.is_fit
    assert "puts popularity (0.1000) below a random scorer (0.3000)" in trial.reason


def test_an_oracle_that_is_not_better_than_popularity_makes_a_metric_unfit():
    trial = try_ndcg(share(0.1), share(0.9), share(0.9))
    assert not trial.is_fit
    assert "does not show an oracle (0.9000) to be better than popularity (0.9000)" in trial.reason


def test_an_oracle_that_gets_nothing_makes_a_metric_unfit():
    trial = try_ndcg(*np.zeros((3, 10)))
    assert not trial.is_fit
    assert trial.reason.startswith("Even an oracle gets 0.0000")


def test_one_user_is_not_enough():
    assert not try_ndcg(np.array([0.0]), np.array([0.5]), np.array([1.0])).is_fit


def test_the_two_tests_are_corrected_for_being_two():
    oracle = np.repeat([1.0, 0.0], [4, 8])
    # Each p is 0.0388 alone, where less than 0.05 would do, and 0.0776 for two.
    trial = try_ndcg(np.zeros(12), 0.4 * oracle, oracle)
    assert not trial.is_fit
    assert "(p = 0.078)" in trial.reason


@pytest.mark.parametrize(("means", "is_fit"), [(1.0, True), (1.5, False), (1.6, False)])
def test_errors_are_fit_where_means_are_shown_to_err_less_than_chance(means, is_fit):
    noise = np.random.default_rng(1).normal(0, 0.1, size=(2, 400))
    values = 1.5 + noise[0], means + noise[1] * (means != 1.5) + noise[0] * (means == 1.5), np.zeros(400)
    trial = try_metric(Metric("rmse"), *values, lower_is_better=True)
    assert trial.is_fit is is_fit
    assert trial.reason.startswith("RMSE over the full catalogue ")


def test_values_of_other_users_are_refused():
    with pytest.raises(ValueError, match="same users"):
        try_ndcg(np.zeros(3), np.zeros(2), np.zeros(3))


def test_the_verdict_on_a_fit_metric_is_its_own_reason():
    verdict = judge_metrics(NDCG, [BLIND, FIT])
    assert verdict.is_fit
    assert verdict.sentence == FIT.reason
    assert verdict.others == (BLIND,)


def test_the_verdict_on_a_blind_metric_names_one_that_works():
    verdict = judge_metrics(PRECISION, [BLIND, FIT])
    assert (verdict.wanted, verdict.is_fit) == (BLIND, False)
    assert verdict.sentence == f"{BLIND.reason} {FIT.reason}"


def test_the_verdict_says_when_no_metric_works():
    other = try_metric(Metric("held_out_only_recall", 10), share(0.9), share(0.9), share(1.0))
    verdict = judge_metrics(PRECISION, [other, BLIND])
    assert not verdict.is_fit
    assert verdict.sentence.endswith("None of the 1 others tried can either: Recall@10 over held-out rows.")
    assert judge_metrics(PRECISION, [BLIND]).sentence.endswith("No other metric was tried.")


def test_a_metric_that_was_not_tried_is_refused():
    with pytest.raises(ValueError, match="NDCG@5 over the full catalogue was not tried; tried: NDCG@10"):
        judge_metrics(Metric("ndcg", 5), [FIT])
