import hashlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

from schema.digests import file_sha256
from storage import canonical, identity
from storage.identity import artifact_id, code_version

SOURCE = '''
"""A module."""
import math

class Circle:
    """A circle."""

    def area(self, radius):
        """Return the area."""
        return math.pi * radius ** 2  # square units

async def wait():
    """Wait."""
'''


@pytest.fixture
def module(tmp_path: Path) -> Callable[[str, str], ModuleType]:
    """Return a maker of modules from source; each stands in a file of its own."""

    def make(source: str, name: str = "circle") -> ModuleType:
        path = tmp_path / str(len(list(tmp_path.iterdir()))) / f"{name}.py"
        path.parent.mkdir()
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        return importlib.util.module_from_spec(spec)

    return make


def test_artifact_id_is_sixteen_hexadecimal_digits() -> None:
    made = artifact_id("models", {}, {}, "0.1.0")
    assert len(made) == 16
    assert int(made, 16) >= 0


def test_artifact_id_does_not_depend_on_the_order_of_names() -> None:
    first = artifact_id("models", {"a": "1", "b": "2"}, {"x": 1, "y": {"p": 1, "q": 2}}, "v")
    assert first == artifact_id("models", {"b": "2", "a": "1"}, {"y": {"q": 2, "p": 1}, "x": 1}, "v")


def test_artifact_id_depends_on_all_that_goes_in() -> None:
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


def test_code_version_begins_with_the_version_of_the_project(module: Callable[[str], ModuleType]) -> None:
    assert code_version(module(SOURCE)).startswith(f"{version('amazon-recommender')}+")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # square units", ""),
        ("A module.", "A module of circles."),
        ("A circle.", "Round."),
        ("Return the area.", "Return it."),
        ('        """Return the area."""\n', ""),
        ('    """A circle."""\n\n', ""),
        ("Wait.", "Wait a moment."),
        ("import math\n", "import math\n\n\n"),
        ("math.pi * radius ** 2", "(math.pi*(radius**2))"),
    ],
)
def test_code_version_overlooks_what_changes_nothing(module: Callable[[str], ModuleType], old: str, new: str) -> None:
    assert old in SOURCE
    assert code_version(module(SOURCE.replace(old, new))) == code_version(module(SOURCE))


@pytest.mark.parametrize(("old", "new"), [("** 2", "** 3"), ("radius", "r"), ("async def", "def"), ("math", "cmath")])
def test_code_version_changes_with_the_code(module: Callable[[str], ModuleType], old: str, new: str) -> None:
    assert code_version(module(SOURCE.replace(old, new))) != code_version(module(SOURCE))


def test_code_version_keeps_texts_that_are_no_docstrings(module: Callable[[str], ModuleType]) -> None:
    assert code_version(module("x = 'a'")) != code_version(module("x = 'b'"))


def test_code_version_covers_every_module_in_any_order(module: Callable[[str, str], ModuleType]) -> None:
    one, two = module("x = 1", "one"), module("x = 2", "two")
    assert code_version(one, two) == code_version(two, one) == code_version(one, two, one)
    assert len({code_version(one), code_version(two), code_version(one, two), code_version()}) == 4
    assert code_version(module("x = 1", "three")) != code_version(one)


def test_code_version_is_the_same_in_another_process() -> None:
    script = (
        "from storage import canonical, identity; import sys;"
        "sys.stdout.write(identity.code_version(identity, canonical))"
    )
    there = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert there == code_version(identity, canonical)


@pytest.mark.parametrize("size_bytes", [0, 1, 1024 * 1024, 1024 * 1024 + 1])
def test_file_sha256_equals_the_digest_of_the_whole(tmp_path: Path, size_bytes: int) -> None:
    content = b"x" * size_bytes
    (tmp_path / "file").write_bytes(content)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
