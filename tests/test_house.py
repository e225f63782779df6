"""The house rules that a machine can hold: make targets, the lock, the image, what is committed and where."""

import ast
import copy
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
GIT = shutil.which("git")
MAKE = shutil.which("make")
FOLDERS = {
    *("flows", "tasks", "reviews", "schema", "spark", "models", "evaluation", "reports", "storage", "serving"),
    *("deployments", "tests", "benchmarks", "docs", "notebooks"),
}
EXTRAS = ("models/neural-requirements.txt", "notebooks/requirements.txt", "docs/requirements.txt")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

LOADED_LATER = {"boto3", "botocore", "httptools", "jinja2", "uvloop"}  # for a store on S3, and by uvicorn and Starlette

in_checkout = pytest.mark.skipif(
    GIT is None or not (ROOT / ".git").exists(), reason="reads what git tracks; this is no checkout, or git is missing"
)
with_make = pytest.mark.skipif(MAKE is None, reason="make is missing")


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def git(*arguments: str) -> list[str]:
    done = subprocess.run([str(GIT), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def committed() -> list[str]:
    """List the files that are committed, or would be by ``git add --all``."""
    return git("ls-files", "--cached", "--others", "--exclude-standard")


def requirements(text: str) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line]


def locked(text: str) -> dict[str, tuple[str, int]]:
    """Return the version and the number of digests of each package of a lock."""
    pins: dict[str, tuple[str, int]] = {}
    for block in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE):
        if match := re.match(r"([a-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", block):
            digests = len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block))
            pins[canonicalize_name(match[1])] = (match[2], digests)
    return pins


def not_locked(wanted: list[Requirement], pins: dict[str, tuple[str, int]]) -> list[str]:
    """List the requirements that no pin fulfils."""
    return [
        str(requirement)
        for requirement in wanted
        if not requirement.specifier.contains(pins.get(canonicalize_name(requirement.name), ("0", 0))[0])
        or canonicalize_name(requirement.name) not in pins
    ]


def imports_at_start(path: Path) -> Iterator[str]:
    """Yield the dotted names that a module imports when it is imported, those for the type checker left out."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached_modules(paths: Iterable[Path]) -> set[Path]:
    """Return modules of the project, and all others of it that are imported with them."""
    reached: set[Path] = set()
    to_do = list(paths)
    while to_do:
        path = to_do.pop()
        if path not in reached:
            reached.add(path)
            named = {ROOT / Path(*name.split(".")) for name in imports_at_start(path)}
            files = {one.with_suffix(".py") for name in named for one in (name, name.parent)}
            to_do += [file for file in files if file.exists() and file.parent != ROOT]
    return reached


def names_of(module: str, providers: Mapping[str, list[str]]) -> set[str]:
    """Return the packages that a module may come from; none for one of Python's or of ours."""
    return {canonicalize_name(name) for name in providers.get(module.split(".")[0], []) if name != "amazon-recommender"}


