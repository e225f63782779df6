"""The lists of what the images hold: whole, true to the locks, the same twice, and CycloneDX."""

import json
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.markers import Marker

from deployments import sbom
from schema.version import VERSION
from spark.jars import listed_jars

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ENTRY = re.compile(r"^([a-z0-9._-]+)==([^ ]+)(?: ; (.*?))? \\\n((?:    --hash=.*\n)+)", re.MULTILINE)

each_image = pytest.mark.parametrize("image", sorted(sbom.LOCKS))


def document(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sbom.bill_of_materials(image))
    return found


def locked(lock: Path) -> dict[tuple[str, str], list[str]]:
    """Return the digests of each package and version of a lock that this Python and system are meant to have."""
    return {
        (name, pinned): re.findall(r"sha256:(\w{64})", hashes)
        for name, pinned, marker, hashes in ENTRY.findall(lock.read_text("utf-8"))
        if not marker or Marker(marker).evaluate()
    }


def components(image: str, kind: str) -> list[dict[str, Any]]:
    return [part for part in document(image)["components"] if part["purl"].startswith(f"pkg:{kind}/")]


def digests(part: dict[str, Any]) -> list[str]:
    assert {one["alg"] for one in part["hashes"]} == {"SHA-256"}
    return [one["content"] for one in part["hashes"]]


@each_image
def test_every_package_of_the_lock_is_there_with_its_digests_and_no_other(image):
    found = {(part["name"], part["version"]): digests(part) for part in components(image, "pypi")}
    assert found == locked(sbom.LOCKS[image])
    assert {part["purl"] for part in components(image, "pypi")} == {f"pkg:pypi/{name}@{at}" for name, at in found}


@each_image
def test_versions_are_those_that_are_installed_and_most_packages_say_their_licence(image):
    parts = components(image, "pypi")
    assert {part["name"]: part["version"] for part in parts} == {part["name"]: version(part["name"]) for part in parts}
    assert sum(bool(part["licenses"]) for part in parts) > 0.9 * len(parts)
    assert next(part for part in parts if part["name"] == "fastapi")["licenses"] == [{"expression": "MIT"}]


def test_jars_are_those_that_the_set_up_fetches_and_only_the_training_image_has_them():
    jars = components("training", "maven")
    assert sorted(digests(jar) for jar in jars) == sorted([jar.sha256] for jar in listed_jars())
    assert "pkg:maven/org.apache.hadoop/hadoop-aws@3.5.0" in {jar["purl"] for jar in jars}
    assert components("serving", "maven") == []


@each_image
def test_scripts_of_the_page_are_there_with_the_version_that_they_say(image):
    found = {part["name"]: part["version"] for part in components(image, "npm")}
    assert set(found) == {"@picocss/pico", "htmx.org", "swagger-ui-dist"}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", one) for one in found.values())
    vendored = {path.stem for path in sbom.STATIC.rglob("*.min.*")} | {"swagger-ui-bundle"}
    assert {Path(file).stem for _, file, _, _ in sbom.SCRIPTS} == vendored


@each_image
def test_it_names_the_project_with_its_version_and_licence(image):
    about = document(image)["metadata"]["component"]
    assert (about["name"], about["version"]) == (PROJECT["name"], VERSION)
    assert about["licenses"] == [{"license": {"id": PROJECT["license"]}}]


@each_image
def test_it_is_the_same_twice_sorted_and_valid(image):
    text = sbom.bill_of_materials(image)
    assert text == sbom.bill_of_materials(image)
    purls = [part["purl"] for part in json.loads(text)["components"]]
    assert purls == sorted(set(purls))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_what_is_no_cyclonedx_is_found():
    broken = document("serving")
    broken["components"][0]["hashes"][0]["alg"] = "SHA256"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


def test_command_prints_the_document_and_refuses_other_images(capsys):
    assert sbom.main(["serving"]) == 0
    assert capsys.readouterr().out == sbom.bill_of_materials("serving")
    assert sbom.main(["desktop"]) == 2
    assert "{training,serving}; found ['desktop']" in capsys.readouterr().err
