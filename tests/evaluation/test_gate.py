import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.gate import judge_challenger, judge_non_inferiority
from evaluation.selection import judge_metrics, try_metric
from evaluation.significance import compare_paired
from reports.verdicts import conditions_of, say_non_inferiority, say_verdict
from schema.metric import Metric
from schema.verdicts import BEATS_POPULARITY, LEAST_USERS, METRIC_IS_FIT, NO_LEAK, NOT_WORSE, Finding

NDCG = Metric("ndcg", 10)
scores = st.lists(st.tuples(*[st.integers(0, 4)] * 2), min_size=LEAST_USERS, max_size=40)
shares = st.floats(0, 0.99)
margins = st.floats(0.001, 0.99)


def judge(values, champion_values, share):
    columns = np.asarray(values, dtype=float), np.asarray(champion_values, dtype=float)
    return judge_non_inferiority(NDCG, *columns, share)


def test_a_loss_within_the_margin_is_allowed_and_a_larger_one_is_not():
    # All users lose 1/8 of 1/2, so that the interval is that one value: a quarter of the champion's mean.
    lost = [0.375] * 40, [0.5] * 40
    assert judge(*lost, 0.26).is_shown
    assert not judge(*lost, 0.24).is_shown
    assert judge(*lost, 0.26).margin == pytest.approx(0.13)


def test_an_interval_that_touches_the_margin_is_not_above_it():
    result = judge([0.375] * 40, [0.5] * 40, 0.25)
    assert (result.low, result.high, result.margin) == (0, 0, 0.125)
    assert not result.is_shown


def test_the_lower_end_of_the_interval_decides_and_not_the_mean():
    # Nobody loses anything on average, but 40 users cannot show it: 20 gain 0.5 and 20 lose as much.
    few = [1.0] * 20 + [0.0] * 20, [0.5] * 40
    result = judge(*few, 0.1)
    assert result.comparison.difference == 0
    assert result.low < 0 < result.high
    assert not result.is_shown
    assert judge(*(column * 100 for column in few), 0.1).is_shown


def test_fewer_than_thirty_users_show_nothing():
    few, enough = (judge([0.5] * n_users, [0.5] * n_users, 0.1) for n_users in (29, 30))
    assert (few.low, few.is_shown, enough.is_shown) == (pytest.approx(0.05), False, True)
    assert "fewer than 30 users show nothing" in say_non_inferiority(few)


@settings(max_examples=30)
@given(scores, st.just(0.0) | margins)
def test_equal_scores_pass_with_any_margin_but_none(pairs, share):
    values = [float(first) for first, _ in pairs]
    result = judge(values, values, share)
    assert result.comparison.low <= 0 <= result.comparison.high
    assert result.is_shown == (result.low > 0)
    assert result.is_shown <= (share > 0)
    assert judge([value + 1 for value in values], [value + 1 for value in values], share).is_shown == (share > 0)


@settings(max_examples=30)
@given(scores, shares)
def test_the_difference_is_that_of_the_paired_comparison(pairs, share):
    values, others = np.array(pairs, dtype=float).T
    paired = compare_paired("the challenger", "the champion", NDCG, values, others)
    assert judge(values, others, share).comparison == paired


@settings(max_examples=30)
@given(scores, shares)
def test_swapped_the_difference_is_negated_and_not_both_are_better(pairs, share):
    values, others = np.array(pairs, dtype=float).T
    there, back = judge(values, others, share), judge(others, values, share)
    assert back.comparison.difference == pytest.approx(-there.comparison.difference)
    assert (back.value, back.champion_value) == (there.champion_value, there.value)
    assert not (judge(values, others, 0).is_shown and judge(others, values, 0).is_shown)


@settings(max_examples=30)
@given(scores, margins, margins)
def test_what_passes_passes_with_a_wider_margin(pairs, first, second):
    values, others = np.array(pairs, dtype=float).T
    narrow, wide = sorted((first, second))
    assert judge(values, others, narrow).is_shown <= judge(values, others, wide).is_shown


@pytest.mark.parametrize("share", [0.0, 0.2, 0.8])
def test_a_challenger_that_is_worse_by_the_margin_passes_about_once_in_forty_times(share):
    # What the champion has is as uncertain as what the challenger has: both are of users drawn at random.
    draws = np.random.default_rng(1)
    passed = 0
    for _ in range(400):
        champion, challenger = draws.uniform(0, 1, 300), draws.uniform(0, 1 - share, 300)
        passed += judge(challenger, champion, share).is_shown
    assert 3 <= passed <= 19  # 10 expected


def test_a_champion_without_a_hit_leaves_nothing_to_lose():
    assert judge([0.0] * 30, [0.0] * 30, 0.5).margin == 0
    assert judge([1.0] * 30, [0.0] * 30, 0.5).is_shown


