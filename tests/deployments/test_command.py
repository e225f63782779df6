"""The console command: every program under its name, exactly as its script, and completion of what help shows."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deployments.command import COMPLETION, PROGRAMS
from schema.version import VERSION

ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash")
ENGINES = {"prefect", "pyspark", "dask", "distributed", "mlflow", "pandas", "pyarrow", "httpx"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    wide = {**os.environ, "COLUMNS": "1000"}
    return subprocess.run(command, cwd=folder, env=wide, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """The command, as an installer writes it."""
    module, _, function = PROJECT["scripts"]["amazon-recommender"].partition(":")
    path = tmp_path / "bin" / "amazon-recommender"
    path.parent.mkdir()
    path.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    path.chmod(0o755)
    return path


def test_every_program_of_the_project_has_a_command_and_a_purpose(command, tmp_path):
    flows = [path for path in (ROOT / "flows").glob("*.py") if re.search(r"^main = ", path.read_text("utf-8"), re.M)]
    assert {f"flows/{path.name}" for path in flows} | {"serving/__main__.py"} == set(PROGRAMS.values())
    shown = python(str(command), "--help", folder=tmp_path).stdout
    assert [name for name in PROGRAMS if not re.search(rf"^    {name} +[a-z]\S* ", shown, re.M)] == []


def test_version_is_that_of_the_project(command, tmp_path):
    shown = python(str(command), "--version", folder=tmp_path).stdout
    assert shown == f"amazon-recommender {VERSION}\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_command_has_the_flags_of_its_script_and_imports_no_engine_for_help(name, command, tmp_path):
    ours = python("-X", "importtime", str(command), name, "--help", folder=tmp_path)
    script = ["-m", "serving"] if name == "serve" else [str(ROOT / PROGRAMS[name])]
    theirs = python(*script, "--help", folder=tmp_path).stdout
    usage, _, flags = ours.stdout.partition("\n\n")
    assert flags == theirs.partition("\n\n")[2]
    assert usage.startswith(f"usage: amazon-recommender {name} ")
    imported = {one.split(".")[0] for one in re.findall(r"\|\s+([\w.]+)$", ours.stderr, re.M)}
    assert imported & ENGINES == set()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["promote", "--history"], 0, ""),
        (["store", "verify", "1f"], 1, "1f"),
        (["train", "--top-n", "ten"], 2, "--top-n (or TOP_N): "),
        (["serve", "--port", "many"], 2, "--api-port"),
        (["sing"], 2, "'sing'"),
        ([], 2, "COMMAND"),
    ],
)
def test_exit_codes_and_messages_are_those_of_the_program(arguments, code, said, command, tmp_path):
    done = python(str(command), *arguments, folder=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert said in done.stderr


@pytest.mark.skipif(BASH is None, reason="bash, whose completion this is, is missing")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("", {*PROGRAMS, "completion"}),
        ("pro", {"promote"}),
        ("store ", {"ls", "show", "verify", "gc", "cp"}),
        ("store gc --del", {"--delete"}),
        ("train --input here --top", {"--top-n"}),
        ("train --drift ", {"warn", "refuse", "off"}),
        ("train --drift re", {"refuse"}),
        ("train --input ", set()),
        ("train --input=a/b ", set()),
    ],
)
def test_bash_completes_commands_flags_and_words(line, offered, command, tmp_path):
    script = (
        'eval "$(amazon-recommender completion)"; read -ra COMP_WORDS <<<"$1"; '
        '[[ $1 == *" " ]] && COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); '
        '_amazon_recommender; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = os.pathsep.join([str(command.parent), os.environ["PATH"]])
    done = subprocess.run(
        [str(BASH), "-uc", script, "bash", f"amazon-recommender {line}"],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stderr == ""
    assert set(done.stdout.split()) == offered


def test_the_completion_is_part_of_what_is_installed():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    assert data["deployments"] == [COMPLETION.name]