def outside_imports() -> Iterator[tuple[Path, str]]:
    """Yield each import, by our modules, of a package that is neither ours nor Python's."""
    beside_tests = {path.stem for path in (ROOT / "tests").rglob("*.py")}
    ours = FOLDERS | beside_tests | set(sys.stdlib_module_names)
    for folder in sorted(FOLDERS - {"docs"}):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [str(node.module)]
                yield from ((path, name.split(".")[0]) for name in names if name.split(".")[0] not in ours)


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile and their arguments, continued lines joined."""
    kept = "\n".join(line for line in dockerfile.splitlines() if not line.lstrip().startswith("#"))
    joined = kept.replace("\\\n", " ")
    return [(line.split()[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def unpinned_bases(steps: list[tuple[str, str]]) -> list[str]:
    """List the base images without a digest that are no earlier stage of the same file."""
    sources = [argument.split() for step, argument in steps if step == "FROM"]
    stages = {words[-1] for words in sources if "AS" in words}
    return [
        words[0]
        for words in sources
        if words[0] not in stages and not re.search(r":[\w.-]*\d[\w.-]*@sha256:[0-9a-f]{64}$", words[0])
    ]


@with_make
def test_help_lists_every_target_and_is_the_default():
    makefile = read("Makefile")
    targets = re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    shown = subprocess.run([str(MAKE), "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    default = subprocess.run([str(MAKE)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert re.findall(r"^  ([a-z-]+) +\S", shown.stdout, flags=re.MULTILINE) == targets
    assert phony is not None
    assert phony[1].split() == targets
    assert default.stdout == shown.stdout


@with_make
def test_every_benchmark_is_listed_with_its_purpose():
    modules = sorted((ROOT / "benchmarks").glob("[a-z]*.py"))
    names = [path.stem for path in modules if "__main__" in path.read_text("utf-8")]
    shown = subprocess.run([str(MAKE), "benchmarks"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert re.findall(r"^  (\w+) +\S{2,}", shown.stdout, flags=re.MULTILINE) == names


@pytest.mark.parametrize(
    ("lock", "least"),
    [("requirements.txt", 100), ("serving/requirements.txt", 20), *((lock, 20) for lock in EXTRAS)],
)
def test_every_package_of_the_lock_has_a_digest(lock, least):
    pins = locked(read(lock))
    assert len(pins) > least
    assert [name for name, (_, digests) in pins.items() if digests == 0] == []


def test_lock_fulfils_what_is_asked_for_and_what_builds_the_project():
    build = tomllib.loads(read("pyproject.toml"))["build-system"]["requires"]
    wanted = [*requirements(read("requirements.in")), *map(Requirement, build)]
    assert not_locked(wanted, locked(read("requirements.txt"))) == []


def test_lock_of_the_api_is_a_part_of_the_lock_and_fulfils_what_the_api_asks_for():
    pins = locked(read("serving/requirements.txt"))
    assert pins.items() <= locked(read("requirements.txt")).items()
    assert not_locked(requirements(read("serving/requirements.in")), pins) == []


@pytest.mark.parametrize("lock", EXTRAS)
def test_lock_of_an_extra_agrees_with_the_others_and_fulfils_what_is_asked_for(lock):
    pins = locked(read(lock))
    for other in {"requirements.txt", *EXTRAS} - {lock}:
        others = locked(read(other))
        assert {name: pin for name, pin in pins.items() if name in others and pin != others[name]} == {}
    wanted = requirements(read(lock.replace(".txt", ".in")))
    assert not_locked(wanted, pins) == []
    assert {canonicalize_name(one.name) for one in wanted}.isdisjoint(locked(read("requirements.txt")))


def test_the_api_asks_for_what_it_reaches_and_for_nothing_else():
    reached = reached_modules((ROOT / "serving").rglob("*.py"))
    providers = packages_distributions()
    imported = [names_of(name, providers) for path in reached for name in imports_at_start(path)]
    asked = {canonicalize_name(one.name) for one in requirements(read("serving/requirements.in"))}
    assert [names for names in imported if names and not names & asked] == []
    assert asked - set().union(*imported) <= LOADED_LATER


def test_a_requirement_that_the_lock_misses_is_found():
    pins = locked("a==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\nb==2.0\n")
    assert pins == {"a": ("1.0", 1), "b": ("2.0", 0)}
    assert not_locked(requirements("a>=2\nb\nc  # why"), pins) == ["a>=2", "c"]


def test_every_import_from_outside_is_asked_for_by_name():
    wanted = "".join(read(lock.replace(".txt", ".in")) for lock in ("requirements.txt", *EXTRAS))
    asked = {canonicalize_name(requirement.name) for requirement in requirements(wanted)}
    providers = packages_distributions()
    unasked = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, name in outside_imports()
        if not asked & {canonicalize_name(package) for package in providers.get(name, [name])}
    }
    assert sorted(unasked) == []


def test_image_has_a_fixed_base_a_locked_install_and_no_root():
    steps = instructions(read("Dockerfile"))
    installs = [argument for step, argument in steps if step == "RUN" and re.search(r"pip (install|sync)", argument)]
    last_user = [argument for step, argument in steps if step == "USER"][-1]
    assert unpinned_bases(steps) == []
    assert installs
    assert all("--require-hashes" in argument or "--no-deps" in argument for argument in installs)
    assert last_user.split(":")[0] not in ("root", "0")


def test_image_of_the_api_has_its_own_lock_the_folders_that_it_reaches_a_health_check_and_no_root():
    stages = re.split(r"^(?=FROM )", read("Dockerfile"), flags=re.MULTILINE)
    [stage] = [instructions(one) for one in stages if one.startswith("FROM python AS serving\n")]
    [packages] = [one for one in stages if one.startswith("FROM python AS serving-packages\n")]
    copied = [argument.split() for step, argument in stage if step == "COPY" and "--from" not in argument]
    reached = reached_modules((ROOT / "serving").rglob("*.py"))
    assert {source for source, _ in copied} == {path.relative_to(ROOT).parts[0] for path in reached}
    assert all(source == target for source, target in copied)
    assert "COPY serving/requirements.txt serving/" in packages
    assert "--require-hashes -r serving/requirements.txt" in packages
    assert [argument for step, argument in stage if step == "USER"] == ["10001"]
    assert "/healthz" in next(argument for step, argument in stage if step == "HEALTHCHECK")
    assert "OPENBLAS_NUM_THREADS=1" in next(argument for step, argument in stage if step == "ENV")


def test_a_base_image_that_may_change_is_found():
    steps = instructions("FROM python:3.11 AS base\n# FROM x\nFROM base\nFROM debian:latest@sha256:" + "0" * 64)
    assert unpinned_bases(steps) == ["python:3.11", "debian:latest@sha256:" + "0" * 64]


def test_image_copies_every_package_of_the_project_and_no_other_folder():
    packages = tomllib.loads(read("pyproject.toml"))["tool"]["setuptools"]["packages"]
    let_in = re.findall(r"^!(\S+)$", read(".dockerignore"), flags=re.MULTILINE)
    assert {name.split(".")[0] for name in packages} == {name for name in let_in if (ROOT / name).is_dir()}
    assert [name for name in let_in if not (ROOT / name).exists()] == []


def test_every_package_folder_is_declared():
    declared = tomllib.loads(read("pyproject.toml"))["tool"]["setuptools"]["packages"]
    code = FOLDERS - {"tests", "benchmarks", "docs"}
    found = {
        str(path.parent.relative_to(ROOT)).replace("/", ".")
        for folder in code
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert found == set(declared)


@in_checkout
@pytest.mark.parametrize(
    "generated",
    [
        *(".env", ".venv/bin/python", ".setup/lock", "data/raw/reviews.json.gz", "data/store/champion.json"),
        *("mlflow.db", "mlflow.db-journal", "mlruns/0/meta.yaml", "spark-warehouse/x", "amazon_recommender.egg-info/x"),
        *("flows/__pycache__/x.pyc", ".mypy_cache/x", ".pytest_cache/x", ".ruff_cache/x", ".hypothesis/x"),
    ],
)
def test_git_refuses_what_is_generated(generated):
    assert git("check-ignore", "--no-index", generated) == [generated]


@in_checkout
def test_git_takes_the_sources():
    sources = ["storage/local.py", ".env.example", ".ci/run", "tests/storage/test_local.py", "docs/decisions/0001-x.md"]
    assert git("check-ignore", "--no-index", *sources) == []


@in_checkout
def test_top_level_folders_are_those_of_the_design():
    folders = {Path(name).parts[0] for name in committed() if "/" in name}
    assert folders - {".ci"} <= FOLDERS


@in_checkout
@pytest.mark.parametrize("script", [".ci/run", "deployments/setup.sh"])
def test_scripts_can_be_run_and_stop_at_errors(script):
    assert (ROOT / script).stat().st_mode & 0o111
    assert "\nset -euo pipefail\n" in read(script)


def test_extras_can_be_left_out_of_the_tests():
    command = ["make", "--dry-run", "test", "NEURAL=", "NOTEBOOK=", "DOCS="]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "--neural" not in said
    assert "--notebook" not in said
    assert "--docs" not in said


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_what_a_run_or_a_machine_adds(path):
    notebook = json.loads(path.read_text("utf-8"))
    cells = notebook["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
    assert [(cell["id"], cell["metadata"]) for cell in cells] == [(str(place), {}) for place in range(len(cells))]
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_and_its_text_say_the_same(path):
    jupytext = pytest.importorskip("jupytext", reason="jupytext is missing; to change that: make notebook")
    pair = (jupytext.read(one) for one in (path, path.with_suffix(".py")))
    notebook, text = ([(cell.cell_type, cell.source) for cell in one.cells] for one in pair)
    assert notebook == text


def test_hooks_take_outputs_out_of_a_notebook_and_bring_its_text_up_to_date(tmp_path):
    pytest.importorskip("jupytext", reason="jupytext and nbstripout are missing; to change that: make notebook")
    kept = json.loads(NOTEBOOKS[0].read_text("utf-8"))
    kept["cells"][0]["source"] = ["# Another title"]
    used = copy.deepcopy(kept)
    of_run = {"output_type": "stream", "name": "stdout", "text": ["/home/somebody\n"]}
    used["cells"][1] |= {"outputs": [of_run], "execution_count": 3, "id": "f00d", "metadata": {"execution": {"a": "b"}}}
    used["metadata"] |= {
        "language_info": {"name": "python", "version": "3.13.1"},
        "jupytext": {"formats": "ipynb,py:percent"},
    }
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    name = f"notebooks/{NOTEBOOKS[0].name}"
    notebook, text = tmp_path / name, (tmp_path / name).with_suffix(".py")
    os.utime(text, (0, 0))
    notebook.write_text(json.dumps(used), "utf-8")
    hooks = [
        hook
        for hook in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"][0]["hooks"]
        if "notebooks" in hook["id"]
    ]
    for hook in hooks:
        assert re.search(hook["files"], name)
        subprocess.run([*shlex.split(hook["entry"]), name], cwd=tmp_path, timeout=60, check=True)
    assert json.loads(notebook.read_text("utf-8")) == kept
    assert text.read_text("utf-8").startswith("# %% [markdown]\n# # Another title\n")
