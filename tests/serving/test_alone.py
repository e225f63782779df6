"""The API runs from its own lock and the folders of its image alone, in a virtual environment that is made here."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from packaging.utils import canonicalize_name
from sample_bundle import USER_IDS, write_store

from deployments.sbom import bill_of_materials
from flows.child_server import free_port, inherited

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "serving" / "requirements.txt"
MOST_INSTALLED_MEGABYTES = 150
START_ATTEMPTS = 10  # the wait doubles from half a second
INSTALLED = "from importlib.metadata import *; print(*(f'{one.name}=={one.version}' for one in distributions()))"


def copy_stage(stage: str, app: Path) -> None:
    """Copy into a folder what a stage of the Dockerfile copies from the checkout."""
    text = (ROOT / "Dockerfile").read_text("utf-8").split(f" AS {stage}\n")[1].split("\nFROM ")[0]
    for source, target in re.findall(r"^COPY ([\w./]+) ([\w./]+)$", text, re.MULTILINE):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, app / target, dirs_exist_ok=True)
        else:
            (app / target).mkdir(exist_ok=True)
            shutil.copy(ROOT / source, app / target)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the API's lock, and not even the project."""
    folder = tmp_path_factory.mktemp("environment")
    uv = Path(sys.prefix) / "bin" / "uv"
    if not uv.exists():
        pytest.skip("uv is missing: make setup")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, LOCK]
    if subprocess.run(sync, check=False).returncode:
        subprocess.run([*sync, "--system-certs"], check=True)
    return python


@pytest.fixture(scope="module")
def url(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API, from a folder that has what its image has, on a sample store."""
    app, port = tmp_path_factory.mktemp("app"), free_port()
    copy_stage("serving", app)
    write_store(app / "data" / "store")
    command = [str(python), "-m", "serving", "--port", str(port)]
    with subprocess.Popen(command, cwd=app, env=inherited(), stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr
            assert any("Ready" in line for line in server.stderr), "it ended before it was ready"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def test_it_answers_and_shows_its_page(url):
    answer = httpx.get(f"{url}/v1/users/{USER_IDS[0]}/recommendations", params={"n": 3, "explain": True})
    assert (answer.status_code, len(answer.json()["items"])) == (200, 3)
    assert httpx.get(f"{url}/readyz").json()["status"] == "ready"
    for page in ("/", "/docs", "/openapi.json"):
        assert httpx.get(f"{url}{page}").status_code == 200


def test_the_image_lists_what_is_installed_in_it_and_says_the_same_as_the_checkout(python, tmp_path):
    copy_stage("serving-packages", tmp_path)
    how = {"cwd": tmp_path, "env": inherited(), "text": True}
    text = subprocess.check_output([python, "-m", "deployments.sbom", "serving"], **how)
    installed = subprocess.check_output([python, "-c", INSTALLED], **how)
    packages = [one["purl"] for one in json.loads(text)["components"] if one["purl"].startswith("pkg:pypi/")]
    named = (one.split("==") for one in installed.split())
    assert sorted(packages) == sorted(f"pkg:pypi/{canonicalize_name(name)}@{version}" for name, version in named)
    assert text == bill_of_materials("serving")


def test_the_lock_is_small(python):
    packages = next((python.parents[1] / "lib").glob("python3.*/site-packages"))
    installed = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file()) / 1_000_000
    assert installed < MOST_INSTALLED_MEGABYTES
