"""Rates over users: attribution by hand, intervals that cover, and a test that keeps its level and finds what is so."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from evaluation.online import (
    ALL_SCENARIOS,
    attribute,
    compare_rates,
    find_experiments,
    judge_online,
    keeps_share,
    rate,
    tabulate_online,
)
from reports.online import online_notes, say_online_test, tabulate_rates, tabulate_tests
from schema.arms import arm_of
from schema.arrays import Floats
from schema.events import Event, Impression
from schema.online import CLICK_THROUGH, PURCHASES_PER_IMPRESSION, PURCHASES_PER_USER, Rate
from schema.verdicts import Finding
from serving.answers import ScenarioName

NOW = 1_750_000_000


def impression(number: int, user: str | None, model: str = "old", **more: Any) -> Impression:
    about = {"item_ids": ("kettle", "pan"), "scenario": "home", "way": "exact", "timestamp": NOW}
    return Impression(recommendation_id=f"r{number}", user_id=user, model_id=model, **(about | more))


def event(number: int, user: str, kind: str = "view", item: str = "kettle", of: int | None = None) -> Event:
    shown = None if of is None else f"r{of}"
    return Event(event_id=f"e{number}", type=kind, user_id=user, item_id=item, recommendation_id=shown, timestamp=NOW)  # type: ignore[arg-type]


def test_only_what_was_shown_to_the_same_user_counts_and_each_thing_once() -> None:
    impressions = [
        impression(1, "ada"),
        impression(2, "ada"),
        impression(3, None),
        impression(4, "eve", is_forced=True),
    ]
    events = [
        event(1, "ada", of=1),
        event(2, "ada", "purchase", of=1),
        event(3, "ada", "purchase", of=1),  # the same item again
        event(4, "ada", "purchase", "pan", of=1),
        event(4, "ada", "purchase", "pan", of=2),  # the same event again
        event(5, "eve", of=2),  # another user
        event(6, "ada", item="lamp", of=2),  # another item
        event(7, "ada"),
        event(8, "bob", "basket", of=3),
        event(9, "eve", of=4),
    ]
    again = impressions[0].model_copy(update={"item_ids": ()})
    seen = attribute([*impressions, again], events)
    assert [(one.impression.recommendation_id, one.is_clicked, one.n_purchases) for one in seen] == [
        ("r1", True, 2),
        ("r2", False, 0),
        ("r3", True, 0),
    ]


def test_rows_are_by_model_arm_and_scenario_with_one_for_all_scenarios() -> None:
    shown = [
        impression(1, "ada"),
        impression(2, "ada", scenario="basket"),
        impression(3, None, scenario="basket"),
        impression(5, None, scenario="basket"),
        impression(4, "eve", "new", arm="challenger"),
    ]
    events = [event(1, "ada", of=2), event(2, "ada", "purchase", of=2), event(3, "ada", "purchase", "pan", of=2)]
    rows = tabulate_online(attribute(shown, events))
    assert [(row.model_id, row.arm, row.scenario, row.n_impressions, row.n_users) for row in rows] == [
        ("new", "challenger", "home", 1, 1),
        ("old", None, "all scenarios", 4, 3),
        ("old", None, "basket", 3, 3),
        ("old", None, "home", 1, 1),
    ]
    values = [rows[1].rates[name].value for name in (CLICK_THROUGH, PURCHASES_PER_IMPRESSION, PURCHASES_PER_USER)]
    assert values == pytest.approx([1 / 4, 2 / 4, 2 / 3])
    assert all(one.low is None for row in rows for one in row.rates.values())


def test_a_scenario_named_all_keeps_its_row_and_leaves_that_of_all_scenarios() -> None:
    shown = [impression(1, "ada"), impression(2, "eve", scenario="all")]
    rows = tabulate_online(attribute(shown, []))
    assert [(row.scenario, row.n_impressions) for row in rows] == [("all scenarios", 2), ("all", 1), ("home", 1)]
    with pytest.raises(ValidationError):
        TypeAdapter(ScenarioName).validate_python(ALL_SCENARIOS)


def draw(random: np.random.Generator, n_users: int, click_rate: float) -> tuple[Floats, Floats]:
    """Return clicks and impressions of users whose activity is log-normal: the busiest have hundreds of times more."""
    impressions = np.ceil(random.lognormal(1.0, 1.5, n_users))
    own_rate = random.beta(1, 1 / click_rate - 1, n_users)
    return random.binomial(impressions.astype(int), own_rate).astype(float), impressions


def test_intervals_cover_and_the_test_keeps_its_level_where_users_differ_in_activity() -> None:
    random, covered, rejected, naive = np.random.default_rng(1), [], [], []
    for _ in range(1500):
        first, second = (rate(*draw(random, 800, 0.1)) for _ in range(2))
        p_value = compare_rates("clicks", first, second).p_value
        if first.low is None or first.high is None or p_value is None:
            continue
        covered.append(first.low <= 0.1 <= first.high)
        rejected.append(p_value < 0.05)
        naive.append(abs(first.value - 0.1) <= 1.96 * np.sqrt(0.1 * 0.9 / 7000))  # as if impressions were independent
    assert len(covered) > 1400
    assert 0.935 <= np.mean(covered) <= 0.965
    assert 0.035 <= np.mean(rejected) <= 0.065
    assert np.mean(naive) < 0.6


def test_a_difference_that_is_there_is_found() -> None:
    random = np.random.default_rng(2)
    found = [
        compare_rates("clicks", rate(*draw(random, 3000, 0.1)), rate(*draw(random, 3000, 0.13))) for _ in range(200)
    ]
    assert np.mean([one.p_value is not None and one.p_value < 0.05 for one in found]) > 0.8
    assert np.mean([one.low is not None and one.low <= 0.03 <= (one.high or 0) for one in found]) > 0.9


def test_few_users_or_one_who_has_nearly_all_show_nothing() -> None:
    even, clicks = np.ones(40), np.array([1.0] * 12 + [0.0] * 28)
    assert rate(clicks, even).has_enough
    assert not rate(clicks[:29], even[:29]).has_enough
    assert not rate(np.array([1.0] * 9 + [0.0] * 31), even).has_enough
    busy = rate(np.append(clicks, 40.0), np.append(even, 400.0))
    assert busy.n_effective == pytest.approx(440**2 / (40 + 400**2))
    assert (busy.has_enough, busy.low) == (False, None)
    assert rate(np.array([1.0]), np.array([3.0])).error == 0
    with pytest.raises(ValueError, match="users who had something"):
        rate(np.array([]), np.array([]))


def test_error_is_that_of_leaving_out_one_user_at_a_time() -> None:
    random = np.random.default_rng(3)
    clicks, shown = draw(random, 60, 0.2)
    without = [(clicks.sum() - x) / (shown.sum() - n) for x, n in zip(clicks, shown, strict=True)]
    value = clicks.sum() / shown.sum()
    expected = np.sqrt(59 / 60 * ((np.array(without) - value) ** 2).sum())
    assert rate(clicks, shown).error == pytest.approx(expected, rel=1e-9)


def run_test(
    n_users: int, *, better: float = 0.0, share: float = 0.5, lose: str = "", models: Sequence[str] = ("old", "new")
) -> tuple[list[Impression], list[Event]]:
    """Return what an A/B test shipped: 10 impressions of each user, who clicks on 1 of 5, on more of what is better."""
    random, shown, done = np.random.default_rng(7), [], []
    for user in range(n_users):
        arm = arm_of("autumn", f"u{user}", share)
        if arm == lose and random.random() < 0.2:
            continue
        for _ in range(10):
            number = len(shown)
            model = models[arm == "challenger"]
            shown.append(impression(number, f"u{user}", model, arm=arm, experiment="autumn", share=share))
            if random.random() < 0.2 + better * (arm == "challenger"):
                done.append(event(number, f"u{user}", of=number))
    return shown, done


def test_a_test_compares_the_arms_that_the_hash_gives_and_says_what_is_shown() -> None:
    shown, done = run_test(600, better=0.06)
    stray = [
        one.model_copy(update={"recommendation_id": "stray", "arm": "champion"})
        for one in shown
        if one.model_id == "new"
    ]
    unknown = impression(9999, None, arm="champion", experiment="autumn", share=0.5)
    (found,) = find_experiments(attribute([*shown, stray[0], unknown], done))
    click_through = found.differences[0]
    assert (found.champion_id, found.challenger_id, found.n_strayed, found.is_split_right) == ("old", "new", 1, True)
    assert click_through.champion.n_users + click_through.challenger.n_users == 600
    assert click_through.outcome == "better"
    assert click_through.p_adjusted == pytest.approx(click_through.p_value)  # the others have nothing to test
    assert [one.outcome for one in found.differences[1:]] == [None, None]
    judged = judge_online([found], "new", "old", margin_share=0.05)
    assert not judged.is_warning
    assert "is shown" in say_online_test(judged)
    assert "no A/B test" in say_online_test(judge_online([found], "old", "new", margin_share=0.05))


def test_no_difference_is_not_enough_for_the_gate_unless_users_show_that_little_is_lost() -> None:
    few, many = (find_experiments(attribute(*run_test(n)))[0] for n in (200, 4000))
    assert [one.differences[0].outcome for one in (few, many)] == ["no difference shown"] * 2
    judged = [judge_online([one], "new", "old", margin_share=0.1) for one in (few, many)]
    assert [one.is_warning for one in judged] == [True, False]
    assert judge_online([many], "new", "old", margin_share=0).is_warning
    assert "is not shown" in say_online_test(judged[0])


def test_too_few_users_refuse_and_say_so() -> None:
    (found,) = find_experiments(attribute(*run_test(30)))
    judged = judge_online([found], "new", "old", margin_share=0.5)
    assert judged.is_warning
    assert "too few show nothing" in say_online_test(judged)
    assert found.differences[0].outcome is None


def test_an_arm_that_loses_users_is_found_and_shows_nothing() -> None:
    (found,) = find_experiments(attribute(*run_test(3000, better=0.06, lose="challenger")))
    assert not found.is_split_right
    judged = judge_online([found], "new", "old", margin_share=0.05)
    assert judged.is_warning
    assert "do not have the users" in say_online_test(judged)
    record = {"since": NOW, "until": NOW, "rows": [], "experiments": [found.to_record()]}
    assert any("Something loses users of one arm" in note for note in online_notes(record))


def test_what_an_arm_showed_before_its_model_changed_does_not_count() -> None:
    before, _ = run_test(160, models=("older", "new"))
    early = [
        one.model_copy(update={"timestamp": NOW - 100, "recommendation_id": f"early {one.recommendation_id}"})
        for one in before
    ]
    (found,) = find_experiments(attribute([*early, *run_test(100)[0]], []))
    assert (found.champion_id, found.since) == ("old", NOW - 99)
    assert found.differences[0].challenger.n_users + found.differences[0].champion.n_users == 100


def test_what_a_champion_showed_before_another_took_its_place_does_not_count_when_it_comes_back() -> None:
    phases = [run_test(n, models=models)[0] for n, models in ((140, ("old", "new")), (160, ("other", "new")))]
    early = [
        one.model_copy(update={"timestamp": NOW - ago, "recommendation_id": f"{ago} {one.recommendation_id}"})
        for ago, phase in zip((200, 100), phases, strict=True)
        for one in phase
    ]
    (found,) = find_experiments(attribute([*early, *run_test(120)[0]], []))
    assert (found.champion_id, found.since) == ("old", NOW - 99)
    assert found.differences[0].challenger.n_users + found.differences[0].champion.n_users == 120


def test_another_share_is_another_test_and_an_arm_without_impressions_is_none() -> None:
    half, _ = run_test(50)
    tenth, _ = run_test(50, share=0.1)
    later = [
        one.model_copy(update={"timestamp": NOW + 9, "recommendation_id": f"t{one.recommendation_id}"}) for one in tenth
    ]
    found = find_experiments(attribute([*later, *half[: len(half) // 2]], []))
    assert [one.share for one in found] == [0.5, 0.1]
    assert judge_online(found, "new", "old", margin_share=0.1).figures["n_users"] == 50
    assert find_experiments(attribute([one for one in half if one.arm == "champion"], [])) == []


def test_a_share_that_must_be_kept_is_weighed_with_its_own_error() -> None:
    champion = Rate(0.1, 0.002, 1000, 1000, 100, 0.0, 1.0)
    challenger = replace(champion, value=0.10048)
    found = compare_rates("clicks", champion, challenger)
    reach = 1.9613 * np.hypot(0.002, 0.95 * 0.002)
    assert 0.10048 - 0.095 > reach > 0.0054
    assert keeps_share(found, 0.05)
    assert not keeps_share(found, 0.049)


def test_tables_show_intervals_and_say_where_there_are_too_few() -> None:
    shown, done = run_test(600, better=0.06)
    seen = attribute(shown, done)
    rows, (found,) = tabulate_online(seen), find_experiments(seen)
    record = {
        "since": NOW,
        "until": NOW,
        "rows": [vars(row) | {"rates": {name: vars(one) for name, one in row.rates.items()}} for row in rows],
        "experiments": [found.to_record()],
    }
    first = tabulate_rates(record).to_records()[0]
    assert (first["model"], first["arm"], first["users"]) == ("new", "challenger", str(rows[0].n_users))
    assert "–" in first["click-through"]  # noqa: RUF001 - the dash of an interval
    assert first["purchases per user"] == "0.0000 (too few)"
    test, *others = tabulate_tests(record).to_records()
    assert (test["the challenger is"], test["p"]) == ("better", "<0.001")
    assert [one["the challenger is"] for one in others] == ["too few", "too few"]


def test_findings_without_a_test_say_what_to_do() -> None:
    assert "API_CHALLENGER" in say_online_test(Finding("A/B test", is_warning=True, figures={"experiment": None}))
