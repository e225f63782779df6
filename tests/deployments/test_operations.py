"""docs/operations.md tells the truth: its settings, ports, commands and deployments are those that there are."""

import re
from pathlib import Path

import yaml

from deployments.stack.placement import place_in_containers
from deployments.stack.services import services
from deployments.stack.settings import StackSettings, variable

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text("utf-8")


def test_every_setting_is_there_and_no_other():
    settings = {variable(name) for name in StackSettings.model_fields}
    assert set(re.findall(r"\bSTACK_[A-Z_]+\b", TEXT)) == settings


def test_every_service_is_there_with_its_ports():
    for service in services(place_in_containers()):
        if service.name == "dask-worker-2":
            continue
        row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{service.name}`"))
        for setting, port in service.ports.items():
            assert str(port) in row
            assert f"`{setting}`" in row


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", " ".join(re.findall(r"`+[^`]*`+", TEXT)))) <= targets


def test_deployments_are_those_of_prefect_yaml():
    entries = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"]
    names = {f"{entry['entrypoint'].rsplit('.', 1)[1]}/{entry['name']}" for entry in entries}
    stages = "|".join({name.split("/")[0] for name in names})
    assert set(re.findall(rf"\b(?:{stages})/[a-z-]+\b(?!\.)", TEXT)) == names


def test_links_lead_to_files():
    assert [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if not (ROOT / "docs" / link).exists()] == []
