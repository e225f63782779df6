"""Rules arrange candidates as a slow definition says, whatever the candidates and the rules are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serving.rules import Rules, Scenario, arrange, fill

N_ITEMS = 14
SHARES = st.sampled_from([0.0, 0.25, 0.5, 1.0])
BRANDS = st.just([0] * N_ITEMS) | st.lists(st.integers(-1, 2), min_size=N_ITEMS, max_size=N_ITEMS)


@st.composite
def cases(draw):
    """Draw candidates, best first, a number of items, and rules; pins are never among the candidates.

    Some pins have places beyond any number of items that is asked for, and all items may be of one brand.
    """
    scores = draw(st.lists(st.sampled_from([-1.5, 0.0, 0.5, 2.0]), min_size=N_ITEMS, max_size=N_ITEMS))
    pinned = draw(st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=4))
    places = draw(
        st.lists(st.integers(0, 12) | st.integers(16, 99), unique=True, min_size=len(pinned), max_size=len(pinned))
    )
    hidden = draw(st.sets(st.integers(0, N_ITEMS - 1))) | set(pinned)
    alike = np.array(draw(st.lists(st.sampled_from([0.0, 0.2, 0.9, 3.0]), min_size=N_ITEMS**2, max_size=N_ITEMS**2)))
    alike = alike.reshape(N_ITEMS, N_ITEMS)
    items = [item for item in np.argsort(-np.array(scores), kind="stable").tolist() if item not in hidden]
    rules = Rules(
        pins=dict(zip(places, pinned, strict=True)),
        brand=np.array(draw(BRANDS)),
        max_per_brand=draw(st.none() | st.integers(1, 3)),
        diversity=draw(SHARES),
        similarities=lambda item, others: alike[item, others].astype(np.float32),
        is_fresh=np.array(draw(st.lists(st.booleans(), min_size=N_ITEMS, max_size=N_ITEMS))),
        freshness=draw(SHARES),
    )
    return np.array(items, dtype=np.int32), np.array([scores[item] for item in items], np.float32), rules


def is_full(item, taken, rules):
    brand = rules.brand[item]
    same = sum(rules.brand[one] == brand for one in taken)
    return rules.max_per_brand is not None and brand >= 0 and same >= rules.max_per_brand


def worth(item, score, scores, taken, rules):
    """Return what a candidate is worth at a place, after what was taken."""
    if not rules.diversity and not rules.freshness:
        return score
    low, high = min(scores), max(scores)
    relevance = (score - low) / (high - low) if high > low else 0.0
    relevance = (1 - rules.freshness) * relevance + rules.freshness * bool(rules.is_fresh[item])
    alike = [float(rules.similarities(one, np.array([item]))[0]) for one in taken]
    nearest = max((min(max(one, 0.0), 1.0) for one in alike), default=0.0)
    return (1 - rules.diversity) * relevance - rules.diversity * nearest


def slow(items, scores, n, rules):
    """Arrange place by place, each from scratch."""
    pins = {}
    for place in sorted(rules.pins):
        if place < n and not is_full(rules.pins[place], pins.values(), rules):
            pins[place] = rules.pins[place]
    pairs, scores = list(zip(items.tolist(), scores.tolist(), strict=True)), scores.tolist()
    chosen = []
    while len(chosen) < n - len(pins):
        taken = [*pins.values(), *chosen]
        free = [pair for pair in pairs if pair[0] not in chosen and not is_full(pair[0], taken, rules)]
        if not free:
            break
        worths = [worth(item, score, scores, taken, rules) for item, score in free]
        chosen.append(free[next(n for n, one in enumerate(worths) if one > max(worths) - 1e-9)][0])
    arranged, rest = [], iter(chosen)
    for place in range(n):
        item = pins[place] if place in pins else next(rest, None)
        arranged += [] if item is None else [item]
    return arranged


@given(cases(), st.integers(1, 16))
def test_arranging_equals_the_slow_definition(case, n):
    items, scores, rules = case
    assert arrange(items, scores, n, rules).tolist() == slow(items, scores, n, rules)


@given(cases(), st.integers(1, 16))
def test_filling_never_gives_fewer_items_than_possible_nor_one_that_is_no_candidate(case, n):
    items, scores, rules = case
    filled = fill(lambda k: (items[:k], scores[:k]), n, rules).tolist()
    open_items = {*items.tolist(), *(item for place, item in rules.pins.items() if place < n)}
    by_brand = np.bincount([rules.brand[item] + 1 for item in open_items], minlength=4)
    most = [by_brand[0], *np.minimum(by_brand[1:], rules.max_per_brand or N_ITEMS)]
    assert len(filled) == min(n, sum(most))
    assert len(set(filled)) == len(filled)
    assert set(filled) <= open_items


@given(cases(), st.integers(1, 16))
def test_pins_that_fit_stand_at_their_places(case, n):
    items, scores, rules = case
    filled = fill(lambda k: (items[:k], scores[:k]), n, rules).tolist()
    for place, item in rules.pins.items():
        if item in filled and len(filled) == n:
            assert filled[place] == item
        if place < n and rules.max_per_brand is None:
            assert item in filled


@given(cases(), st.integers(1, 16))
def test_without_rules_that_reorder_the_order_is_that_of_the_scores(case, n):
    items, scores, rules = case
    plain = Rules(brand=rules.brand, max_per_brand=rules.max_per_brand)
    filled = fill(lambda k: (items[:k], scores[:k]), n, plain).tolist()
    kept = [place for place, item in enumerate(items.tolist()) if item in filled]
    assert filled == items[kept].tolist()
    assert fill(lambda k: (items[:k], scores[:k]), n, Rules()).tolist() == items[:n].tolist()


def test_diversity_takes_the_unlike_item_before_the_better_one():
    items, scores = np.array([0, 1, 2], np.int32), np.array([3, 2, 1], np.float32)
    alike = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float32)
    rules = Rules(diversity=0.5, similarities=lambda item, others: alike[item, others])
    assert arrange(items, scores, 3, rules).tolist() == [0, 2, 1]
    assert arrange(items, scores, 3, Rules(similarities=rules.similarities)).tolist() == [0, 1, 2]


def test_more_candidates_are_asked_for_until_caps_are_met():
    asked = []

    def rank(k):
        asked.append(k)
        return np.arange(min(k, 50), dtype=np.int32), np.arange(min(k, 50), 0, -1).astype(np.float32)

    rules = Rules(brand=np.array([0] * 40 + [-1] * 10), max_per_brand=1)
    assert fill(rank, 4, rules).tolist() == [0, 40, 41, 42]
    assert asked == [8, 128]


class Counted(np.ndarray):
    """An array that counts how often it is read."""

    n_reads = 0

    def __getitem__(self, key):
        Counted.n_reads += 1
        return super().__getitem__(key)


def test_a_cap_that_cannot_be_met_takes_as_many_steps_as_items_are_taken():
    items, scores = np.arange(3000, dtype=np.int32), np.arange(3000, 0, -1).astype(np.float32)
    rules = Rules(
        brand=np.zeros(3000, dtype=np.int64).view(Counted),
        max_per_brand=2,
        diversity=0.3,
        similarities=lambda _, others: np.zeros(len(others), np.float32),
    )
    assert arrange(items, scores, 10, rules).tolist() == [0, 1]
    assert Counted.n_reads < 50


@pytest.mark.parametrize(
    "bad",
    [
        {"pinned": [{"item_id": "a", "place": 1}, {"item_id": "b", "place": 1}]},
        {"pinned": [{"item_id": "a", "place": 1}, {"item_id": "a", "place": 2}]},
        {"diversity": float("nan")},
        {"diversity": 1.1},
        {"n": 0},
        {"n": 101},
        {"max_per_brand": 0},
        {"deny": ["x" * 257]},
        {"unknown": 1},
    ],
)
def test_scenario_refuses(bad):
    with pytest.raises(ValidationError):
        Scenario.model_validate(bad)


def test_scenario_without_rules_is_plain_whatever_its_length():
    assert Scenario(n=5, description="e").is_plain
    assert not Scenario(deny=("a",)).is_plain
    assert not Scenario(exclude_seen=False).is_plain
    assert not Scenario(freshness=0.1).is_plain
