"""The import arrow holds: deployments → flows → tasks → leaves → schema."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LEAVES = frozenset({"reviews", "spark", "models", "evaluation", "reports", "storage"})
MAY_IMPORT = {
    "deployments": LEAVES | {"schema", "flows", "tasks", "serving"},
    "flows": LEAVES | {"schema", "tasks"},
    "tasks": LEAVES | {"schema"},
    "serving": frozenset({"models", "schema", "storage"}),
    "benchmarks": LEAVES | {"schema", "deployments", "flows", "tasks", "serving"},
    **dict.fromkeys(LEAVES, frozenset({"schema"})),
    "schema": frozenset(),
}
OURS = frozenset(MAY_IMPORT) | {"tests", "<computed>"}
STAYS_OUT = {
    "reviews": {"prefect", "mlflow", "pyspark"},
    "reports": {"prefect", "mlflow", "dask", "distributed", "pyspark"},
    "spark": {"prefect", "mlflow", "dask", "distributed"},
    "models": {"prefect", "mlflow", "dask", "distributed", "pyspark"},
    "evaluation": {"prefect", "mlflow", "dask", "distributed", "pyspark"},
    "storage": {"prefect", "mlflow", "dask", "distributed", "pyspark", "pandas"},
    "serving": {"prefect", "mlflow", "dask", "distributed", "pyspark", "pandas", "torch", "pyarrow", "scipy"},
}


def modules(root: Path, folder: str) -> list[Path]:
    return sorted((root / folder).rglob("*.py"))


def imports_of(source: str, package: str) -> Iterator[str]:
    """Yield the dotted name of all that a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield package if node.level else str(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            named = node.args[0]
            yield str(named.value) if isinstance(named, ast.Constant) else "<computed>"


def breaches(root: Path) -> list[str]:
    """List the imports against the arrow, and those of an engine in a folder that does without it."""
    return [
        f"{path.relative_to(root)} imports {name}"
        for folder, allowed in MAY_IMPORT.items()
        for path in modules(root, folder)
        for name in imports_of(path.read_text("utf-8"), folder)
        if name.split(".")[0] in OURS - allowed - {folder} | STAYS_OUT.get(folder, set())
    ]


def path_edits(root: Path) -> list[str]:
    """List the modules that touch ``sys.path``, by any of its names; the project is installed instead."""
    folders = [*MAY_IMPORT, "tests"]
    return [
        f"{path.relative_to(root)} touches sys.path in line {node.lineno}"
        for folder in folders
        for path in modules(root, folder)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path")
        or (isinstance(node, ast.ImportFrom) and node.module == "sys" and "path" in {a.name for a in node.names})
    ]


def write(root: Path, name: str, source: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, "utf-8")


def test_imports_go_only_along_the_arrow_and_engines_stay_where_they_are_needed() -> None:
    assert breaches(ROOT) == []


def test_no_module_edits_the_search_path() -> None:
    assert path_edits(ROOT) == []


def test_every_folder_of_the_arrow_is_read() -> None:
    read = {folder for folder in MAY_IMPORT if modules(ROOT, folder)}
    assert read >= {"deployments", "flows", "tasks", "schema"} | LEAVES


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("tasks/fit.py", "from flows.settings import Settings"),
        ("models/top_k.py", "import evaluation.ranking"),
        ("storage/local.py", "def late():\n    from models import factors"),
        ("reports/report.py", "import importlib\nimportlib.import_module('storage.layout')"),
        ("spark/session.py", "import importlib\nname = 'storage'\nimportlib.import_module(name)"),
        ("serving/api.py", "import spark.session"),
        ("flows/train.py", "import benchmarks.speed"),
        ("flows/train.py", "from tests.oracles import k_core"),
        ("reviews/parse.py", "from prefect import task"),
        ("models/bias.py", "import pyspark.sql.functions"),
        ("storage/local.py", "import pandas as pd"),
    ],
)
def test_an_import_against_the_arrow_or_of_an_engine_in_the_wrong_folder_is_found(
    tmp_path: Path, name: str, source: str
) -> None:
    write(tmp_path, name, source)
    assert len(breaches(tmp_path)) == 1


def test_imports_along_the_arrow_and_within_a_folder_pass(tmp_path: Path) -> None:
    write(tmp_path, "flows/train.py", "import tasks.fit\nfrom storage import layout\nfrom flows import settings")
    write(tmp_path, "reviews/parse.py", "from . import formats\nimport pyarrow, reviews.checks")
    assert breaches(tmp_path) == []


@pytest.mark.parametrize("source", ["import sys\nsys.path.insert(0, '.')", "from sys import path"])
def test_an_edit_of_the_search_path_is_found(tmp_path: Path, source: str) -> None:
    write(tmp_path, "tests/test_x.py", source)
    assert len(path_edits(tmp_path)) == 1
