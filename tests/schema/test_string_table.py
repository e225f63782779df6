import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.string_table import StringTable

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=30)


@given(texts, st.text(max_size=3))
def test_a_table_gives_and_finds_what_a_list_does(listed, other):
    table = StringTable.of(listed)
    assert [table[place] for place in range(len(table))] == listed
    for wanted in [*listed, other]:
        assert table.find(wanted) == (listed.index(wanted) if wanted in listed else None)


def test_every_text_of_a_long_table_is_found_at_its_first_place_and_none_between():
    listed = [f"{n:04}" for n in range(0, 1_000, 2)] + ["0000", "0998", "0500"]
    table = StringTable.of(listed)
    assert [table.find(f"{n:04}") for n in range(0, 1_000, 2)] == list(range(500))
    assert {table.find(f"{n:04}") for n in range(1, 1_002, 2)} | {table.find(""), table.find("x")} == {None}


@given(texts, st.text(max_size=2), st.integers(0, 5))
def test_what_begins_with_a_text_comes_by_its_bytes(listed, beginning, most):
    found = StringTable.of(listed).starting_with(beginning, most)
    in_order = sorted(
        (place for place, text in enumerate(listed) if text.startswith(beginning)),
        key=lambda place: listed[place].encode(),
    )
    assert found == in_order[:most]


def test_a_table_that_was_saved_is_the_same_when_it_is_loaded(tmp_path):
    listed = ["", "ä", "日本", "a" * 10_000, "ä"]
    StringTable.of(listed).save(tmp_path, "ids")
    loaded = StringTable.load(tmp_path, "ids")
    assert [loaded[place] for place in range(5)] == listed
    assert loaded.find("日本") == 2
    assert loaded.find("\ud800") is None


@pytest.mark.parametrize("place", [-1, 2, 2**40])
def test_a_place_outside_is_an_error_and_not_what_is_there(place):
    with pytest.raises(IndexError, match="expected 0 to 1"):
        StringTable.of(["a", "b"])[place]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": np.frombuffer(b"a\xffb", np.uint8)}, "no UTF-8"),
        ({"data": np.zeros((3, 1), np.uint8)}, "of 1 dimension"),
        ({"data": np.zeros(3, np.int8)}, "expected uint8"),
        ({"ends": np.array([0, 1, 2, 4])}, "runs from 0 to 4; expected 0 to 3"),
        ({"ends": np.array([0, 3, 2, 3])}, "never falling"),
        ({"ends": np.array([1, 1, 2, 3])}, "runs from 1"),
        ({"ends": np.array([0, 1, 3])}, "3 entries; expected 4"),
        ({"ends": np.array([0, 1, 2, 3], ">i8")}, "ends is >i8"),
        ({"order": np.array([0, 1, 3], np.int32)}, "indices from 0 to 3"),
        ({"order": np.array([0, -1, 2], np.int32)}, "indices from -1"),
        ({"order": np.array([0, 1, 1], np.int32)}, "names a place twice"),
        ({"data": np.frombuffer("aé".encode(), np.uint8)}, "parts a character"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, message):
    good = vars(StringTable.of(["a", "b", "c"]))
    with pytest.raises(ValueError, match=message):
        StringTable(**good | changes)
