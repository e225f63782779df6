"""One version: what shows one shows that of schema/version.py, whose changes the changelog tells."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

from schema.version import VERSION
from serving.options import ServingOptions
from serving.web import create_app

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
HEADINGS = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
LABELS = ("title", "description", "licenses", "version")


def test_the_newest_release_of_the_changelog_is_the_version_and_older_ones_follow():
    released = [heading for heading in HEADINGS if heading != "[Unreleased]"]
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in released)
    assert HEADINGS[-len(released) :] == released
    versions = [Version(heading[1:].partition("]")[0]) for heading in released]
    assert versions == sorted(versions, reverse=True)
    assert str(versions[0]) == VERSION


def test_it_is_what_an_installer_takes():
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" in asked["project"]["dynamic"]
    assert asked["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "schema.version.VERSION"}


def test_the_description_of_the_api_has_it():
    assert create_app(ServingOptions(_env_file=None)).openapi()["info"]["version"] == VERSION


@pytest.mark.parametrize("target", ["serving", "training"])
def test_an_image_is_labelled_with_it_and_with_what_it_is(target):
    assert re.findall(r"^ARG VERSION=(.*)$", DOCKERFILE, re.MULTILINE) == [VERSION]
    stage = DOCKERFILE.split(f" AS {target}\n")[1].split("\nFROM ")[0]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]+)"', stage))
    assert set(labels) == set(LABELS)
    assert labels["version"] == "$VERSION"
    assert "\nARG VERSION\n" in stage
