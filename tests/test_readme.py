"""The README tells the truth: each of its commands is run by CI or by a test, as many of the docs are."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from documents import MAKE, ROOT, commands, has_flag

from docs import figures
from flows.child_server import find_program, free_port

README = (ROOT / "README.md").read_text("utf-8")
CI = ".ci/run"
START_TIMEOUT_SECONDS = 300
START_ATTEMPTS = 10  # the wait doubles from half a second: over four minutes in all

RUN_BY = {
    "make demo": CI,
    "source .venv/bin/activate": CI,
    "python flows/train.py --input their-reviews.json.gz": CI,
    "make train": CI,
    "make notebook": "test_make_notebook_writes_pages_that_show_what_the_notebooks_found",
    "make lab": "test_make_lab_serves_the_notebooks_to_whoever_has_the_token",
    "make ui": "test_make_ui_serves_the_prefect_ui",
    "make mlflow": "test_make_mlflow_serves_the_mlflow_ui",
    "python flows/ingest.py --input their-reviews.json.gz": CI,
    "python flows/explore.py --input their-reviews.json.gz": CI,
    'python flows/recommend.py --model "$MODEL_ID" --top-n 20': CI,
    "python flows/train.py --input their-reviews.json.gz --rank 16,32 --json result.json": CI,
    "make serve": "test_what_the_pages_ask_the_api_is_answered",
    "make minio": "test_make_minio_serves_a_store_and_its_console",
    "source data/minio.env": CI,
    "python flows/promote.py": CI,
    "python flows/promote.py --history": CI,
    'python flows/promote.py --rollback --reason "it repeats itself"': CI,
    "make up": CI,
    "source data/stack/stack.env": CI,
    "make deploy": CI,
    "prefect deployment run 'train/nightly' "
    """--param reviews='{"input_reviews": "'"$PWD"'/their-reviews.json.gz"}' --watch""": CI,
    "make status": CI,
    "make down": CI,
    "python flows/store.py ls": CI,
    'python flows/store.py show "$MODEL_ID"': CI,
    "python flows/store.py verify": CI,
    "python flows/store.py gc": CI,
    'python flows/store.py cp "$MODEL_ID" --to data/copy': CI,
    'python flows/evaluate.py --model "$MODEL_ID"': CI,
    'python flows/evaluate.py --model "$MODEL_ID" --windows 3 --test-share 0.1': CI,
    "python flows/evaluate.py --recommendations their-lists.csv --input their-reviews.json.gz": CI,
    "python flows/evaluate.py --protocol original --input their-reviews.json.gz": CI,
    "amazon-recommender --help": CI,
    "python flows/train.py --help": "test_flags_in_prose_are_flags_of_the_project",
    "make help": CI,
    "make test": CI,
    "make lint": CI,
    "make format": CI,
    "make benchmarks": CI,
}


@contextmanager
def serving(target: str, folder: Path, ready: str | None = None) -> Iterator[int]:
    """Run a make target that serves until it is stopped, in a folder of its own, and yield its port.

    Where it says when it is ready, the port is yielded only after a line with these words.
    """
    port = free_port()
    (folder / ".venv").symlink_to(sys.prefix)
    server = subprocess.Popen(
        [MAKE, "-f", str(ROOT / "Makefile"), target, f"PORT={port}", "SETUP=true"],
        cwd=folder,
        env={**os.environ, "PREFECT_HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"},
        stdout=subprocess.PIPE if ready else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if ready else subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    try:
        if ready:
            assert server.stdout is not None
            lines: list[str] = []
            assert any(lines.append(line) or ready in line for line in server.stdout), "".join(lines)
        yield port
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def first_answer(url: str) -> httpx.Response:
    """Return what a server says as soon as it answers, or raise after START_TIMEOUT_SECONDS."""
    waiting = httpx.HTTPTransport(retries=START_ATTEMPTS)  # a refused connection is tried again with back-off
    with httpx.Client(transport=waiting, timeout=START_TIMEOUT_SECONDS) as client:
        return client.get(url)


def test_commands_are_read_from_bash_blocks_only():
    text = "```bash\n# a note\nmake a  # why\npython x.py \\\n  --y\n```\n```text\nmake b\n```\n"
    assert commands(text) == ["make a", "python x.py    --y"]


def test_every_command_of_the_readme_has_its_runner_and_no_runner_is_left_over():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    said = {one for path in pages for one in commands(path.read_text("utf-8"))}
    assert set(commands(README)) <= set(RUN_BY) <= said


@pytest.mark.parametrize("command", [command for command, runner in RUN_BY.items() if runner == CI])
def test_ci_runs_the_command_as_the_readme_has_it(command):
    script = (ROOT / CI).read_text("utf-8")
    assert re.search(rf"^ *(run )?{re.escape(command)}$", script, flags=re.MULTILINE)


def test_figures_of_the_readme_are_those_that_were_measured():
    assert figures.PLACE.search(README)[0] == figures.tables()


def test_every_test_named_as_a_runner_exists():
    named = {runner for runner in RUN_BY.values() if runner != CI}
    texts = (path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert named <= {name for text in texts for name in re.findall(r"^def (test_\w+)", text, flags=re.MULTILINE)}


def test_a_flag_is_not_found_in_a_longer_one():
    assert not has_flag("--rank-by NAME", "--rank")
    assert has_flag("  --rank RANK  factors", "--rank")


def test_make_ui_serves_the_prefect_ui(tmp_path):
    with serving("ui", tmp_path) as port:
        assert first_answer(f"http://127.0.0.1:{port}/api/health").json() is True
        assert "<html" in first_answer(f"http://127.0.0.1:{port}/").text
        asked = first_answer(f"http://127.0.0.1:{port}/ui-settings").json()["api_url"]
        assert asked.endswith(f":{port}/api"), "its pages would ask another server"


def test_make_mlflow_serves_the_mlflow_ui(tmp_path):
    with serving("mlflow", tmp_path) as port:
        assert first_answer(f"http://127.0.0.1:{port}/health").text == "OK"
        assert "MLflow" in first_answer(f"http://127.0.0.1:{port}/").text
    assert (tmp_path / "mlflow.db").exists()


def test_make_minio_serves_a_store_and_its_console(tmp_path):
    if find_program("minio") is None:
        pytest.skip("minio is neither on PATH nor in .setup/bin; to change that: make services")
    with serving("minio", tmp_path, ready="source data/minio.env") as port:
        assert first_answer(f"http://127.0.0.1:{port}/minio/health/live").status_code == 200
        assert "MinIO Console" in first_answer(f"http://127.0.0.1:{port + 1}/").text
    variables = (tmp_path / "data" / "minio.env").read_text()
    assert f"export S3_ENDPOINT_URL=http://127.0.0.1:{port}\n" in variables
    assert "export STORE_URI=s3://recommender/store\n" in variables
