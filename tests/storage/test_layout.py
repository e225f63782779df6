import ast
from pathlib import Path

import pytest

from schema.errors import InvalidKey
from storage import layout
from storage.layout import check_key
from tasks.dataset import SPLIT_FILES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", layout.KINDS)
def test_every_kind_has_a_folder_and_a_manifest(kind: str) -> None:
    assert layout.artifact_prefix(kind, "1f3a") == f"{kind}/1f3a"
    assert layout.manifest_key(kind, "1f3a") == f"{kind}/1f3a/manifest.json"


@pytest.mark.parametrize(
    ("kind", "artifact_id"),
    [("model", "1"), ("", "1"), ("models", ""), ("models", ".."), ("models", "a/b"), ("models", "a b")],
)
def test_what_is_no_artifact_has_no_folder(kind: str, artifact_id: str) -> None:
    with pytest.raises(InvalidKey):
        layout.artifact_prefix(kind, artifact_id)


def test_every_name_is_a_key_and_stands_once() -> None:
    names = [value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)]
    assert [check_key(name) for name in names] == names
    assert len(set(names)) == len(names)


def test_logical_name_undoes_file_set_path() -> None:
    path = layout.file_set_path("0" * 16, layout.USER_FACTORS)
    assert path == "set-0000000000000000/factors/user_factors.npy"
    assert layout.logical_name(path) == layout.USER_FACTORS
    assert layout.logical_name(layout.USER_FACTORS) == layout.USER_FACTORS


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
def test_place_of_a_key_is_its_artifact_or_none(key: str, place: tuple[str, str, str] | None) -> None:
    assert layout.place_of(key) == place


def roles_that_tasks_name() -> set[str]:
    """Return the keys of every dict in our tasks whose values are all ids, as the inputs of a manifest are."""
    found: set[str] = set()
    for path in (ROOT / "tasks").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Dict):
                named = [(key, value) for key, value in zip(node.keys, node.values, strict=True) if key is not None]
                if named and all(isinstance(value, ast.Attribute) and value.attr == "id" for _, value in named):
                    found |= {ast.literal_eval(key) for key, _ in named}
    return found


def test_every_role_that_a_task_gives_an_input_has_its_kind() -> None:
    assert roles_that_tasks_name() | {*SPLIT_FILES, "evaluation"} == set(layout.INPUT_KINDS)
    assert set(layout.INPUT_KINDS.values()) <= set(layout.KINDS)
