"""The documentation tells the truth: its commands are understood, its snippets run, its links lead somewhere."""

import contextlib
import doctest
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from documents import ROOT, blocks, commands, flags_in_prose, has_flag, help_of, link_targets, make_targets
from sample_bundle import ITEM_IDS, USER_IDS, write_store
from test_readme import RUN_BY, first_answer, serving

import docs.drawing
import docs.tables
from deployments.stack.settings import StackSettings, variable
from docs.diagrams import imports, made_from, task_names
from docs.error_tables import errors, problems
from docs.from_code import FILLS, PLACE, fill
from docs.setting_tables import list_api_settings, list_settings
from flows import cli
from flows.settings import variables
from serving import command, metrics
from serving.options import ServingOptions, read_options
from serving.rules import Scenario
from storage import layout

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEXTS = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in PAGES}
PRESENT = [page for page in TEXTS if "/decisions/" not in page and page != "CHANGELOG.md"]
COMMANDS = {one: page for page, text in reversed(TEXTS.items()) for one in commands(text) if one not in RUN_BY}
ASKED = [one for text in TEXTS.values() for one in commands(text) if one.startswith("curl ")]
EXAMPLE_IDS = {"USER_ID": USER_IDS[0], "ITEM_ID": ITEM_IDS[0], "MODEL_ID": "1f3a"}
SERVED_AT = "http://127.0.0.1:8000"
OTHERS_VARIABLES = {
    *("PREFECT_API_URL", "PREFECT_SERVER_ANALYTICS_ENABLED", "PREFECT_SERVER_UI_V2_ENABLED"),
    *("MLFLOW_DISABLE_TELEMETRY", "MINIO_UPDATE", "MINIO_CALLHOME_ENABLE", "DO_NOT_TRACK"),
    *("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "COMPOSE_PROFILES", "NO_PROXY"),
    *("JAVA_HOME", "MAVEN_URL"),  # those of the set-up
}
NAMES_IN_CODE = {"BROADCAST_ROWS", "OF_RANX", "TREC_NAMES"}
WORKED = {"CONTRIBUTING.md"}  # its snippets are files that tests/test_worked_changes.py writes
OTHERS_FLAGS = {"--concurrency", "--param", "--target"}
SETTINGS = variables() | set(ServingOptions.model_fields)
STACK_SETTINGS = {variable(name) for name in StackSettings.model_fields}
VARIABLES = {name.upper() for name in SETTINGS} | STACK_SETTINGS | OTHERS_VARIABLES
BASH = shutil.which("bash") or "/bin/bash"
BUILD_TIMEOUT_SECONDS = 1500


def words_of(line: str) -> list[str]:
    """Return the words of a command as the shell makes them."""
    script = f"printf '%s\\0' {line}"
    done = subprocess.run([BASH, "-c", script], env=EXAMPLE_IDS, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split("\0")[:-1]


@pytest.fixture
def parses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], int]:
    """Return a function that reads the flags and settings of a flow, as the flow would, and does not run it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_run_to_exit_code", lambda _work: cli.DONE)
    monkeypatch.setattr(cli, "start_log", lambda _options: None)
    return lambda words: int(import_module(words[0].removesuffix(".py").replace("/", ".")).main(words[1:]))


def of_flow(words: list[str], parses: Callable[[list[str]], int]) -> bool:
    return parses(words[1:]) == cli.DONE


def of_module(words: list[str], _parses: object) -> bool:
    module, arguments = words[2], words[3:]
    if module == "serving" and arguments[0] == "key":
        return command.main(arguments) == cli.DONE
    if module == "serving":
        return read_options(arguments) is not None
    known = help_of(f"-m {module}") if any(one.startswith("--") for one in arguments) else ""
    return find_spec(module) is not None and all(has_flag(known, one) for one in arguments if one.startswith("--"))


def of_variable(words: list[str], _parses: object) -> bool:
    name = words[1].partition("=")[0]
    return name in VARIABLES


def of_deployment(words: list[str], _parses: object) -> bool:
    flow, name = words[3].split("/")
    known = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"]
    assert (f"flows.{flow}.{flow}", name) in {(one["entrypoint"], one["name"]) for one in known}
    groups = cli.Command(getattr(import_module(f"flows.{flow}"), flow).fn, "").groups
    given = dict(words[place + 1].split("=", 1) for place, word in enumerate(words) if word == "--param")
    return all(groups[group].model_validate(json.loads(value)) for group, value in given.items())


def of_containers(words: list[str], _parses: object) -> bool:
    return (ROOT / words[words.index("-f") + 1]).exists()


def of_image(words: list[str], _parses: object) -> bool:
    return f" AS {words[words.index('--target') + 1]}\n" in (ROOT / "Dockerfile").read_text("utf-8")


CHECKS: dict[tuple[str, ...], Callable[[list[str], Callable[[list[str]], int]], bool]] = {
    ("python", "-m"): of_module,
    (".venv/bin/python", "-m"): of_module,
    ("python",): of_flow,
    ("make",): lambda words, _: words[1] in make_targets(),
    ("export",): of_variable,
    ("prefect", "deployment", "run"): of_deployment,
    ("docker", "compose"): of_containers,
    ("docker", "buildx", "build"): of_image,
}


@pytest.mark.parametrize("line", [line for line in COMMANDS if line not in ASKED], ids=lambda line: line[:60])
def test_a_command_is_understood_by_what_it_is_meant_for(line, parses):
    words = words_of(line)
    check = next(one for start, one in CHECKS.items() if tuple(words[: len(start)]) == start)
    assert check(words, parses), COMMANDS[line]


@pytest.mark.parametrize(
    "line",
    ["python flows/train.py --no-such-flag 1", "python flows/train.py --split sometimes", "python -m serving --prot 1"],
)
def test_a_command_with_a_wrong_flag_or_value_is_found(line, parses):
    words = words_of(line)
    try:
        is_understood = (of_module if words[1] == "-m" else of_flow)(words, parses)
    except SystemExit:
        is_understood = False
    assert not is_understood


def test_what_the_pages_ask_the_api_is_answered(tmp_path):
    if not (curl := shutil.which("curl")):
        pytest.skip("curl, which the pages ask with, is missing")
    write_store(tmp_path / "data" / "store")
    with serving("serve", tmp_path, ready="Ready: ") as port:
        assert first_answer(f"http://127.0.0.1:{port}/readyz").json()["status"] == "ready"
        for line in dict.fromkeys(ASKED):
            here = line.replace(SERVED_AT, f"http://127.0.0.1:{port}").replace("curl ", f"{curl} -sS --fail ", 1)
            environment = {**os.environ, **EXAMPLE_IDS}
            done = subprocess.run([BASH, "-c", here], env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            assert json.loads(done.stdout)
        assert first_answer(f"http://127.0.0.1:{port}/").headers["content-type"].startswith("text/html")
        assert first_answer(f"http://127.0.0.1:{port}/docs").status_code == 200
    assert len(ASKED) > 8


@pytest.mark.parametrize("page", [page for page in TEXTS if page not in WORKED and blocks(TEXTS[page], "python")])
def test_the_snippets_of_a_page_run_and_print_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page}
    pairs = re.findall(r"^```python\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", TEXTS[page], re.DOTALL | re.MULTILINE)
    for code, expected in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page, "exec"), names)  # noqa: S102 - the page's own
        assert printed.getvalue() == expected


def test_the_scenario_of_the_rules_fits():
    [scenario] = blocks(TEXTS["docs/how-to/rules.md"], "json")
    assert Scenario.model_validate_json(scenario).pinned


@pytest.mark.parametrize("page", PRESENT)
def test_flags_in_prose_are_flags_of_the_project(page):
    flows = [*(f"flows/{stage}.py" for stage in ("train", "ingest", "explore", "evaluate", "recommend", "promote"))]
    texts = [help_of(one) for one in (*flows, "flows/store.py gc", "-m serving", "-m serving key")]
    flags = sorted(flags_in_prose(TEXTS[page]) - OTHERS_FLAGS)
    assert [flag for flag in flags if not any(has_flag(text, flag) for text in texts)] == []


@pytest.mark.parametrize("page", PRESENT)
def test_make_targets_and_variables_in_prose_exist(page):
    in_code = "\n".join(re.findall(r"`([^`\n]+)`", TEXTS[page]))
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)\b", in_code)) <= make_targets()
    named = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b(?!_|…)", in_code))
    assert sorted(named - VARIABLES - NAMES_IN_CODE) == []


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_of_a_page_leads_to_a_file(page):
    folder = (ROOT / page).parent
    assert [target for target in link_targets(TEXTS[page]) if not (folder / target).exists()] == []


def test_links_and_images_are_found_in_markdown_and_in_html():
    page = '[one](a.md#part) ![two](b.png) [<img src="c.png" alt="">](d.md) <img width="9" src="https://e.org/f.png">'
    assert sorted(link_targets(page)) == ["a.md", "b.png", "c.png", "d.md"]


def test_the_runbook_has_every_error_event_problem_and_figure():
    runbook = TEXTS["docs/runbook.md"]
    events = re.findall(r"^\| `(\w+)` \|", TEXTS["docs/notices.md"].partition("| event |")[2], flags=re.MULTILINE)
    figures = re.findall(r'"(api_\w+)"', Path(metrics.__file__).read_text("utf-8"))
    wanted = [*events, *figures, *(one.__name__ for one in errors()), *(title for _, title, _ in problems())]
    assert [name for name in wanted if name not in runbook] == []
    assert len(events) > 3
    assert len(figures) > 10


def test_every_setting_is_listed():
    listed = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", list_settings() + list_api_settings()))
    assert {name.upper() for name in SETTINGS} <= listed


def test_every_part_from_the_code_is_asked_for_and_there():
    asked = {match[1] for text in TEXTS.values() for match in PLACE.finditer(text)}
    assert asked == set(FILLS)
    with pytest.raises(KeyError):
        fill("<!-- from the code: no-such -->")


def test_drawings_have_every_package_and_kind_of_artifact():
    for package, others in imports().items():
        assert f'">{package}</text>' in FILLS["imports"]()
        assert package not in others
    assert [kind for kind in layout.KINDS if f'">{kind}</text>' not in FILLS["artifacts"]()] == []
    assert made_from()["raw"][0] == "reviews"


def test_the_steps_of_a_training_are_in_their_order():
    steps = re.findall(r"^\| \d+ \| ([^|]+) \| (.*) \|$", FILLS["training"](), flags=re.MULTILINE)
    names = [name for name, _ in steps]
    assert names.index("dataset") < names.index("split") < names.index("search") < names.index("test")
    assert dict(steps)["test"] == "`fit`, `score`"
    assert {task for _, tasks in steps for task in re.findall(r"`([^`]+)`", tasks)} <= set(task_names().values())


@pytest.mark.parametrize("module", [docs.drawing, docs.tables])
def test_examples_of_the_generator_hold(module):
    assert doctest.testmod(module).failed == 0


def test_a_cycle_cannot_be_drawn():
    with pytest.raises(ValueError, match="cycle"):
        docs.drawing.rank({"a": ["b"], "b": ["a"]})


@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
def test_pages_are_built_without_a_warning_and_ask_nobody(tmp_path):
    pytest.importorskip("sphinx", reason="Sphinx is missing; to change that: make docs")
    flags = ("--fail-on-warning", "--keep-going", "--fresh-env", "--quiet")
    build = [sys.executable, "-m", "sphinx", *flags, "docs", str(tmp_path / "pages"), "-d", str(tmp_path / "read")]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=BUILD_TIMEOUT_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    for page in ("index.html", "architecture.html", "reference/api/models.html"):
        html = (tmp_path / "pages" / page).read_text("utf-8")
        assert (
            re.findall(r'<(?:script|img|iframe)[^>]* src="https?:|<link[^>]*stylesheet[^>]* href="https?:', html) == []
        )
