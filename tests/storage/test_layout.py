import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import InvalidKey
from storage import layout
from storage.layout import check_key, check_prefix
from tasks.dataset import SPLIT_FILES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", layout.KINDS)
def test_every_kind_has_a_folder_and_a_manifest(kind):
    assert layout.artifact_prefix(kind, "1f3a") == f"{kind}/1f3a"
    assert layout.manifest_key(kind, "1f3a") == f"{kind}/1f3a/manifest.json"


@pytest.mark.parametrize(
    ("kind", "artifact_id"),
    [("model", "1"), ("", "1"), ("models", ""), ("models", ".."), ("models", "a/b"), ("models", "a b")],
)
def test_what_is_no_artifact_has_no_folder(kind, artifact_id):
    with pytest.raises(InvalidKey):
        layout.artifact_prefix(kind, artifact_id)


def test_every_name_is_a_key_and_stands_once():
    names = [value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)]
    assert [check_key(name) for name in names] == names
    assert len(set(names)) == len(names)


def test_logical_name_undoes_file_set_path():
    path = layout.file_set_path("0" * 16, layout.USER_IDS)
    assert path == "set-0000000000000000/factors/user_ids.parquet"
    assert layout.logical_name(path) == layout.USER_IDS
    assert layout.logical_name(layout.USER_IDS) == layout.USER_IDS


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("models/1f3a/manifest.json", ("models", "1f3a", "manifest.json")),
        ("raw/1f3a/a/b", ("raw", "1f3a", "a/b")),
        ("champion.json", None),
        ("models/1f3a", None),
        ("model/1f3a/a", None),
        ("", None),
    ],
)
def test_place_of_a_key_is_its_artifact_or_none(key, place):
    assert layout.place_of(key) == place


def roles_that_tasks_name() -> set[str]:
    """Return the roles that our tasks spell out where they give an artifact its inputs."""
    calls = (node for path in (ROOT / "tasks").rglob("*.py") for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    given = [node.value for node in calls if isinstance(node, ast.keyword) and node.arg == "inputs"]
    keys = [key for value in given if isinstance(value, ast.Dict) for key in value.keys]
    return {key.value for key in keys if isinstance(key, ast.Constant)}


def test_every_role_that_a_task_gives_an_input_has_its_kind():
    assert {"dataset", "split", "fit", "reviews"} <= roles_that_tasks_name() <= layout.INPUT_KINDS.keys()
    assert set(SPLIT_FILES) <= layout.INPUT_KINDS.keys()
    assert set(layout.INPUT_KINDS.values()) <= set(layout.KINDS)


segments = st.from_regex(r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]{0,20}", fullmatch=True)


@given(st.lists(segments, min_size=1, max_size=20))
def test_check_key_accepts_every_join_of_segments(parts):
    key = "/".join(parts)
    assert check_key(key) == key
    assert check_prefix(key) == key
    assert check_prefix(f"{key}/") == f"{key}/"


# What another program would take for a way out or for another name, and what moves a terminal.
LOOK_ALIKES = [
    *("models/\uff0e\uff0e/a", "..\u2215a", "models/\u202egpj.exe", "mod\u200bels/a", "mode\u0301ls/a"),
    *("m\u043edels/a", "models/a%2f..%2fetc", "C:/Windows/a", "\\\\server\\share\\a", "models/a::$DATA", "~/a"),
    *("models/a?versionId=1", "models/*", "models/a\n", "models/\x1b[2Ja", "models/\ud800"),
]


@given(st.text(max_size=40) | st.sampled_from(LOOK_ALIKES))
def test_check_key_accepts_only_safe_text_and_repeats_no_other(text):
    refusal = ""
    try:
        check_key(text)
    except InvalidKey as refused:
        refusal = str(refused)
    assert refusal.isprintable(), "the message would do to a terminal what the key does"
    refusal.encode()
    if refusal:
        return
    assert re.fullmatch(r"[A-Za-z0-9._=+/-]+", text)
    assert not any(part == "" or part.startswith(".") for part in text.split("/"))


def test_check_key_measures_the_whole_key_and_each_segment():
    check_key("/".join(["a" * 224] * 4))
    with pytest.raises(InvalidKey, match="has 901 characters; use at most 900"):
        check_key("/".join(["a" * 224] * 4) + "aa")
    check_key("a" * 255)
    with pytest.raises(InvalidKey, match="expected 1 to 255"):
        check_key("a" * 256)


def test_check_key_names_the_segment_and_what_is_expected():
    with pytest.raises(InvalidKey, match=r"'a/\.\./b' has the segment '\.\.'; expected .*Rename it"):
        check_key("a/../b")


def test_check_prefix_accepts_the_empty_prefix():
    assert check_prefix("") == ""
