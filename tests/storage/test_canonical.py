import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import CorruptObject
from storage.canonical import MAX_DEPTH, decode_object, encode

texts = st.text(max_size=5)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=5)
documents = st.dictionaries(texts, values, max_size=3)


@given(documents)
def test_decode_object_returns_what_was_encoded(document):
    for indent in (None, 2):
        assert decode_object(encode(document, indent), "it") == document


@given(documents)
def test_encode_does_not_depend_on_the_order_of_names(document):
    assert encode(dict(reversed(document.items()))) == encode(document)


def test_encode_with_an_indent_ends_the_line_and_sorts_names():
    assert encode({"b": [1.5], "a": "é"}, indent=2) == '{\n  "a": "é",\n  "b": [\n    1.5\n  ]\n}\n'.encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [-math.inf]}])
def test_encode_refuses_numbers_that_json_lacks(value):
    with pytest.raises(ValueError, match="JSON compliant"):
        encode(value)


def test_encode_refuses_what_is_no_json_value():
    with pytest.raises(TypeError):
        encode({"a": {1, 2}})


def nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{} {}", "not valid JSON"),
        (b"\xff{}", "not valid JSON"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b"[]", "holds a JSON list; expected an object"),
        (b"null", "holds a JSON NoneType; expected an object"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": [1, 1e999]}', r"beyond any float at a\[1\]"),
        (b'{"a": 1, "b": 2, "a": 1}', "'a' stands twice"),
        (b'{"x": {"a": 1, "a": 1}}', "'a' stands twice"),
        (b'{"x": {"y": "\\ud800"}}', r"half a surrogate pair at x\.y"),
        (b'{"x": {"\\udfff": 1}}', "half a surrogate pair at a name in x"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "not valid JSON"),
        (nested(MAX_DEPTH + 1), "deeper than 32 levels"),
        (nested(100_000), "deeper than 32 levels"),
    ],
    ids=range(17),
)
def test_decode_object_refuses_hostile_bytes(data, complaint):
    with pytest.raises(CorruptObject, match=f"^it .*{complaint}"):
        decode_object(data, "it")


def test_decode_object_accepts_the_deepest_document():
    assert "a" in decode_object(nested(MAX_DEPTH), "it")


@given(st.binary(max_size=60))
def test_decode_object_of_any_bytes_is_an_object_or_corrupt(data):
    with contextlib.suppress(CorruptObject):
        assert isinstance(decode_object(data, "it"), dict)
