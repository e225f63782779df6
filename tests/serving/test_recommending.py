"""Answers go the right way, equal the batch, obey filters, and say why; for every kind of model that there is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sample_bundle import ITEM_IDS, N_ITEMS, N_USERS, USER_IDS, Sample, candidate, interactions, write_store

from models.base import Explainer, HistoryRanker
from models.factors import FactorModel, SharedOrder
from models.registry import ModelOptions, candidates
from schema.arms import CHALLENGER, CHAMPION
from schema.events import Event, Impression
from schema.items_by_user import ItemsByUser
from serving.answers import Asked, BasketQuery, BatchQuery, RankQuery
from serving.events import Journal
from serving.following import Follower
from serving.histories import history_of
from serving.options import ServingOptions
from serving.problems import Problem
from serving.recommending import basket_of
from serving.rules import Pin, Scenario
from serving.scenarios import Named
from serving.service import Service

HAS = {"has_ratings": True, "has_timestamps": True}
KINDS = list(dict.fromkeys(one.model for one in candidates(ModelOptions(), **HAS, names=["graph", "als"])))
FOLDED = "item-knn"


def follow(sample: Sample, folder: Path, model_id: str | None = None) -> Follower:
    follower = Follower(lambda: sample.store, folder / "cache", model_id=model_id)
    follower.poll()
    assert follower.current, follower.problem
    return follower


def serve(folder: Path, model: str = FOLDED, journal: Journal | None = None, **changes) -> Service:
    """Return a service of a sample store."""
    sample = write_store(folder / "store", model, **changes)
    options = ServingOptions(_env_file=None, store_uri=str(folder / "store"))
    return Service(options, {CHAMPION: follow(sample, folder)}, journal)


@pytest.fixture(scope="module", params=KINDS)
def service(request, tmp_path_factory):
    return serve(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def one_service(tmp_path_factory):
    return serve(tmp_path_factory.mktemp("one"))


@pytest.fixture
def folded(tmp_path):
    return serve(tmp_path)


def ids(answer):
    return [item["item_id"] for item in answer["items"]]


def batch(service, k):
    """Return what the batch gives every user: items and scores."""
    served = service.catalogue().served
    users, histories = np.arange(N_USERS), served.histories_of(slice(N_USERS))
    items, scores = served.kind.rank_unseen(served.model, users, histories, k)
    return [[ITEM_IDS[item] for item in row if item >= 0] for row in items.tolist()], scores.tolist()


@pytest.mark.parametrize(("way", "asked"), [("lists", Asked()), ("exact", Asked(exclude=("no-such-item",)))])
def test_served_answers_equal_the_batch(service, way, asked):
    items, scores = batch(service, 10)
    for user, user_id in enumerate(USER_IDS):
        answer = service.recommend_user(user_id, asked)
        assert answer["way"] == way
        assert ids(answer) == items[user]
        assert [item["score"] for item in answer["items"]] == scores[user][: len(items[user])]


def test_the_whole_catalogue_can_be_asked_for_and_nothing_twice(service):
    for user, user_id in enumerate(USER_IDS[:5]):
        answer = service.recommend_user(user_id, Asked(n=100))
        assert ids(answer) == batch(service, N_ITEMS)[0][user]


def test_reasons_sum_to_the_score_where_the_model_explains(service):
    catalogue = service.catalogue()
    for user_id in USER_IDS[:5]:
        answer = service.recommend_user(user_id, Asked(n=3, explain=True))
        if not isinstance(catalogue.model, Explainer) or catalogue.served.kind.is_same_for_all:
            assert len(answer["notes"]) == 1
            continue
        history = catalogue.history(catalogue.user(user_id))
        items, _ = catalogue.items(ids(answer))
        nothing = ItemsByUser(np.array([0, 0]), np.array([], np.int32))
        ranked, scores = catalogue.model.rank_histories(history, nothing, N_ITEMS)
        by_item = dict(zip(ranked[0].tolist(), scores[0].tolist(), strict=True))
        parts = catalogue.model.explain(history, items).sum(axis=1)
        assert parts == pytest.approx([by_item[item] for item in items.tolist()], abs=1e-4)
        for item in answer["items"]:
            assert 0 < len(item["reasons"]) <= 5 or item["score"] == 0
            told = [*item["reasons"], *([item["other_reasons"]] if "other_reasons" in item else [])]
            assert sum(one["contribution"] for one in told) == pytest.approx(item["score"], abs=1e-4)
            assert sum(one["share"] for one in told) == pytest.approx(1 if item["reasons"] else 0)


def test_a_basket_is_answered_by_fold_in_where_the_model_can(service):
    model = service.catalogue().model
    history = service.catalogue().history(3)
    basket = [{"item_id": ITEM_IDS[item]} for item in history.items.items]
    answer = service.recommend_basket(BasketQuery(items=basket, scenario="home"))
    assert not {*ids(answer)} & {one["item_id"] for one in basket}
    items = np.full((1, 10), -1)
    if isinstance(model, HistoryRanker):
        plain = history._replace(rating=history.rating * np.nan, timestamp=history.timestamp * 0 - 1)
        items, _ = model.rank_histories(plain, plain.items, 10)
    if (items >= 0).any():
        assert answer["way"] == "fold-in"
        assert ids(answer) == [ITEM_IDS[item] for item in items[0]]
    else:
        assert answer["way"] == "popular-in-category"


def test_candidates_are_ranked_as_the_whole_catalogue_is(service):
    wanted = [ITEM_IDS[item] for item in (3, 14, 15, 9, 26, 5)]
    answer = service.rank(RankQuery(user_id=USER_IDS[1], candidates=[*wanted, "no-such"]))
    assert sorted(ids(answer)) == sorted(wanted)
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert "1 of the items" in answer["notes"][0]


def test_a_basket_counts_the_last_of_an_item_and_leaves_unknown_ones_out(folded):
    twice = [{"item_id": "item-02", "rating": 1}, {"item_id": "none"}, {"item_id": "item-02", "rating": 5}]
    query = BasketQuery(items=twice)
    history = basket_of(folded.catalogue(), query.items, None).history
    assert (history.items.items.tolist(), history.rating.tolist()) == ([2], [5.0])
    assert folded.recommend_basket(query)["notes"] == ("1 of the items are unknown and do not count.",)


@pytest.mark.parametrize("items", [[], [{"item_id": "none"}]])
def test_nothing_known_gives_what_most_have(folded, items):
    answer = folded.recommend_basket(BasketQuery(items=items, scenario="home", explain=True))
    assert answer["way"] == "popular"
    popular = folded.popular(None, (), (), 10)
    assert ids(answer) == ids(popular)
    assert "most have" in answer["notes"][-1]


def test_somebody_unknown_gets_a_list_and_is_said_to_be(folded):
    answer = folded.recommend_user("nobody", Asked())
    assert (answer["way"], len(answer["items"])) == ("popular", 10)
    assert "Nothing is known" in answer["notes"][0]


def test_popular_in_category_comes_first_and_is_filled_up(tmp_path):
    service = serve(tmp_path, "random")
    answer = service.recommend_basket(BasketQuery(items=[{"item_id": "item-01"}], n=15, scenario="home"))
    narrowest = [item["categories"][-1] for item in answer["items"]]
    assert answer["way"] == "popular-in-category"
    assert narrowest == ["Cameras"] * 9 + narrowest[9:]
    assert "Cameras" not in narrowest[9:]
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)


def test_events_count_at_once_for_new_and_known_users(tmp_path):
    journal = Journal(tmp_path / "events")
    service = serve(tmp_path, journal=journal)
    before = service.recommend_user(USER_IDS[0], Asked())
    seen = before["items"][0]["item_id"]
    events = [
        Event(event_id=f"{user_id}-{n}", type="view", user_id=user_id, item_id=item_id)
        for n, item_id in enumerate([seen, "item-not-yet-there"])
        for user_id in (USER_IDS[0], "newcomer")
    ]
    taken = service.take(events)
    assert taken == {"accepted": 4, "repeated": 0, "unknown_items": 2}
    assert service.take(events[:1])["repeated"] == 1
    after = service.recommend_user(USER_IDS[0], Asked())
    assert (before["way"], after["way"]) == ("lists", "fold-in")
    assert seen not in ids(after)
    assert service.recommend_user("newcomer", Asked(explain=True))["way"] == "fold-in"
    assert [one["item_id"] for one in service.user("newcomer")["history"]] == [seen]
    journal.close()


@pytest.mark.parametrize(
    ("known", "events", "expected"),
    [
        (None, [(5, 10), (None, 11)], [5]),
        (None, [(None, 10), (None, 11)], [np.nan]),
        (None, [(4, 11), (2, 10), (3, 11)], [3]),
        ((2, 5), [(5, 10), (None, 11)], [5]),
        ((5, 100), [(1, 10)], None),
        ((5, 100), [(1, 100)], [1]),
        ((4.1, 5), [(4.1, 10)], None),
        ((np.nan, -1), [(None, 10)], None),
    ],
)
def test_the_latest_rating_of_an_item_counts_as_in_training(one_service, known, events, expected):
    catalogue = one_service.catalogue()
    before = history_of({2: (float(np.float32(known[0])), known[1])} if known else {})
    events = [
        Event(event_id=str(n), user_id="u", item_id=ITEM_IDS[2], rating=rating, timestamp=at, type=kind)
        for n, (rating, at) in enumerate(events)
        for kind in ["view" if rating is None else "rating"]
    ]
    history, has_news = catalogue.with_events(before, events)
    assert has_news == (expected is not None)
    if has_news:
        np.testing.assert_array_equal(history.rating, np.array(expected, np.float32))
    else:
        assert history is before


def test_filters_and_exclusions_are_kept_on_top_of_the_scenario(folded):
    folded.scenarios.current["home"] = Named("home", "1", Scenario(deny=("item-03",), brands=("Arbora", "Kestrel")))
    asked = Asked(n=100, category=("Audio",), exclude=("item-06", "none"), brand=("Arbora",))
    answer = folded.recommend_user(USER_IDS[0], asked)
    audio = {ITEM_IDS[item] for item in range(0, N_ITEMS, 3)} - {"item-03", "item-06"}
    known = {one["item_id"] for one in folded.user(USER_IDS[0])["history"]}
    assert {*ids(answer)} == audio - known
    assert folded.recommend_user(USER_IDS[0], Asked(category=("no-such",)))["items"] == []


def test_a_filter_is_answered_alike_from_the_factors_that_are_kept_for_it(service, monkeypatch):
    asked = Asked(n=100, category=("Audio",))
    expected = [service.recommend_user(user_id, asked)["items"] for user_id in USER_IDS]
    monkeypatch.setattr("serving.catalogue.FEW", 1)
    served = replace(service.catalogue().served)
    monkeypatch.setattr(service.followers[CHAMPION], "current", served)
    assert [service.recommend_user(user_id, asked)["items"] for user_id in USER_IDS] == expected
    by_factors = isinstance(served.model, FactorModel) and not isinstance(served.model, SharedOrder)
    assert (service.catalogue().few(["Audio"], []) is not None) == by_factors


def test_pins_are_marked_and_never_forbidden_ones(folded):
    known = folded.user(USER_IDS[0])["history"][0]["item_id"]
    pins = (Pin(item_id="item-29", place=2), Pin(item_id=known, place=1), Pin(item_id="gone", place=3))
    folded.scenarios.current["home"] = Named("home", "2", Scenario(pinned=pins))
    answer = folded.recommend_user(USER_IDS[0], Asked())
    assert answer["items"][1] | {"pinned": True, "score": None} == answer["items"][1]
    assert answer["items"][1]["item_id"] == "item-29"
    assert known not in ids(answer)
    assert (len(answer["items"]), len(set(ids(answer)))) == (10, 10)
    assert "1 item(s)" in answer["notes"][0]


def test_a_pin_beyond_the_last_place_leaves_its_item_where_it_ranks(folded):
    before = ids(folded.recommend_user(USER_IDS[0], Asked(n=5)))
    folded.scenarios.current["home"] = Named("home", "3", Scenario(pinned=(Pin(item_id=before[0], place=6),)))
    assert ids(folded.recommend_user(USER_IDS[0], Asked(n=5))) == before
    assert ids(folded.recommend_user(USER_IDS[0], Asked(n=6)))[5] == before[0]


def test_similar_items_are_most_alike_first_without_the_item(service):
    answer = service.similar("item-04", 5)
    scores = [item["score"] for item in answer["items"]]
    assert "item-04" not in ids(answer)
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0


def test_items_and_users_are_found(folded):
    assert folded.find_users("user-0", 3) == {"user_ids": ["user-00", "user-01", "user-02"]}
    assert ids(folded.find_items("29 NORDLYS", 5)) == ["item-29"]
    assert ids(folded.find_items("item-07", 5)) == ["item-07"]
    assert folded.item("item-07")["brand"] == "Kestrel"


@pytest.mark.parametrize(
    "ask",
    [
        lambda service: service.user("nobody"),
        lambda service: service.item("nothing"),
        lambda service: service.similar("nothing", 3),
        lambda service: service.popular("unheard-of", (), (), 3),
        lambda service: service.recommend_user("user-01", Asked(scenario="no-such")),
        lambda service: service.recommend_user("user-01", Asked(arm="challenger")),
    ],
)
def test_what_is_not_there_is_a_404_that_says_what_to_do(folded, ask):
    with pytest.raises(Problem) as found:
        ask(folded)
    assert found.value.status == 404
    assert len(found.value.detail) > 20


def test_arms_split_users_and_impressions_say_so(tmp_path):
    journal, noted = Journal(tmp_path / "events"), []
    journal.note = lambda one: noted.append(Impression(**one))
    sample = write_store(tmp_path / "store", FOLDED)
    write_store(tmp_path / "store", "popularity", model_id="7777aaaa", is_champion=False)
    options = ServingOptions(
        _env_file=None, api_challenger="7777aaaa", api_challenger_share=0.5, store_uri=str(tmp_path)
    )
    arms = {CHAMPION: follow(sample, tmp_path), CHALLENGER: follow(sample, tmp_path / "2", "7777aaaa")}
    service = Service(options, arms, journal)
    found = service.recommend_batch(BatchQuery(user_ids=USER_IDS))["answers"]
    split = {answer["user_id"]: answer["arm"] for answer in found}
    assert {CHAMPION, CHALLENGER} == {*split.values()}
    assert all((answer["model_id"] == "7777aaaa") == (answer["arm"] == CHALLENGER) for answer in found)
    again = service.recommend_user(USER_IDS[5], Asked())
    assert again["arm"] == split[USER_IDS[5]]
    forced = service.recommend_user(USER_IDS[5], Asked(arm=CHALLENGER))
    assert [one.is_forced for one in noted] == [False] * 41 + [True]
    assert (noted[-1].experiment, noted[-1].share, noted[-1].arm) == ("7777aaaa", 0.5, CHALLENGER)
    service.recommend_basket(BasketQuery(items=[]))
    assert (noted.pop().is_forced, noted[-1].user_id) == (True, USER_IDS[5])
    assert noted[-1].recommendation_id == forced["recommendation_id"]
    assert noted[-1].item_ids == tuple(ids(forced))
    assert service.model()["challenger"]["model_id"] == "7777aaaa"
    journal.close()


def test_the_sample_has_what_the_tests_need():
    assert len(interactions().user_idx) > N_USERS
    assert candidate(FOLDED).kind.knows_histories_only
