import pytest

from storage.champion import champion_id, read_champion, replace_champion
from storage.errors import CorruptObject, VersionConflict
from storage.layout import CHAMPION
from storage.protocol import Store


def test_there_is_no_champion_before_the_first(store: Store) -> None:
    assert read_champion(store) == (None, None)


def test_the_champion_read_is_the_one_written(store: Store) -> None:
    info = replace_champion(store, {"model_id": "1f3a", "scores": [0.1, None]}, None)
    assert read_champion(store) == ({"model_id": "1f3a", "scores": [0.1, None]}, info.version)
    assert store.read(CHAMPION) == b'{\n  "model_id": "1f3a",\n  "scores": [\n    0.1,\n    null\n  ]\n}\n'


def test_a_challenger_replaces_the_champion_it_was_compared_with(store: Store) -> None:
    replace_champion(store, {"model_id": "one"}, None)
    _, version = read_champion(store)
    replace_champion(store, {"model_id": "two"}, version)
    assert read_champion(store)[0] == {"model_id": "two"}


def test_a_challenger_that_was_overtaken_is_refused(store: Store) -> None:
    replace_champion(store, {"model_id": "one"}, None)
    _, version = read_champion(store)
    replace_champion(store, {"model_id": "two"}, version)
    for stale in (version, None):
        with pytest.raises(VersionConflict):
            replace_champion(store, {"model_id": "three"}, stale)
    assert read_champion(store)[0] == {"model_id": "two"}


@pytest.mark.parametrize("data", [b"", b"[]", b'{"model_id": NaN}', b'{"a": 1, "a": 2}'])
def test_a_broken_pointer_is_named(store: Store, data: bytes) -> None:
    store.create(CHAMPION, data)
    with pytest.raises(CorruptObject, match=r"champion\.json"):
        read_champion(store)


def test_the_champions_id_is_read_from_the_record(store: Store) -> None:
    assert champion_id(store) is None
    replace_champion(store, {"model_id": "1f3a", "scores": []}, None)
    assert champion_id(store) == "1f3a"


@pytest.mark.parametrize("record", [{}, {"model_id": None}, {"model_id": ["1f3a"]}, {"model": "1f3a"}])
def test_a_record_that_names_no_model_is_corrupt(store: Store, record: dict[str, object]) -> None:
    replace_champion(store, record, None)
    with pytest.raises(CorruptObject, match=r"champion\.json has model_id .*; expected the id of a model"):
        champion_id(store)
