"""A kind of model is known to its own file alone, and one that is added goes through every flow."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.registry import KINDS

ROOT = Path(__file__).parents[1]
FOLDERS = ("deployments", "evaluation", "flows", "reports", "reviews", "schema", "serving", "spark", "storage", "tasks")
NAMES = set(KINDS)
OPEN_MODULES = {
    "models.base",
    "models.combination",
    "models.engine",
    "models.factors",
    "models.registry",
    "models.space",
    "models.original",
}  # none is a kind
IDENTIFIER = re.compile(
    r"(^|_)(als|ials|ease|knn|bias|chance_model|ncf|gmf|neumf)(_|$)|Als(?!o)|Ials|Ease(?!d)|Ncf|Gmf|NeuMf|ItemKnn|RecentPopularity|GlobalMean|ChanceModel"
)

# Where a word that is a kind's name means something else.
OTHER_MEANINGS = {
    ("evaluation/options.py", "random"): "how a split draws its rows",
    ("evaluation/splits.py", "random"): "how a split draws its rows",
    ("tasks/report.py", "random"): "how a split draws its rows",
    ("schema/verdicts.py", "random"): "the guard's yardstick",
    ("schema/verdicts.py", "popularity"): "the guard's yardstick",
    ("evaluation/checks.py", "popularity"): "the yardstick of what is too good",
    ("reports/verdicts.py", "popularity"): "the yardstick of what is too good",
    ("schema/gate_verdicts.py", "popularity"): "the gate's yardstick",
    ("evaluation/assess.py", "popularity"): "the metric",
    ("reports/display.py", "popularity"): "the metric",
    ("reports/report.py", "popularity"): "the figure of the metric",
}


def python_files(root: Path) -> Iterator[tuple[str, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            yield str(path.relative_to(root)), ast.parse(path.read_text("utf-8"))


def named_kinds(root: Path) -> list[str]:
    """List where a file outside models/ names a kind of model: in a string, an import or an identifier."""
    found = []
    for path, tree in python_files(root):
        for node in ast.walk(tree):
            said = _string(node) if (path, _string(node)) not in OTHER_MEANINGS else None
            said = said or _kind_module(node) or _identifier(node)
            if said:
                found.append(f"{path}:{getattr(node, 'lineno', '?')} names {said}")
    return found


def _string(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and node.value in NAMES else None


def _kind_module(node: ast.AST) -> str | None:
    if isinstance(node, ast.ImportFrom):
        modules = [f"models.{alias.name}" for alias in node.names] if node.module == "models" else [str(node.module)]
    else:
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    return next((name for name in modules if name.startswith("models") and name not in OPEN_MODULES), None)


def _identifier(node: ast.AST) -> str | None:
    named = [getattr(node, field, None) for field in ("id", "attr", "arg", "name")]
    return next((name for name in named if isinstance(name, str) and IDENTIFIER.search(name)), None)


def test_no_file_outside_models_names_a_kind_of_model() -> None:
    assert named_kinds(ROOT) == []


def test_every_other_meaning_is_still_in_use() -> None:
    strings = {(path, _string(node)) for path, tree in python_files(ROOT) for node in ast.walk(tree)}
    assert set(OTHER_MEANINGS) <= strings


@pytest.mark.parametrize(
    "source",
    [
        'if candidate.model == "item-knn": ...',
        'SHOWN = {"als-explicit": 1}',
        "from models.als import AlsOptions",
        "from models import item_knn",
        "import models.popularity",
        "def fit_als(): ...",
        "rank = settings.als_rank",
        "options = AlsOptions",
    ],
)
def test_a_file_that_names_a_kind_is_found(tmp_path: Path, source: str) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "fit.py").write_text(source)
    assert len(named_kinds(tmp_path)) >= 1


@pytest.mark.parametrize("source", ["from models.registry import Candidate", "import ast", "CREDENTIALS = 'random-2'"])
def test_a_file_that_works_on_the_socket_is_not(tmp_path: Path, source: str) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "fit.py").write_text(source)
    assert named_kinds(tmp_path) == []
