"""The worked changes of CONTRIBUTING.md, carried out to the letter in a copy of the checkout."""

import gzip
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkout import Checkout, copy_checkout
from documents import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
BASH = shutil.which("bash") or "/bin/bash"
STEP = re.compile(r"^([^\n]+)\n\n```(\w+)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
ROWS = """
import numpy as np, pyarrow as pa
from evaluation.assess import Measured, hold_out, measure_lists
learnt = pa.table({"user_idx": [0, 1], "item_idx": [0, 0]})
held_out = hold_out(learnt, pa.table({"user_idx": [0, 0, 1], "item_idx": [1, 2, 2]}), n_users=2, n_items=3)
measured = Measured()
measure_lists(measured, np.array([[1] + 9 * [-1]] * 2, np.int32), held_out, ("any", {}, "test"), ks=[1, 10])
print(*((row.k, row.value) for row in measured.rows if row.metric == "capped_recall"))
"""


def steps(title: str) -> list[tuple[str, str, str]]:
    """Return the steps of a worked change: the line before a block, its language and the block."""
    [section] = re.findall(rf"^## A worked change: {title}\n(.*?)(?=^## )", TEXT, flags=re.DOTALL | re.MULTILINE)
    found = STEP.findall(section)
    assert len(found) == section.count("```") // 2
    return found


def run_commands(checkout: Checkout, _: str, block: str) -> str:
    return checkout.run(BASH, "-euo", "pipefail", "-c", block)


def apply_diff(checkout: Checkout, _: str, block: str) -> str:
    return checkout.run("git", "apply", "-", given=block)


def write_file(checkout: Checkout, line: str, block: str) -> str:
    [name] = re.findall(r"Write `([^`]+)`:$", line)
    checkout.write(name, block)
    return name


def add_lines(checkout: Checkout, line: str, block: str) -> str:
    """Put a block under a heading of the first version of the changelog, which gets the heading if it has none."""
    [(heading, name)] = re.findall(r"^Under `([^`]+)` in `([^`]+)`:$", line)
    before, version, after = checkout.read(name).partition("\n## [Unreleased]\n")
    newest, mark, others = after.partition("\n## [")
    if f"\n{heading}\n" not in newest:
        newest = f"\n{heading}\n\n{newest}"
    newest = newest.replace(f"\n{heading}\n", f"\n{heading}\n\n{block.rstrip()}", 1)
    checkout.write(name, before + version + newest + mark + others)
    return name


CARRY_OUT: dict[str, Callable[[Checkout, str, str], str]] = {
    "bash": run_commands,
    "diff": apply_diff,
    "python": write_file,
    "markdown": add_lines,
}


def carry_out(title: str, checkout: Checkout) -> str:
    """Take all steps of a worked change, and return what the last one printed."""
    return [CARRY_OUT[language](checkout, line, block) for line, language, block in steps(title)][-1]


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What mypy knows of the modules as they are, where it was asked before: most of the time that it takes."""
    folder = tmp_path_factory.mktemp("types") / "known"
    if (ROOT / ".mypy_cache").exists():
        shutil.copytree(ROOT / ".mypy_cache", folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def checkout(tmp_path: Path, types: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setenv("MYPY_CACHE_DIR", str(types))
    return copy_checkout(tmp_path)


def test_a_model_is_added_passes_its_tests_and_competes(checkout):
    rows = [f"{user},{item},{1 + (user + item) % 5}\n" for user in range(30) for item in range(user % 3, 24, 2)]
    packed = gzip.compress("".join(["user,item,rating\n", *rows]).encode())
    (checkout.folder / "their-reviews.json.gz").write_bytes(packed)
    shown = carry_out("adding a model", checkout)
    assert re.search(r"liked +measured +0\.\d{4}", shown)
    assert re.search(r"popularity +measured +0\.\d{4}", shown)
    checkout.test(
        "tests/flows/test_command_line.py::test_env_example_lists_every_variable_and_no_other",
        "tests/flows/test_flags.py::test_every_flag_has_a_proof",
        "tests/test_imports.py",
    )


def test_a_metric_is_added_passes_its_tests_and_is_measured(checkout):
    carry_out("adding a metric", checkout)
    assert checkout.python("-c", ROWS) == "(1, 0.5) (10, 0.25)\n"


@pytest.mark.parametrize(
    ("language", "line", "block"),
    [
        ("bash", "Check it:", "true\nfalse\ntrue\n"),
        ("diff", "Change it:", "--- a/LICENSE\n+++ b/LICENSE\n@@ -1,1 +1,1 @@\n-no such line\n+another\n"),
        ("python", "Write it somewhere:", "1 + 1\n"),
        ("markdown", "Somewhere in `CHANGELOG.md`:", "- a line\n"),
    ],
)
def test_a_step_that_cannot_be_taken_is_found(tmp_path, language, line, block):
    checkout = Checkout(tmp_path)
    checkout.write("LICENSE", "MIT\n")
    with pytest.raises((AssertionError, ValueError)):
        CARRY_OUT[language](checkout, line, block)


@pytest.mark.parametrize("newest", ["\n### Added\n\n- old\n", "\n### Fixed\n\n- flaw\n", ""])
def test_a_line_comes_under_its_heading_of_the_newest_version(tmp_path, newest):
    checkout = Checkout(tmp_path)
    released = "\n## [0.1.0]\n\n### Added\n\n- first\n"
    checkout.write("CHANGELOG.md", f"# Changelog\n\n## [Unreleased]\n{newest}{released}")
    add_lines(checkout, "Under `### Added` in `CHANGELOG.md`:", "- new\n")
    rest = newest.removeprefix("\n### Added\n\n")
    assert checkout.read("CHANGELOG.md") == f"# Changelog\n\n## [Unreleased]\n\n### Added\n\n- new\n{rest}{released}"
