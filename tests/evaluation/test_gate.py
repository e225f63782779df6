from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulated_users import LOST_ONLY, Population, draw_pairs
from evaluation.gate import judge_challenger, judge_non_inferiority, judge_standing, level_of, limits, standing_of
from evaluation.selection import judge_metrics, try_metric
from evaluation.significance import compare_paired
from reports.gate_verdicts import conditions_of, say_non_inferiority, say_verdict
from schema.gate_verdicts import (
    BEATS_POPULARITY,
    BEST,
    CHAMPION,
    KEEPS_BEST,
    METRIC_IS_FIT,
    NO_LEAK,
    NOT_WORSE,
    POPULARITY,
    STANDS_AS_BEFORE,
    Standing,
)
from schema.metric import Metric, MetricRow
from schema.verdicts import Finding

NDCG = Metric("ndcg", 10)
scores = st.lists(st.tuples(*[st.integers(0, 4)] * 2), min_size=30, max_size=40)
shares = st.floats(0, 0.99)
margins = st.floats(0.001, 0.99)


def judge(values, champion_values, share, **named):
    columns = np.asarray(values, dtype=float), np.asarray(champion_values, dtype=float)
    return judge_non_inferiority(NDCG, *columns, share, **named)


def test_a_loss_within_the_margin_is_allowed_and_a_larger_one_is_not():
    # All users lose 1/8 of 1/2, a quarter: what is left open are the users that are added.
    lost = [0.375] * 1000, [0.5] * 1000
    assert judge(*lost, 0.26).is_shown
    assert not judge(*lost, 0.25).is_shown
    assert judge(*lost, 0.26).margin == pytest.approx(0.13)


def test_the_limit_is_that_of_the_normal_distribution_with_two_users_who_lost_a_hit():
    champion, challenger = np.repeat([1.0, 0.0], [200, 800]), np.repeat([1.0, 0.0], [196, 804])
    z = 1.959963984540054
    added = z * z / 2
    kept = np.array([0.05, -0.95]), np.array([196, 4 + added])
    mean = kept[0] @ kept[1] / (1000 + added)
    spread = np.sqrt(kept[0] ** 2 @ kept[1] / (1000 + added) - mean**2)
    assert judge(challenger, champion, 0.05).low == pytest.approx(mean - z * spread / np.sqrt(1000 + added))


def test_the_limit_decides_and_not_the_mean():
    # Nobody loses anything on average, but so few users cannot show it: half of them gain 0.5 and half lose as much.
    few = [1.0] * 60 + [0.0] * 60, [0.5] * 120
    result = judge(*few, 0.1)
    assert result.comparison.difference == 0
    assert result.low < 0 < result.high
    assert (result.has_enough_hits, result.is_shown) == (True, False)
    assert judge(*(column * 100 for column in few), 0.1).is_shown


def test_fewer_than_ten_hits_show_nothing():
    few, enough = (judge([1.0] * n_hits + [0.0] * 90, [0.0] * (n_hits + 90), 0.05) for n_hits in (9, 10))
    assert (few.low > 0, few.is_shown, enough.is_shown) == (True, False, True)
    assert "9 hits show nothing" in say_non_inferiority(few)


def test_equal_models_need_ninety_two_hits_and_better_ones_fewer():
    hits = np.repeat([1.0, 0.0], [92, 900])
    assert [judge(values, values, 0.05).is_shown for values in (hits[1:], hits)] == [False, True]
    assert judge(hits, hits * (np.arange(992) > 30), 0.05).is_shown
    said = say_non_inferiority(judge(hits[46:], hits[46:], 0.05))
    assert "could not have been seen; 5.0\u00a0% takes about" in said
    assert "hold out more, wait for more data, or allow a wider margin (--promotion-margin)." in said


def test_far_better_than_little_is_told_by_its_hits():
    hits = np.repeat([1.0, 0.0], [150, 1850])
    said = say_non_inferiority(judge(hits, hits * (np.arange(2000) < 5), 0.05))
    assert said.endswith("no more is lost. These 2\u202f000 users have 150 hits.")


def test_hits_count_as_much_however_they_are_graded_and_linearised():
    hits = np.repeat([1.0, 0.0], [150, 850])
    assert judge(hits / 3, hits / 3, 0.05).n_hits == pytest.approx(150)
    assert judge(hits, hits * 0, 0.05).n_hits == judge(hits * 0, hits, 0.05).n_hits == 150
    assert judge(hits * 0, hits * 0, 0.05).n_hits == 0


def test_one_fit_loses_nothing_however_few_hits_there_are():
    values = [1.0] * 3 + [0.0] * 40
    assert [judge(values, values, share, is_same=True).is_shown for share in (0.05, 0.0)] == [True, False]
    assert "is a fit of the same parameters as the champion" in say_non_inferiority(
        judge(values, values, 0.05, is_same=True)
    )


