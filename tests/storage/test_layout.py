import pytest

from storage import layout
from storage.errors import InvalidKey
from storage.keys import check_key


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
