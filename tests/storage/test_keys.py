import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import InvalidKey
from storage.layout import check_key, check_prefix

segments = st.from_regex(r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]{0,20}", fullmatch=True)


@given(st.lists(segments, min_size=1, max_size=20))
def test_check_key_accepts_every_join_of_segments(parts: list[str]) -> None:
    key = "/".join(parts)
    assert check_key(key) == key
    assert check_prefix(key) == key
    assert check_prefix(f"{key}/") == f"{key}/"


@given(st.text(max_size=40))
def test_check_key_accepts_only_safe_text(text: str) -> None:
    try:
        check_key(text)
    except InvalidKey:
        return
    assert re.fullmatch(r"[A-Za-z0-9._=+/-]+", text)
    assert not any(part == "" or part.startswith(".") for part in text.split("/"))


def test_check_key_measures_the_whole_key_and_each_segment() -> None:
    check_key("/".join(["a" * 224] * 4))
    with pytest.raises(InvalidKey, match="has 901 characters; use at most 900"):
        check_key("/".join(["a" * 224] * 4) + "aa")
    check_key("a" * 255)
    with pytest.raises(InvalidKey, match="expected 1 to 255"):
        check_key("a" * 256)


def test_check_key_names_the_segment_and_what_is_expected() -> None:
    with pytest.raises(InvalidKey, match=r"'a/\.\./b' has the segment '\.\.'; expected .*Rename it"):
        check_key("a/../b")


def test_check_prefix_accepts_the_empty_prefix() -> None:
    assert check_prefix("") == ""
