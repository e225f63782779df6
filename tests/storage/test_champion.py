import pytest

from schema.errors import CorruptObject, VersionConflict
from storage.champion import (
    MOST_ENTRIES,
    ChampionHistory,
    ChampionTerm,
    champion_id,
    predecessors,
    promote,
    read_champion,
    read_history,
    replace_champion,
)
from storage.layout import CHAMPION
from storage.protocol import Store

NONE = ChampionHistory((), None)


def test_there_is_no_champion_before_the_first(store):
    assert read_champion(store) == (None, None)
    assert read_history(store) == NONE


def test_the_champion_read_is_the_one_written(store):
    info = replace_champion(store, {"model_id": "1f3a", "scores": [0.1, None]}, None)
    assert read_champion(store) == ({"model_id": "1f3a", "scores": [0.1, None]}, info.version)
    assert store.read(CHAMPION) == b'{\n  "model_id": "1f3a",\n  "scores": [\n    0.1,\n    null\n  ]\n}\n'


@pytest.mark.parametrize("data", [b"", b"[]", b'{"model_id": NaN}', b'{"a": 1, "a": 2}'])
def test_a_broken_pointer_is_named(store, data):
    store.create(CHAMPION, data)
    with pytest.raises(CorruptObject, match=r"champion\.json"):
        read_champion(store)


def test_the_champions_id_is_read_from_the_record(store):
    assert champion_id(store) is None
    replace_champion(store, {"model_id": "1f3a", "scores": []}, None)
    assert champion_id(store) == "1f3a"


@pytest.mark.parametrize("record", [{}, {"model_id": None}, {"model_id": ["1f3a"]}, {"model": "1f3a"}, {"history": []}])
def test_a_record_that_names_no_model_is_corrupt(store, record):
    replace_champion(store, record, None)
    with pytest.raises(CorruptObject, match=r"champion\.json has model_id .*; expected the id of a model"):
        champion_id(store)
    with pytest.raises(CorruptObject, match=r"champion\.json has model_id .*; expected the id of a model"):
        read_history(store)


def test_a_broken_entry_of_the_history_leaves_the_serving_model_known(store):
    replace_champion(store, {"model_id": "a", "history": [{"model_id": "a"}, "broken"]}, None)
    assert champion_id(store) == "a"


def promoted(store: Store, *model_ids: str) -> tuple[ChampionTerm, ...]:
    """Promote models one after the other, and return the champions as they are read afterwards."""
    for model_id in model_ids:
        history = read_history(store)
        promote(store, ChampionTerm(model_id, "2026-11-25T12:00:00+00:00", "why", f"p-{model_id}"), history)
    return read_history(store).terms


def test_the_record_names_the_model_the_one_before_and_all_that_served(store):
    history = promoted(store, "one", "two")
    assert [(entry.model_id, entry.promotion) for entry in history] == [("two", "p-two"), ("one", "p-one")]
    record, _ = read_champion(store)
    about = {"promoted_at": "2026-11-25T12:00:00+00:00", "reason": "why", "promotion": "p-two", "best": None}
    entry = {"model_id": "two", **about}
    assert record == entry | {
        "previous_model_id": "one",
        "history": [entry, {**entry, "model_id": "one", "promotion": "p-one"}],
    }
    assert champion_id(store) == "two"


def test_the_best_so_far_is_the_champions_own_where_an_older_record_does_not_say(store):
    history = [{"model_id": "b", "promotion": "p-b"}, {"model_id": "a", "promotion": "p-a"}]
    replace_champion(store, {"model_id": "b", "promotion": "p-b", "history": history}, None)
    read = read_history(store)
    assert (read.best, read.best_of("a"), read.best_of("c")) == ("p-b", "p-a", None)
    promote(store, ChampionTerm("c", promotion="p-c", best=read.best), read)
    read = read_history(store)
    assert (read.best, read.best_of("c"), NONE.best) == ("p-b", "p-b", None)


def test_the_history_is_bounded_and_keeps_the_newest(store):
    before = [ChampionTerm(str(place)) for place in range(MOST_ENTRIES)]
    promote(store, ChampionTerm("new"), ChampionHistory(tuple(before), None))
    history, _ = read_history(store)
    assert [entry.model_id for entry in history] == ["new", *(entry.model_id for entry in before[:-1])]


def test_a_record_without_a_history_is_its_own(store):
    replace_champion(store, {"model_id": "1f3a"}, None)
    assert read_history(store).terms == (ChampionTerm("1f3a"),)
    assert [entry.model_id for entry in promoted(store, "two")] == ["two", "1f3a"]


def test_who_loses_the_swap_is_told_who_won(store):
    promoted(store, "one")
    history = read_history(store)
    promoted(store, "winner")
    with pytest.raises(VersionConflict, match=r"models/loser did not become .* models/winner became the champion"):
        promote(store, ChampionTerm("loser"), history)
    assert [entry.model_id for entry in read_history(store)[0]] == ["winner", "one"]


def test_who_loses_the_first_swap_of_all_is_told_who_won(store):
    promoted(store, "winner")
    with pytest.raises(VersionConflict, match="models/winner became the champion"):
        promote(store, ChampionTerm("loser"), NONE)


def test_a_champion_replaced_before_it_learnt_of_its_promotion_is_told_both(store):
    term = ChampionTerm("one", "2026-11-25T12:00:00+00:00", "why", "p")
    promote(store, term, NONE)
    promoted(store, "two")
    with pytest.raises(
        VersionConflict, match=r"models/one became the champion, and serves no more: models/two took its"
    ):
        promote(store, term, NONE)


def test_a_swap_that_was_made_and_is_tried_again_is_no_conflict(store):
    term = ChampionTerm("one", "2026-11-25T12:00:00+00:00", "why", "p")
    first = promote(store, term, NONE)
    assert promote(store, term, NONE) == first


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"model_id": "a", "history": {}}, "history '{}'; expected a list"),
        ({"model_id": "a", "history": []}, "its history None first; expected the same"),
        ({"model_id": "a", "history": [{"model_id": "b"}]}, "its history 'b' first; expected the same"),
        ({"model_id": "a", "history": ["a"]}, r"history\[0\] is 'a'; expected an object"),
        ({"model_id": "a", "history": [{"model_id": "a", "reason": 1}]}, "reason '1'; expected text"),
        ({"model_id": "a", "promotion": ["p"]}, "promotion .*; expected text"),
    ],
)
def test_a_broken_history_is_named(store, record, message):
    replace_champion(store, record, None)
    with pytest.raises(CorruptObject, match=rf"champion\.json.*{message}"):
        read_history(store)


def line(words: str) -> list[ChampionTerm]:
    """Return a history, the newest first, from words in the order of time; those with a '<' are rollbacks."""
    entries = [ChampionTerm(word.strip("<"), promotion=None if "<" in word else "p") for word in words.split()]
    return entries[::-1]


@pytest.mark.parametrize(
    ("words", "before"),
    [
        ("", ""),
        ("a", ""),
        ("a b c", "b a"),
        ("a b c <b", "a"),
        ("a b c <b <a", ""),
        ("a b <a c", "a"),
        ("a b a", "b a"),
        ("a b a <b", "a"),
        ("a b <x", "b a"),
        ("<a b", "a"),
    ],
)
def test_a_rollback_goes_further_back_and_never_to_what_was_abandoned(words, before):
    assert predecessors(line(words)) == before.split()
