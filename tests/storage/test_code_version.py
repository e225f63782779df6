"""Versions of code: what is reached from a step changes its version, all else does not."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schema.version import VERSION
from storage import code_version as module

PROJECT = {
    "steps/one.py": '''
from loguru import logger
from helpers import first
from shown.page import render

def step(rows: first.Rows) -> int:
    """Compute."""
    logger.info("{} rows", len(rows))
    return first.count(rows)

def show(rows):
    return render(rows)
''',
    "helpers/first.py": """
from helpers.second import double
Rows = list

def count(rows):
    return double(len(rows))
""",
    "helpers/second.py": """
import helpers.third
FACTOR = 2

def double(n):
    return helpers.third.times(n, FACTOR)

def unused(n):
    return n + 1
""",
    "helpers/third.py": '''
from pydantic import BaseModel, Field

class Options(BaseModel):
    """What it does."""
    start: int = Field(0, description="where it starts")

def times(n, factor, options=Options()):
    # multiplied by hand
    from storage.layout import check
    check(n)
    return options.start + n * factor
''',
    "storage/keys.py": "def check(n):\n    return n\n",
    "shown/page.py": "def render(rows):\n    return str(rows)\n",
}


ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash") or "/bin/bash"
# Prints the Python's version and one digest of all that the project defines, while others parse as often as they can;
# needs nothing but Python.
DIGEST_OF_ALL = """
import ast
import gc
import sys
from pathlib import Path
from storage import code_version as module

gc.callbacks.append(lambda phase, info: ast.parse("1"))
gc.set_threshold(100)
module.VERSION = ""
folders = ("evaluation", "models", "reports", "reviews", "schema", "spark", "tasks")
modules = [f"{folder}.{path.stem}" for folder in folders for path in Path(folder).glob("[a-z]*.py")]
symbols = frozenset((name, bound) for name in modules for bound in module._module(name).definitions)
print("%d.%d" % sys.version_info[:2], module.version_of(symbols), len(symbols))
"""


def make_project(root: Path, edits: dict[str, tuple[str, str]]) -> None:
    for name, text in PROJECT.items():
        old, new = edits.get(name, ("", ""))
        assert old in text
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text.replace(old, new) if old else text, "utf-8")
    shutil.copy(str(module.__file__), root / "storage" / "code_version.py")
    (root / "page.css").write_text(edits.get("page.css", ("", "red"))[1], "utf-8")


def version_of(root: Path, call: str = "step") -> str:
    imports = (
        "from pathlib import Path; from steps.one import show, step; from storage.code_version import code_version"
    )
    source = f"{imports}; print(code_version({call}))"
    done = subprocess.run([sys.executable, "-c", source], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("project")
    make_project(root, {})
    return version_of(root)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("helpers/third.py", "n * factor", "n * factor + 1"),
        ("helpers/third.py", "Field(0,", "Field(1,"),
        ("helpers/second.py", "FACTOR = 2", "FACTOR = 3"),
        ("helpers/first.py", "double(len(rows))", "double(len(rows) + 0)"),
        ("steps/one.py", "first.count(rows)", "int(first.count(rows))"),
    ],
)
def test_a_change_of_what_a_step_reaches_changes_its_version(
    tmp_path: Path, version: str, name: str, old: str, new: str
) -> None:
    make_project(tmp_path, {name: (old, new)})
    assert version_of(tmp_path) != version


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("steps/one.py", '"""Compute."""', '"""Compute it."""'),
        ("steps/one.py", '"{} rows"', '"{} rows of reviews"'),
        ("steps/one.py", "first.Rows", "list"),
        ("steps/one.py", "return render(rows)", "return render(rows).upper()"),
        ("shown/page.py", "str(rows)", "repr(rows)"),
        ("helpers/second.py", "n + 1", "n + 2"),
        ("helpers/third.py", "# multiplied by hand", "# multiplied"),
        ("helpers/third.py", "where it starts", "the start"),
        ("storage/keys.py", "return n", "return n or None"),
        ("page.css", "", "blue"),
    ],
)
def test_a_change_of_anything_else_does_not(tmp_path: Path, version: str, name: str, old: str, new: str) -> None:
    make_project(tmp_path, {name: (old, new)})
    assert version_of(tmp_path) == version


def test_a_function_that_moves_to_another_module_keeps_the_version(tmp_path: Path, version: str) -> None:
    make_project(tmp_path, {"helpers/first.py": ("from helpers.second", "from helpers.moved")})
    (tmp_path / "helpers" / "second.py").rename(tmp_path / "helpers" / "moved.py")
    assert version_of(tmp_path) == version


def test_a_version_is_that_of_the_project_and_a_digest(version: str) -> None:
    assert re.fullmatch(rf"{re.escape(VERSION)}\+[0-9a-f]{{16}}", version)


def test_files_named_beside_a_step_count(tmp_path: Path) -> None:
    make_project(tmp_path, {})
    red = version_of(tmp_path, "show, files=(Path('page.css'),)")
    (tmp_path / "page.css").write_text("blue", "utf-8")
    assert version_of(tmp_path, "show, files=(Path('page.css'),)") != red


def test_a_name_that_is_not_defined_is_an_error(tmp_path: Path) -> None:
    make_project(tmp_path, {"helpers/second.py": ("helpers.third.times(", "helpers.third.missing(")})
    with pytest.raises(AssertionError, match=r"uses missing of helpers\.third, which does not define it"):
        version_of(tmp_path)


def test_every_python_gives_the_same_version() -> None:
    command = [BASH, "-c", "source deployments/setup.sh; pythons"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    versions: dict[str, str] = {}
    for python in {sys.executable, *found[:1], *found[-1:]}:  # this one, the newest, the oldest
        done = subprocess.run([python, "-c", DIGEST_OF_ALL], cwd=ROOT, capture_output=True, text=True, check=True)
        name, versions[name] = done.stdout.split(maxsplit=1)
    if len(versions) == 1:
        pytest.skip(f"the only Python here that the project allows is {name}")
    assert len(set(versions.values())) == 1, versions
