from itertools import permutations

import numpy as np
import pytest
from pydantic import ValidationError

from models.base import Interactions
from models.item_graph import ItemGraph
from models.registry import ModelOptions, candidates
from schema.histories import Histories
from schema.items_by_user import ItemsByUser

DAMPED = {"user_damping": 0.3, "power": 1.5, "source_damping": 0.6, "target_damping": 0.2}


def fit(events, n_users, n_items, **parameters):
    """Fit to (user, item, time)."""
    users, items, times = np.array(events).reshape(-1, 3).T
    columns = {"user_idx": users.astype(int), "item_idx": items.astype(int), "timestamp": times}
    return ItemGraph().fit(Interactions.of(n_users, n_items, **columns), parameters)


def links_by_hand(events, n_items, pair_weight):
    """The oracle: W as a dense matrix, user by user and pair by pair."""
    n_users_of = [sum(item == one for _, item, _ in events) for one in range(n_items)]
    dense = np.zeros((n_items, n_items))
    for user in {user for user, _, _ in events}:
        theirs = [(item, time) for one, item, time in events if one == user]
        moments = sorted({time for _, time in theirs})
        for (i, earlier), (j, later) in permutations(theirs, 2):
            gap = moments.index(later) - moments.index(earlier)
            dense[i, j] += len(theirs) ** -0.3 * pair_weight(gap)
    for i in range(n_items):
        for j in range(n_items):
            dense[i, j] = dense[i, j] ** 1.5 * max(n_users_of[i], 1) ** -0.6 * max(n_users_of[j], 1) ** -0.2
    return dense


def as_dense(model):
    dense = np.zeros((model.n_items, model.n_items))
    dense[np.repeat(np.arange(model.n_items), np.diff(model.indptr)), model.neighbours] = model.strengths
    return dense


@pytest.fixture(scope="module")
def events():
    """Events of 20 users with 12 items, many of one moment."""
    generator = np.random.default_rng(5)
    pairs = sorted({(int(u), int(i)) for u, i in zip(*generator.integers((20, 12), size=(90, 2)).T, strict=True)})
    return [(user, item, int(generator.integers(4))) for user, item in pairs]


def by_order(gap):
    return 0.75 if gap == 0 else (1.0 if gap > 0 else 0.5) * 0.9 ** (abs(gap) - 1)


@pytest.mark.parametrize(("time", "weight"), [("off", lambda _: 1.0), ("auto", by_order)])
def test_links_are_those_of_the_formula(events, time, weight):
    model = fit(events, 20, 12, **DAMPED, backward=0.5, gap_decay=0.9, time=time)
    np.testing.assert_allclose(as_dense(model), links_by_hand(events, 12, weight), rtol=1e-6)


def test_the_strongest_links_are_kept_and_equal_ones_by_item(events):
    whole, cut = as_dense(fit(events, 20, 12)), fit(events, 20, 12, neighbours=3)
    for item in range(12):
        strongest = np.lexsort((np.arange(12), -whole[item].astype(np.float32)))[:3]
        assert cut.neighbours[cut.indptr[item] : cut.indptr[item + 1]].tolist() == strongest.tolist()


def test_the_order_of_the_file_changes_nothing_nor_the_order_of_events_of_one_moment(events):
    model = fit(events, 20, 12)
    for shuffled in (events[::-1], np.random.default_rng(1).permutation(np.array(events)).tolist()):
        again = fit(shuffled, 20, 12)
        assert again.strengths.tobytes() == model.strengths.tobytes()
        assert again.neighbours.tobytes() == model.neighbours.tobytes()
    at_once = as_dense(fit([(user, item, 7) for user, item, _ in events], 20, 12, source_damping=0, target_damping=0))
    np.testing.assert_array_equal(at_once, at_once.T)


def test_of_a_pair_that_is_repeated_the_latest_counts():
    once, twice = [(0, 0, 5), (0, 1, 3)], [(0, 0, 5), (0, 1, 3), (0, 0, 1)]
    assert as_dense(fit(twice, 1, 2)).tolist() == as_dense(fit(once, 1, 2)).tolist()


