"""The notebooks, run by the command of the README on the sample data of the other tests, and opened by the other."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from workplace import ROOT

from flows.child_server import Check, ChildServer, free_port
from flows.settings import Settings, flag_of, flat_fields

MAKE = shutil.which("make") or "make"

pytestmark = pytest.mark.skipif(
    find_spec("jupyterlab") is None, reason="Jupyter is missing; to change that: make notebook"
)


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the notebooks in a folder that gets all that Jupyter writes."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    return tmp_path / "notebooks"


def make(target: str, *variables: str) -> list[str]:
    """Return the command of a target that finds the set-up done."""
    return [MAKE, "-f", str(ROOT / "Makefile"), target, "SETUP=true", *variables]


def variables_of(flags: list[str]) -> dict[str, str]:
    """Return flags of a flow as variables."""
    names = {flag_of(name, field): name.upper() for name, field in flat_fields(Settings).items()}
    return {names[flag]: value for flag, value in zip(flags[::2], flags[1::2], strict=True)}


def test_make_notebook_writes_pages_that_show_what_the_notebooks_found(
    notebooks, trained, sample, sample_flags, monkeypatch
):
    workplace, record = trained
    settings = variables_of(sample_flags[4:])  # without the two inputs
    places = {"STORE_URI": workplace.store_uri, "MLFLOW_TRACKING_URI": workplace.tracking_uri}
    for name, value in {**settings, **places}.items():
        monkeypatch.setenv(name, value)
    shutil.copytree(sample.reviews.parent, notebooks.parent / "data" / "sample")
    command = make("notebook")
    done = subprocess.run(command, cwd=notebooks.parent, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    pages = {path.stem: path.read_text("utf-8") for path in (notebooks.parent / "data" / "notebooks").iterdir()}
    assert pages.keys() == {path.stem for path in notebooks.glob("*.ipynb")}
    for page in pages.values():
        assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*', page) == []
        assert re.findall(r"py\.warnings|<[^>]*vnd\.jupyter\.stderr", page) == []
    overview = pages["01_data_overview"]
    assert overview.count('<svg aria-label="') == overview.count("<svg") >= 10
    assert re.search(r"Which split</td>\s*<td>[^<]+--split ", overview)  # the advice, from what the data are like
    answers = pages["02_from_reviews_to_answers"]
    assert record["ids"]["model"] in answers  # what is done already is not done again
    assert re.search(r"because of.*?<td>[^<]+ \(\d+%\)", answers, flags=re.DOTALL)
    assert "fold-in" in answers
    assert "Difference in NDCG@10 to each baseline, with 95 % intervals: random" in answers


def test_make_lab_serves_the_notebooks_to_whoever_has_the_token(notebooks, monkeypatch):
    monkeypatch.chdir(notebooks.parent)
    port = free_port()
    contents = f"http://127.0.0.1:{port}/api/contents"
    listed = Check(f"{contents}?token=of-this-test", r"02_from_reviews_to_answers\.ipynb")
    lab = ChildServer(make("lab", f"PORT={port}"), {**os.environ, "JUPYTER_TOKEN": "of-this-test"}, [listed])
    try:
        lab.start()  # returns when the check passes
        assert httpx.get(contents, trust_env=False).status_code == 403
    finally:
        lab.stop()