@settings(max_examples=30)
@given(scores, st.just(0.0) | margins)
def test_equal_scores_of_many_users_pass_with_any_margin_but_none(pairs, share):
    values = [float(first) + 1 for first, _ in pairs] * 2000
    result = judge(values, values, share)
    assert result.comparison.low <= 0 <= result.comparison.high
    assert result.is_shown == (result.low > 0)
    assert result.is_shown <= (share > 0)
    assert result.is_shown >= (share > 0.01)


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
    assert (back.value, back.against_value) == (there.against_value, there.value)
    assert not (judge(values, others, 0).is_shown and judge(others, values, 0).is_shown)


@settings(max_examples=30)
@given(scores, margins, margins)
def test_what_passes_passes_with_a_wider_margin(pairs, first, second):
    values, others = np.array(pairs * 10, dtype=float).T
    narrow, wide = sorted((first, second))
    assert judge(values, others, narrow).is_shown <= judge(values, others, wide).is_shown


@pytest.mark.parametrize("share", [0.0, 0.2, 0.8])
def test_a_challenger_that_is_worse_by_the_margin_passes_about_once_in_forty_times(share):
    # What the champion has is as uncertain as what the challenger has: both are of users drawn at random.
    draws = np.random.default_rng(1)
    passed = 0
    for _ in range(400):
        champion, challenger = draws.uniform(0, 1, 300), draws.uniform(0, 1 - share, 300)
        passed += limits(challenger, champion, share)[0] > 0
    assert 3 <= passed <= 19  # 10 expected


def share_of_passes(population, ratio, repetitions=400, n_tries=1):
    level = level_of(n_tries)
    pairs = draw_pairs(population, ratio, repetitions, seed=7)
    return np.mean([limits(worse, champion, 0.05, level)[0] > 0 for worse, champion in pairs])


@pytest.mark.parametrize("correlation", [0.5, 0.9, 0.98, LOST_ONLY])
@pytest.mark.parametrize(
    ("n_users", "mean"), [(30, 0.3), (100, 0.03), (100, 0.3), (250, 0.3), (1000, 0.3), (6000, 0.03)]
)
def test_a_bad_challenger_does_not_pass_by_luck(n_users, mean, correlation):
    population = Population(n_users, mean, correlation)
    assert share_of_passes(population, 0.95) <= 0.03 + 0.012
    assert share_of_passes(population, 0.9) <= 0.01


def test_an_equal_challenger_passes_where_users_can_show_it():
    assert share_of_passes(Population(6000, 0.3, 0.9), 1.0, 100) > 0.97
    assert share_of_passes(Population(6000, 0.03, 0.98), 1.0, 100) > 0.8


def test_the_risk_of_all_tries_on_a_split_is_bounded():
    assert level_of(1) == 0.025
    assert sum(map(level_of, range(1, 100_000))) == pytest.approx(0.05, abs=1e-4)
    few, many = (share_of_passes(Population(1000, 0.3, 0.98), 0.96, 200, n_tries) for n_tries in (1, 20))
    assert (few > 0.02, many) == (True, 0)


def test_a_champion_without_a_hit_leaves_nothing_to_lose():
    assert judge([0.0] * 300, [0.0] * 300, 0.5).margin == 0
    found = judge([1.0] * 300, [0.0] * 300, 0.5)
    assert (found.is_shown, found.smallest_loss) == (True, None)
    assert "it has nothing to lose" in say_non_inferiority(found)


def test_the_smallest_loss_that_could_be_seen_is_said_and_shrinks_with_users():
    pairs = [next(draw_pairs(Population(n_users, 0.3, 0.9), 1.0, 1)) for n_users in (1000, 16_000)]
    found = [judge(*pair, 0.05) for pair in pairs]
    assert found[0].smallest_loss == pytest.approx(4 * found[1].smallest_loss, rel=0.25)
    assert f"a loss below {found[0].smallest_loss:.1%}".replace("%", "\u00a0%") in say_non_inferiority(found[0])
    assert found[1].smallest_loss < 0.05


def test_scores_of_other_users_are_refused():
    with pytest.raises(ValueError, match="expected one value of each for the same users"):
        judge([1.0, 2.0], [1.0], 0.1)


@pytest.mark.parametrize(
    ("values", "share", "is_met", "words"),
    [
        ([0.5] * 360, 0.1, True, "0.0500, may be lost, and the challenger is +0.0500 from what must be kept"),
        ([0.5] * 360, 0.1, True, "at worst +0.0436: no more is lost. With these 360 users (360 hits) a loss below"),
        ([0.25] * 360, 0.1, False, "more is lost"),
        ([1.0, 0.0] * 180, 0.1, False, "it is not shown that no more is lost"),
        ([0.5] * 360, 0.0, False, "it is not shown to be better"),
        ([0.25] * 360, 0.0, False, "it is worse"),
        ([0.75] * 360, 0.0, True, "it is better"),
    ],
)
def test_the_condition_says_why_with_its_numbers(values, share, is_met, words):
    result = judge(values, [0.5] * 360, share)
    sentence = say_non_inferiority(result)
    assert result.is_shown == is_met
    assert words in sentence
    assert "that of the champion 0.5000" in sentence
    assert "over 360 users" in sentence