@pytest.mark.parametrize(
    ("time", "kept"), [("auto", [(0, 2, 5), (0, 1, 4), (1, 1, 3)]), ("off", [(0, 0, 3), (0, 1, 4), (1, 1, 3)])]
)
def test_of_the_items_of_a_user_the_newest_count_and_of_one_moment_the_first(time, kept):
    events = [(0, 0, 3), (0, 1, 4), (0, 2, 5), (0, 3, 4), (1, 1, 3)]
    capped, expected = fit(events, 2, 4, user_items=2, time=time), fit(kept, 2, 4, time=time)
    assert as_dense(capped).tolist() == as_dense(expected).tolist()


def test_what_follows_an_item_is_linked_to_it_more_strongly_than_what_came_before():
    dense = as_dense(fit([(0, 0, 1), (0, 1, 2), (0, 2, 3)], 1, 3, **DAMPED | {"power": 1}, backward=0.5, gap_decay=0.9))
    np.testing.assert_allclose(dense / dense[0, 1], [[0, 1, 0.9], [0.5, 0, 1], [0.45, 0.5, 0]], rtol=1e-6)


@pytest.mark.parametrize("times", [[1, 2, np.nan], [np.nan] * 3])
def test_times_count_only_where_every_event_has_one(times):
    columns = {"user_idx": np.zeros(3, int), "item_idx": np.arange(3), "timestamp": np.array(times)}
    model = ItemGraph().fit(Interactions.of(1, 3, **columns), {})
    assert model.ages == (1, np.inf)
    assert len(set(model.strengths.tolist())) == 1


def test_newer_items_of_a_history_count_more_and_those_of_one_moment_the_same():
    model = fit([(0, 0, 1), (0, 3, 2), (1, 1, 1), (1, 4, 2), (2, 2, 1), (2, 5, 2)], 3, 6)
    items = ItemsByUser(np.array([0, 3]), np.array([0, 1, 2], np.int32))
    for times, best in [([1, 2, 3], [5, 4, 3]), ([3, 2, 1], [3, 4, 5]), ([2, 2, 2], [3, 4, 5]), ([1, 2, 2], [4, 5, 3])]:
        person = Histories.of(items)._replace(timestamp=np.array(times))
        ranked, scores = model.rank_histories(person, items, 3)
        assert ranked.tolist() == [best]
        assert len({*scores[0].tolist()}) == len({*times})


def test_all_scores_of_a_history_are_those_it_is_ranked_by(events):
    model = fit(events, 20, 12)
    columns = (np.array(column) for column in zip(*events, strict=True))
    users, items, times = columns
    people = Histories.from_columns(users, items, np.ones(len(items)), times, 20)
    everything, nothing = model.score_histories(people), ItemsByUser(np.zeros(21, int), np.array([], np.int32))
    ranked, scores = model.rank_histories(people, nothing, 12)
    assert np.take_along_axis(everything, ranked, axis=1).tobytes() == scores.tobytes()
    assert model.score_histories(people.take(np.array([4]))).tobytes() == everything[4].tobytes()


def test_a_search_tries_one_with_what_the_options_say():
    options = ModelOptions(item_graph={"graph_neighbours": 5, "graph_time": "off"})
    [one] = [c for c in candidates(options, has_ratings=False, has_timestamps=False) if c.model == "item-graph"]
    assert one.parameters == {"neighbours": 5, "time": "off", "user_items": 1000, "engine": "local", "room": 1.0}


@pytest.mark.parametrize("parameters", [{"neighbours": 0}, {"decay": 0}, {"half_life_days": -1}, {"alpha": 1}])
def test_parameters_that_cannot_be_obeyed_are_refused(parameters):
    with pytest.raises(ValidationError):
        fit([(0, 0, 1)], 1, 1, **parameters)
