import hashlib

import pytest

from schema.digests import file_sha256
from storage.canonical import artifact_id


def test_artifact_id_is_sixteen_hexadecimal_digits():
    made = artifact_id("models", {}, {}, "0.1.0")
    assert len(made) == 16
    assert int(made, 16) >= 0


def test_artifact_id_does_not_depend_on_the_order_of_names():
    first = artifact_id("models", {"a": "1", "b": "2"}, {"x": 1, "y": {"p": 1, "q": 2}}, "v")
    assert first == artifact_id("models", {"b": "2", "a": "1"}, {"y": {"q": 2, "p": 1}, "x": 1}, "v")


def test_artifact_id_depends_on_all_that_goes_in():
    made = {
        artifact_id("models", {"a": "1"}, {"x": 1}, "v"),
        artifact_id("splits", {"a": "1"}, {"x": 1}, "v"),
        artifact_id("models", {"a": "2"}, {"x": 1}, "v"),
        artifact_id("models", {"b": "1"}, {"x": 1}, "v"),
        artifact_id("models", {"a": "1"}, {"x": 2}, "v"),
        artifact_id("models", {"a": "1"}, {"x": "1"}, "v"),
        artifact_id("models", {"a": "1"}, {"x": None}, "v"),
        artifact_id("models", {"a": "1"}, {}, "v"),
        artifact_id("models", {"a": "1"}, {"x": 1}, "w"),
    }
    assert len(made) == 9


def test_artifact_id_does_not_depend_on_the_version_of_the_project():
    assert artifact_id("models", {}, {}, "0.1.0+abc") == artifact_id("models", {}, {}, "0.2.0+abc")
    assert artifact_id("models", {}, {}, "0.1.0+abc") != artifact_id("models", {}, {}, "0.1.0+abd")


@pytest.mark.parametrize("size_bytes", [0, 1, 1024 * 1024, 1024 * 1024 + 1])
def test_file_sha256_equals_the_digest_of_the_whole(tmp_path, size_bytes):
    content = b"x" * size_bytes
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