FIT = judge_metrics(NDCG, [try_metric(NDCG, np.zeros(50), np.full(50, 0.5), np.ones(50))])
BLIND = judge_metrics(NDCG, [try_metric(NDCG, np.ones(50), np.ones(50), np.ones(50))])
NO_LEAKS = Finding("leaks", False, {"n_found": 0, "n_all": 9})
TOO_GOOD = Finding("too good", True, {"value": 0.9, "popularity": 0.1, "oracle": 1.0})


def decide(value=0.6, champion=None, best=None, guard=FIT, leaks=(NO_LEAKS,), *, may_warn=False, **named):
    others = {POPULARITY: 0.5, CHAMPION: champion, BEST: best}
    columns = {name: np.full(360, one) for name, one in others.items() if one is not None}
    return judge_challenger(NDCG, np.full(360, value), columns, guard, leaks, 0.1, may_warn=may_warn, **named)


def sentences(verdict):
    return {one["name"]: one["sentence"] for one in conditions_of(verdict)}


@pytest.mark.parametrize(("value", "is_met"), [(0.6, True), (0.5, True), (0.4999, False)])
def test_popularity_gets_no_benefit_of_the_doubt(value, is_met):
    verdict = decide(value)
    assert verdict.conditions[BEATS_POPULARITY] == is_met
    assert ("is below popularity's" in sentences(verdict)[BEATS_POPULARITY]) != is_met


def test_popularity_is_a_rival_like_any_other_so_that_few_hits_show_nothing():
    few = judge_challenger(NDCG, np.full(8, 0.6), {POPULARITY: np.full(8, 0.5)}, FIT, (), 0.1, may_warn=False)
    assert few.conditions[BEATS_POPULARITY] is False
    assert "8 hits show nothing" in sentences(few)[BEATS_POPULARITY]


def test_the_best_so_far_must_be_kept_too_unless_the_parameters_are_the_champions():
    near, far = decide(0.6, champion=0.61, best=0.64), decide(0.6, champion=0.61, best=0.7)
    assert [one.conditions[KEEPS_BEST] for one in (near, far)] == [True, False]
    assert "that of the best so far 0.7000" in sentences(far)[KEEPS_BEST]
    same = decide(0.6, champion=0.6, best=0.7, same=[CHAMPION])
    assert same.is_promoted
    assert "the same parameters as the champion" in sentences(same)[KEEPS_BEST]
    assert KEEPS_BEST not in decide(champion=0.55).conditions


def test_the_many_tries_of_a_year_are_held_against_the_best_at_a_fifth_of_the_risk():
    verdict = decide(0.6, champion=0.61, best=0.64, n_tries=2)
    assert verdict.champion.level == pytest.approx(0.0125)
    assert verdict.best.level == pytest.approx(0.0025)


@pytest.mark.parametrize(
    ("options", "is_best"),
    [
        ({}, True),
        ({"champion": 0.6}, False),
        ({"champion": 0.55}, True),
        ({"champion": 0.55, "best": 0.6}, False),
        ({"champion": 0.6, "same": [CHAMPION]}, True),
        ({"champion": 0.6, "best": 0.62, "same": [CHAMPION]}, False),
        ({"champion": 0.5, "best": 0.6, "same": [BEST]}, True),
    ],
)
def test_the_best_so_far_is_who_is_shown_to_be_better_and_the_same_again(options, is_best):
    assert decide(0.6, **options).is_best == is_best


def test_the_number_of_tries_is_said_with_what_it_costs():
    first, third = decide(champion=0.6), decide(champion=0.6, n_tries=3)
    assert "tried on this split" not in sentences(first)[NOT_WORSE]
    assert (
        "3 challengers were tried on this split, so that this one's risk of error is 0.42 % instead of 2.5 %"
        in (sentences(third)[NOT_WORSE])
    )
    assert third.champion.low < first.champion.low


def row(value, low, high):
    return MetricRow("m", {}, "test", "ndcg", 10, value, low, high, 1000)


def test_a_defect_that_halves_every_fit_shows_in_their_standing_to_popularity():
    then = standing_of(row(0.2, 0.19, 0.21), row(0.1, 0.095, 0.105))
    assert then == Standing(pytest.approx(2), pytest.approx(2**0.5 * 0.05 / 1.96))
    halved, honest = (
        standing_of(row(*one), row(0.1, 0.095, 0.105)) for one in ((0.1, 0.095, 0.105), (0.18, 0.17, 0.19))
    )
    refused, passed, allowed = (
        judge_standing(then, halved),
        judge_standing(then, honest),
        judge_standing(then, halved, 0.6),
    )
    assert [one.is_warning for one in (refused, passed, allowed)] == [True, False, False]
    verdict = replace(decide(), standing=refused)
    assert verdict.conditions[STANDS_AS_BEFORE] is False
    assert (
        "get 1.00 times what popularity gets, and got 2.00 times on their own day"
        in sentences(verdict)[STANDS_AS_BEFORE]
    )
    assert standing_of(row(0.2, 0.19, 0.21), row(0.0, 0.0, 0.0)) is None


def test_a_standing_of_few_hits_falls_by_chance():
    then, now = Standing(2.0, 0.3), Standing(1.0, 0.3)
    assert not judge_standing(then, now).is_warning


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