def test_scores_of_other_users_are_refused():
    with pytest.raises(ValueError, match="expected one value of each for the same users"):
        judge([1.0, 2.0], [1.0], 0.1)


@pytest.mark.parametrize(
    ("values", "share", "is_met", "words"),
    [
        ([0.5] * 36, 0.1, True, "no more is lost, in all of the interval"),
        ([0.5] * 36, 0.1, True, "is +0.0500 from what must be kept, 95 % interval +0.0500 to +0.0500"),
        ([0.25] * 36, 0.1, False, "more is lost, in all of the interval"),
        ([1.0, 0.0] * 18, 0.1, False, "so many users do not show that no more is lost"),
        ([0.5] * 36, 0.0, False, "it is not shown to be better"),
        ([0.25] * 36, 0.0, False, "it is worse in all of the interval"),
        ([0.75] * 36, 0.0, True, "it is better in all of the interval"),
    ],
)
def test_the_condition_says_why_with_its_numbers(values, share, is_met, words):
    result = judge(values, [0.5] * 36, share)
    sentence = say_non_inferiority(result)
    assert result.is_shown == is_met
    assert words in sentence
    assert "that of the champion 0.5000" in sentence
    assert "over 36 users" in sentence


FIT = judge_metrics(NDCG, [try_metric(NDCG, np.zeros(50), np.full(50, 0.5), np.ones(50))])
BLIND = judge_metrics(NDCG, [try_metric(NDCG, np.ones(50), np.ones(50), np.ones(50))])
NO_LEAKS = Finding("leaks", False, {"n_found": 0, "n_all": 9})
TOO_GOOD = Finding("too good", True, {"value": 0.9, "popularity": 0.1, "oracle": 1.0})


def decide(value=0.6, champion=None, guard=FIT, leaks=(NO_LEAKS,), *, may_warn=False):
    values, popularity = np.full(36, value), np.full(36, 0.5)
    old = None if champion is None else np.full(36, champion)
    return judge_challenger(NDCG, values, old, popularity, guard, leaks, 0.1, may_warn=may_warn)


def sentences(verdict):
    return {one["name"]: one["sentence"] for one in conditions_of(verdict)}


@pytest.mark.parametrize(("value", "is_met"), [(0.6, True), (0.5, True), (0.4999, False)])
def test_popularity_gets_no_benefit_of_the_doubt(value, is_met):
    verdict = decide(value)
    assert verdict.conditions[BEATS_POPULARITY] == is_met
    assert ("is not below" in sentences(verdict)[BEATS_POPULARITY]) == is_met


def test_a_metric_that_tells_nothing_apart_is_met_only_where_a_warning_is_enough():
    refused, warned = (decide(guard=BLIND, may_warn=may_warn) for may_warn in (False, True))
    assert (refused.conditions[METRIC_IS_FIT], warned.conditions[METRIC_IS_FIT]) == (False, True)
    assert "A random scorer gets 1.0000 of the 1.0000" in sentences(refused)[METRIC_IS_FIT]
    assert sentences(warned)[METRIC_IS_FIT].endswith("the decision is arbitrary.")


def test_one_leak_is_enough():
    good, bad = decide(leaks=(NO_LEAKS, NO_LEAKS)), decide(leaks=(NO_LEAKS, TOO_GOOD))
    assert (good.conditions[NO_LEAK], bad.conditions[NO_LEAK]) == (True, False)
    assert sentences(good)[NO_LEAK].count("None of the 9 held-out pairs") == 2
    assert sentences(bad)[NO_LEAK].startswith("The model gets 0.9000 of the 1.0000")


@pytest.mark.parametrize(
    ("options", "unmet"),
    [
        ({}, []),
        ({"champion": 0.55}, []),
        ({"champion": 0.9}, [NOT_WORSE]),
        ({"value": 0.4, "champion": 0.9}, [NOT_WORSE, BEATS_POPULARITY]),
        ({"guard": BLIND, "leaks": (TOO_GOOD,)}, [METRIC_IS_FIT, NO_LEAK]),
    ],
)
def test_a_challenger_is_promoted_if_every_condition_is_met(options, unmet):
    verdict = decide(**options)
    assert [name for name, is_met in verdict.conditions.items() if not is_met] == unmet
    assert (NOT_WORSE in verdict.conditions) == ("champion" in options)
    assert verdict.is_promoted == (not unmet)
    sentence, why = say_verdict(verdict, "new", "old" if "champion" in options else None), sentences(verdict)
    if unmet:
        assert sentence == " ".join(["new is refused.", *(why[name] for name in unmet)])
    else:
        place = "take the place of old" if "champion" in options else "be the first champion"
        assert sentence == f"new may {place}. {next(iter(why.values()))}"
