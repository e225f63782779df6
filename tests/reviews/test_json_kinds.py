import json
import re

import pytest

from reviews.json_kinds import find_objects
from schema.errors import InvalidInput

RECORDS = [{"user_id": "a", "item_id": "b", "text": "it's {odd}"}, {"user_id": "a", "item_id": "c", "text": "[1"}]


def kind_of(text: str) -> str | None:
    found = find_objects(text.splitlines(keepends=True))
    assert found is None or found.records == RECORDS
    return found and found.kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("\n".join(map(json.dumps, RECORDS)), "json"),
        (json.dumps(RECORDS), "json-array"),
        (json.dumps(RECORDS, indent=2), "json-array"),
        ("[\n" + "\n,".join(map(json.dumps, RECORDS)) + "\n]\n", "json-array"),
        ("".join(map(json.dumps, RECORDS)), "json-array"),
        ("\n".join(json.dumps(record, indent=1) for record in RECORDS), "json-array"),
        ("\n".join(map(repr, RECORDS)), "loose-json"),
        ("[2015 to 2016]\nuser_id,item_id\na,b\n", None),
        ("user_id,item_id\na,b\n", None),
    ],
)
def test_layout_of_objects_is_found(text, kind):
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"user_id": {"0": "a"}, "item_id": {"0": "x"}}', "one JSON object of columns"),
        ('{"user_id": ["a", "b"], "item_id": ["x", "y"]}', "one JSON object of columns"),
        ('{"columns": ["user_id"], "index": [0], "data": [["a"]]}', "one JSON object of columns"),
        ('{"meta": 1, "reviews": [{"user_id": "a"}]}', "jq -c '.[\"reviews\"][]'"),
        ('{"meta": 1, "reviews": [{"user_id": "a", "item', "jq -c '.[\"reviews\"][]'"),
        ('{"user_id": {"0": "a", "1": "b', "one JSON object of columns"),
        ('[["a", "b", 5]]', "holds list values where objects were expected"),
        ('["a", "b", 5]\n["a", "c", 4]\n', "holds str values"),
        ('{"user_id": "a", "item_id": "b"},\n{"user_id": "a", "item_id": "c"}\n', "no brackets around them"),
        ("[]", "no object of its beginning can be read"),
        ("{user_id: a}\n{user_id: b}\n", "no object of its beginning can be read"),
    ],
)
def test_json_of_another_layout_is_refused_with_how_to_convert_it(text, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        find_objects(text.splitlines(keepends=True))
